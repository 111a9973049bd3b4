"""How well a router finds the prototype that a subgoal is labelled with: the figures of `scribe bench routing`.

Intervals are percentile bootstraps over tasks, as subgoals of one task are alike.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import comb
from typing import Any, TypeVar

from attrs import evolve, frozen

from scribe_core.labelled import Labelled
from scribe_core.protocols import Ranking, Router
from scribe_core.skills import GENERAL, Library
from scribe_core.spans import span_calls, span_messages
from scribe_core.types import Subgoal

BINS = 15
COVERAGES = (1.0, 0.9, 0.75, 0.5)
DRAWS = 500
TOP = 3

T = TypeVar("T")
Figure = Mapping[str, Any]


@frozen(kw_only=True)
class Routed:
    """What a router made of a labelled subgoal: its route, its first few choices, and its route once steered.

    Steered is what the policy could do by words alone: text of another skill is appended to what it said.
    """

    skill: str
    task: str
    found: str
    confidence: float
    first: tuple[str, ...] | None
    calls: bool
    moved: bool

    @property
    def right(self) -> bool:
        return self.found == self.skill


async def routed(router: Router, labelled: Sequence[Labelled], library: Library) -> list[Routed]:
    """All routes of a router; those of texts without a trajectory are not asked for."""
    items = [(each, each.subgoal) for each in labelled if each.subgoal is not None]
    subgoals = [subgoal for _, subgoal in items]
    routes = await router.route(subgoals, library)
    steered = await router.route(list(_steered(items, library)), library)
    ranks = await router.rank(subgoals, library) if isinstance(router, Ranking) else None
    return [
        Routed(
            skill=label.skill,
            task=label.task,
            found=routes[i].prototype.id,
            confidence=routes[i].confidence,
            first=tuple(id_ for id_, _ in ranks[i][:TOP]) if ranks else None,
            calls=bool(span_calls(subgoal)),
            moved=steered[i].prototype.id != routes[i].prototype.id,
        )
        for i, (label, subgoal) in enumerate(items)
    ]


def _steered(items: Sequence[tuple[Labelled, Subgoal]], library: Library) -> Iterator[Subgoal]:
    """Each subgoal, with what another skill is for, and what was said where it was exercised, appended."""
    said: dict[str, str] = {}
    for label, subgoal in items:
        said.setdefault(label.skill, "" if span_calls(subgoal) else _said(subgoal))
    skills = sorted(said)
    for number, (label, subgoal) in enumerate(items):
        others = [skill for skill in skills if skill != label.skill]
        other = others[number % len(others)] if others else GENERAL
        about = library[other].when_to_use if other in library else ""
        yield appended(subgoal, f"{about} {said.get(other, '')}")


def _said(subgoal: Subgoal) -> str:
    return "\n".join(message.content for message in span_messages(subgoal) if message.role == "assistant")


def appended(subgoal: Subgoal, text: str) -> Subgoal:
    """The subgoal with a text behind what the policy said in it last.

    Unchanged where it said and did nothing, for a word is an act there, and where the span ends inside a message.
    """
    messages, (stop, inside) = list(subgoal.trajectory.messages), subgoal.span.end
    own = [i for i in range(subgoal.span.start[0], stop) if messages[i].role == "assistant"]
    if (
        inside
        or not own
        or not (old := messages[own[-1]]).content.strip() + "".join(map(str, old.tool_calls))
    ):
        return subgoal
    raw = None if old.raw is None else f"{old.raw} {text}"
    messages[own[-1]] = evolve(old, content=f"{old.content} {text}", raw=raw, sampled=None)
    return evolve(subgoal, trajectory=evolve(subgoal.trajectory, messages=tuple(messages)))


def figures(rows: Sequence[Routed]) -> dict[str, Any]:
    """The figures of one router, each with its value and 95 % interval."""
    calling = [row for row in rows if row.calls]
    wordy = [row for row in rows if not row.calls]
    return {
        "subgoals": len(rows),
        "tasks": len({row.task for row in rows}),
        "top_1": _with_interval(rows, top_1),
        f"top_{TOP}": _with_interval(rows, _top_few) if all(row.first is not None for row in rows) else None,
        "calibration_error": _with_interval(rows, calibration_error),
        "coverage": {f"{share:.0%}": _with_interval(rows, _accuracy_at(share)) for share in COVERAGES},
        "general": _share(row.found == GENERAL for row in rows),
        "steered": {
            "calls": _share(row.moved for row in calling),
            "words": _share(row.moved for row in wordy),
        },
        "skills": {skill: top_1(own) for skill, own in sorted(_grouped(rows, lambda row: row.skill).items())},
    }


def compared(rows: Sequence[Routed], others: Sequence[Routed]) -> dict[str, Any]:
    """Two routers on the same subgoals: difference of top-1 by task, and McNemar's exact test (two-sided)."""
    pairs = list(zip(rows, others, strict=True))
    only = sum(one.right and not other.right for one, other in pairs)
    only_other = sum(other.right and not one.right for one, other in pairs)
    tasks = list(_grouped(pairs, lambda pair: pair[0].task).values())
    difference = (only - only_other) / len(pairs)
    low, high = clustered(tasks, lambda found: sum(a.right - b.right for a, b in found) / len(found))
    return {
        "difference": {"value": difference, "interval": [low, high]},
        "only_right": only,
        "only_other_right": only_other,
        "p_mcnemar": mcnemar(only, only_other),
    }


def top_1(rows: Sequence[Routed]) -> float:
    return _share(row.right for row in rows)


def _top_few(rows: Sequence[Routed]) -> float:
    return _share(row.skill in (row.first or ()) for row in rows)


def calibration_error(rows: Sequence[Routed]) -> float:
    """Expected calibration error over bins of equal mass (Naeini et al., 2015; Nguyen and O'Connor, 2015)."""
    ordered = sorted(rows, key=lambda row: row.confidence)
    cuts = [len(ordered) * number // BINS for number in range(BINS + 1)]
    bins = (ordered[low:high] for low, high in pairwise(cuts) if low < high)
    gaps = (abs(sum(row.confidence for row in each) - sum(row.right for row in each)) for each in bins)
    return sum(gaps) / len(ordered)


def _accuracy_at(coverage: float) -> Callable[[Sequence[Routed]], float]:
    """Accuracy of the most confident share; what was left to `general` is the first to go."""

    def accuracy(rows: Sequence[Routed]) -> float:
        ordered = sorted(rows, key=lambda row: (row.found == GENERAL, -row.confidence))
        return top_1(ordered[: max(1, round(coverage * len(ordered)))])

    return accuracy


def mcnemar(only: int, only_other: int) -> float:
    """The chance of a split as uneven as this, if neither were better (McNemar, 1947; exact binomial)."""
    trials, fewer = only + only_other, min(only, only_other)
    tail: int = sum(comb(trials, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**trials))


def clustered(
    clusters: Sequence[Sequence[T]], statistic: Callable[[list[T]], float], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a statistic, with whole clusters drawn."""
    rng = random.Random(seed)  # noqa: S311 - statistics, not secrets
    values = sorted(
        statistic([item for cluster in rng.choices(clusters, k=len(clusters)) for item in cluster])
        for _ in range(draws)
    )
    return values[int(0.025 * draws)], values[min(draws - 1, int(0.975 * draws))]


def _with_interval(rows: Sequence[Routed], statistic: Callable[[Sequence[Routed]], float]) -> Figure:
    tasks = list(_grouped(rows, lambda row: row.task).values())
    return {"value": statistic(rows), "interval": list(clustered(tasks, statistic))}


def _grouped(items: Sequence[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _share(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
