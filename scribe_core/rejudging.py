"""Rejudging: a run's logged rollouts, judged once more in another way, and what that changes.

The score lines of a rollout, before and after, are compared span by span; rewards are compared within their group,
because that is where an optimizer compares them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from attrs import define, field

from scribe_core.errors import ConfigError, DataError, suggest
from scribe_core.evaluation import mean
from scribe_core.records import read_jsonl
from scribe_core.runs import read_trajectory
from scribe_core.tally import STATUSES, Tally
from scribe_core.types import Json, Trajectory, Usage

LARGEST = 10
"""Changes of reward that are told one by one."""

Pair = tuple[float, float]


class Judged(NamedTuple):
    """What one verdict said."""

    skill: str
    score: float | None
    status: str
    cached: bool


class Row(NamedTuple):
    """What there is to compare of a score line; verdicts by span, those of the whole by prototype."""

    reward: float | None
    process: float | None
    verdicts: Mapping[Any, Judged]
    usage: Usage


class Logged(NamedTuple):
    """A rollout in a log, and how it was scored, unless the run died before."""

    line: int
    step: int | None
    trajectory: Trajectory
    before: Row | None


def logged_rollouts(run: Path, evaluation: str | None = None) -> Iterator[Logged]:
    """The rollouts of a run's training, or of one of its evaluations, in the order of the log; broken ones are left out.

    Raises ConfigError for an evaluation that there is not, DataError for lines that no run wrote.
    """
    if evaluation is not None:
        yield from _unbroken(_evaluated(run / "evaluations", evaluation))
    else:
        yield from _unbroken(_trained(run))


def _trained(run: Path) -> Iterator[Logged]:
    scores = {}
    for where, record in read_jsonl(run / "scores.jsonl"):
        name, scores_row = _before(where, record)
        scores[name] = scores_row
    for line, (where, record) in enumerate(read_jsonl(run / "trajectories.jsonl"), 1):
        if type(record.get("step")) is not int:
            raise DataError(f"{where}: needs step, an integer")
        trajectory = read_trajectory(where, record.get("trajectory"))
        yield Logged(line, record["step"], trajectory, scores.get(trajectory.id))


def _evaluated(folder: Path, name: str) -> Iterator[Logged]:
    known = {path.stem: path for path in folder.glob("*.jsonl")}
    if name not in known:
        raise ConfigError(f"--evaluation {name!r}: {folder} holds no such file{suggest(name, known)}")
    step = re.match(r"step-(\d{1,12})-", name)
    for line, (where, record) in enumerate(read_jsonl(known[name]), 1):
        trajectory = read_trajectory(where, record.get("trajectory"))
        yield Logged(line, int(step[1]) if step else None, trajectory, _before(where, record)[1])


def _unbroken(rollouts: Iterator[Logged]) -> Iterator[Logged]:
    """Those that were played to an end, each once: a resumed run may play again what a kill interrupted."""
    seen: set[str] = set()
    for each in rollouts:
        if each.trajectory.status != "error" and each.trajectory.id not in seen:
            seen.add(each.trajectory.id)
            yield each


def _before(where: str, record: Json) -> tuple[str, Row]:
    try:
        return str(record["score"]["id"]), row_of(record["score"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: score: not as a run writes it ({error!r})") from error


def row_of(score: Json) -> Row:
    """A line as `scribe score` writes it, without its texts."""
    spans = [((*each["span"]["start"], *each["span"]["end"]), _judged(each)) for each in score["subgoals"]]
    whole = [(each["skill"], _judged(each)) for each in score["planning"]]
    usage = {name: _number(value) for name, value in score["usage"].items() if value is not None}
    return Row(_number(score["reward"]), _number(score["process"]), dict(spans + whole), Usage(**usage))


def _judged(each: Json) -> Judged:
    if each["status"] not in STATUSES or not isinstance(each["skill"], str):
        raise ValueError(f"{each['skill']!r} was {each['status']!r}")
    return Judged(each["skill"], _number(each["score"]), each["status"], each.get("cached") is True)


def _number(value: Any) -> Any:
    if value is not None and type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    return value


@define
class _Skill:
    """The scores of a skill, before and after, and the spans that it judged in one of the two."""

    before: list[float] = field(factory=list)
    after: list[float] = field(factory=list)
    spans: int = 0
    changed: int = 0

    def record(self) -> dict[str, Any]:
        return {
            "n": {"before": len(self.before), "after": len(self.after)},
            "before": mean(self.before),
            "after": mean(self.after),
            "changed": self.changed / self.spans if self.spans else None,
        }


@define
class Comparison:
    """Gathers rollouts one by one, and says what changed."""

    before: Tally = field(factory=Tally)
    after: Tally = field(factory=Tally)
    rollouts: int = 0
    unscored: int = 0
    _rewards: list[Pair] = field(factory=list)
    _processes: list[Pair] = field(factory=list)
    _groups: dict[Any, list[Pair]] = field(factory=lambda: defaultdict(list))
    _largest: list[dict[str, Any]] = field(factory=list)
    _skills: dict[str, _Skill] = field(factory=lambda: defaultdict(_Skill))
    _spans: Counter[str] = field(factory=Counter)

    def add(self, logged: Logged, record: Json) -> None:
        """Adds a rollout with its new score line."""
        after = row_of(record)
        self.rollouts += 1
        _count(self.after, after)
        if logged.before is None:
            self.unscored += 1
            return
        _count(self.before, logged.before)
        self._add_rewards(logged, logged.before, after)
        for key in [*logged.before.verdicts, *(after.verdicts.keys() - logged.before.verdicts)]:
            self._add_span(logged.before.verdicts.get(key), after.verdicts.get(key))

    def record(self) -> dict[str, Any]:
        """What changed, as JSON."""
        spans, both = self._spans, self._spans["scored in both"]
        return {
            "rollouts": self.rollouts,
            "unscored_before": self.unscored,
            "reward": _means(self._rewards),
            "process": _means(self._processes),
            "scores": {
                "n": both,
                "exact": spans["exact"] / both if both else None,
                "within_1": spans["within 1"] / both if both else None,
            },
            "spans": {name: spans[name] for name in ("both", "only before", "only after", "rerouted")},
            "order": _order(self._groups.values()),
            "before": self.before.record(),
            "after": self.after.record(),
            "skills": {name: skill.record() for name, skill in sorted(self._skills.items())},
            "largest": self._largest,
        }

    def _add_rewards(self, logged: Logged, before: Row, after: Row) -> None:
        if before.process is not None and after.process is not None:
            self._processes.append((before.process, after.process))
        if before.reward is None or after.reward is None:
            return
        pair = before.reward, after.reward
        self._rewards.append(pair)
        trajectory = logged.trajectory
        if trajectory.group_id:
            self._groups[logged.step, trajectory.group_id].append(pair)
        if before.reward != after.reward:
            change = {"id": trajectory.id, "step": logged.step, "before": pair[0], "after": pair[1]}
            self._largest = nlargest(
                LARGEST, [*self._largest, change], key=lambda each: abs(each["after"] - each["before"])
            )

    def _add_span(self, before: Judged | None, after: Judged | None) -> None:
        for judged, side in ((before, "before"), (after, "after")):
            if judged is not None and judged.score is not None:
                getattr(self._skills[judged.skill], side).append(judged.score)
        if before is None or after is None:
            self._spans["only after" if before is None else "only before"] += 1
            return
        self._spans["both"] += 1
        self._spans["rerouted"] += before.skill != after.skill
        for name in {before.skill, after.skill}:
            self._skills[name].spans += 1
            self._skills[name].changed += (before.status, before.score) != (after.status, after.score)
        if before.score is not None and after.score is not None:
            self._spans["scored in both"] += 1
            self._spans["exact"] += before.score == after.score
            self._spans["within 1"] += abs(before.score - after.score) <= 1


def _count(tally: Tally, row: Row) -> None:
    tally.usage += row.usage
    for each in row.verdicts.values():
        tally.count(each.status, each.cached)


def _means(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {"n": len(pairs), "before": mean(b for b, _ in pairs), "after": mean(a for _, a in pairs)}


def _order(groups: Iterable[Sequence[Pair]]) -> dict[str, Any]:
    """How pairs of rollouts of one group were ordered before and after, and the rank correlation over all pairs.

    It is Kendall's tau-b (https://doi.org/10.1093/biomet/33.3.239), null where one of the two orders nothing.
    """
    compared = [pairs for pairs in groups if len(pairs) > 1]
    counts: Counter[str] = Counter()
    for pairs in compared:
        for (before, after), (other_before, other_after) in combinations(pairs, 2):
            counts[_what_became(round(before - other_before, 9), round(after - other_after, 9))] += 1
    kept, flipped = counts["kept"], counts["flipped"]
    ordered = (kept + flipped + counts["tied"]) * (kept + flipped + counts["split"])
    names = ("kept", "flipped", "tied", "split", "still_tied")
    return {
        "groups": len(compared),
        **{name: counts[name] for name in names},
        "tau": (kept - flipped) / sqrt(ordered) if ordered else None,
    }


def _what_became(before: float, after: float) -> str:
    if not before:
        return "split" if after else "still_tied"
    if not after:
        return "tied"
    return "kept" if (before > 0) == (after > 0) else "flipped"
