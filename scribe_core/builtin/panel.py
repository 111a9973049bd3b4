"""The judge `panel`: several judges, whose verdicts become one.

    members --differ?-- no  -> their verdicts, combined by the rule
                     -- yes -> the arbiters', combined by the rule; the members' where no arbiter gives a score

Failed verdicts are left out; where all failed, so has the panel. It abstains where more than half of the others do;
else they are left out too. `majority` is the level that most judges gave, of several the lowest; `mean` is the mean
score. Mistakes, failed checks and evidence come from the judges that gave that level, or whose scores are in the mean.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil, fsum
from typing import Any, ClassVar, Literal

from attrs import evolve, frozen

from scribe_core.aio import gathered
from scribe_core.builders import build, part
from scribe_core.errors import ConfigError, RunError
from scribe_core.judging.asking import Remembering, Replies
from scribe_core.judging.estimate import estimate, perhaps, together
from scribe_core.protocols import Builder, Estimate, Judge, JudgeRequest
from scribe_core.skills import Prototype
from scribe_core.types import Usage, Verdict

Rule = Literal["majority", "mean"]

HALF_A_LEVEL = 0.5
"""How far apart scores may be before judges differ."""


@frozen(kw_only=True)
class Panel:
    """Several judges, whose verdicts become one; arbiters decide where they differ.

    A judge that is given twice draws twice: it is asked for different samples.
    """

    name: ClassVar[str] = "panel"

    judges: tuple[Builder[Judge], ...] = part("judges")
    rule: Rule = "majority"
    arbiters: tuple[Builder[Judge], ...] = part("judges", ())

    def build(self) -> Judge:
        """Raises ConfigError where there are no judges."""
        if not self.judges:
            raise ConfigError("judges: a panel needs one at least; `scribe plugins judges` lists them")
        everyone = self.judges + self.arbiters
        seats = [_seat(everyone, place, len(self.judges)) for place in range(len(everyone))]
        return JudgePanel(
            members=tuple(seats[: len(self.judges)]),
            arbiters=tuple(seats[len(self.judges) :]),
            rule=self.rule,
        )

    def estimate(self, prototype: Prototype) -> Estimate | None:
        members = [estimate(each, prototype) for each in self.judges]
        arbiters = [estimate(each, prototype) for each in self.arbiters]
        known = [each for each in members if each] + [perhaps(each) for each in arbiters if each]
        return together(known) if len(known) == len(members + arbiters) else None


@frozen(kw_only=True)
class Seat:
    """A judge on a panel. Of `draws` seats of one judge this is number `draw`, from 0."""

    judge: Judge
    label: str
    draw: int = 0
    draws: int = 1

    async def verdicts(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        own = [evolve(each, sample=each.sample * self.draws + self.draw) for each in requests]
        found = await self.judge.judge(own)
        if len(found) != len(requests):
            raise RunError(
                f"{self.label} of the panel returned {len(found)} verdicts where {len(requests)} were asked for; "
                "report it to its author"
            )
        return found


@frozen(kw_only=True)
class JudgePanel:
    """The judge itself."""

    members: tuple[Seat, ...]
    arbiters: tuple[Seat, ...] = ()
    rule: Rule = "majority"

    def remembering(self, replies: Replies) -> "JudgePanel":
        """The same panel; its judges that ask a model ask nothing that `replies` knows.

        Raises ConfigError where none of them asks a model.
        """
        if not any(isinstance(seat.judge, Remembering) for seat in self.members + self.arbiters):
            raise ConfigError(
                "judge: none of the panel's judges asks a model, so that `cached` has nothing to remember; use the "
                "panel as it is"
            )
        members, arbiters = (
            [_remembering(s, replies) for s in seats] for seats in (self.members, self.arbiters)
        )
        return evolve(self, members=tuple(members), arbiters=tuple(arbiters))

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Raises what its judges raise."""
        opinions = await _ask(self.members, requests)
        open_ = [place for place, verdicts in enumerate(opinions) if self.arbiters and differ(verdicts)]
        ruled = dict(zip(open_, await _ask(self.arbiters, [requests[i] for i in open_]), strict=True))
        return [self._conclude(verdicts, ruled.get(place, ())) for place, verdicts in enumerate(opinions)]

    def _conclude(self, members: Sequence[Verdict], arbiters: Sequence[Verdict]) -> Verdict:
        deciding = arbiters if any(each.status == "scored" for each in arbiters) else members
        seats = self.members + (self.arbiters if arbiters else ())
        asked = [*members, *arbiters]
        return evolve(
            combine(deciding, self.rule),
            reason="; ".join(f"{seat.label}: {_told(each)}" for seat, each in zip(seats, asked, strict=True)),
            usage=sum((each.usage for each in asked), Usage()),
            cached=all(each.cached for each in asked),
        )


def differ(verdicts: Iterable[Verdict]) -> bool:
    """Whether some abstained and some did not, or scores lie further apart than half a level."""
    answered = [each for each in verdicts if each.status != "failed"]
    scores = [each.score for each in answered if each.score is not None]
    if len({each.status for each in answered}) > 1:
        return True
    return bool(scores) and max(scores) - min(scores) > HALF_A_LEVEL


def combine(verdicts: Sequence[Verdict], rule: Rule) -> Verdict:
    """One verdict of several, without reason and usage."""
    answered = [each for each in verdicts if each.status != "failed"]
    scored = [(each.score, each) for each in answered if each.score is not None]
    if not answered:
        return Verdict(status="failed")
    if len(answered) > 2 * len(scored):
        return Verdict(status="abstained")
    if rule == "mean":
        return _resting_on([each for _, each in scored], fsum(score for score, _ in scored) / len(scored))
    votes = Counter(_level(score) for score, _ in scored)
    winner = min(votes, key=lambda level: (-votes[level], level))
    return _resting_on([each for score, each in scored if _level(score) == winner], float(winner))


def _level(score: float) -> int:
    """The nearest level; half-way it is the lower one."""
    return ceil(score - HALF_A_LEVEL)


def _resting_on(verdicts: Sequence[Verdict], score: float) -> Verdict:
    return Verdict(
        status="scored",
        score=score,
        failed_checks=_all(each.failed_checks for each in verdicts),
        failure_modes=_all(each.failure_modes for each in verdicts),
        evidence=_all(each.evidence for each in verdicts),
        outside=max((each.outside for each in verdicts if each.outside is not None), default=None),
    )


def _all(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for some in found for each in some))


def _told(verdict: Verdict) -> str:
    said = verdict.status if verdict.score is None else f"{verdict.score:g}"
    return f"{said}, {verdict.reason}" if verdict.reason else said


def _seat(everyone: Sequence[Builder[Judge]], place: int, members: int) -> Seat:
    builder = everyone[place]
    role = f"judge {place + 1}" if place < members else f"arbiter {place + 1 - members}"
    return Seat(
        judge=build(builder),
        label=f"{role} ({builder.name})",
        draw=everyone[:place].count(builder),
        draws=everyone.count(builder),
    )


def _remembering(seat: Seat, replies: Replies) -> Seat:
    judge: Any = seat.judge
    return evolve(seat, judge=judge.remembering(replies)) if isinstance(judge, Remembering) else seat


async def _ask(seats: Sequence[Seat], requests: Sequence[JudgeRequest]) -> list[tuple[Verdict, ...]]:
    """For each request the verdicts of all seats."""
    if not requests:
        return []
    return list(zip(*await gathered(seat.verdicts(requests) for seat in seats), strict=True))
