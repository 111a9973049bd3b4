"""The Scorer: trajectories in, a score per subgoal and one reward out.

trajectories --segmenter--> subgoals --router--> prototypes --judge--> verdicts --aggregator--> rewards
"""

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from math import isfinite
from typing import Any, ClassVar, NamedTuple

from attrs import Factory, asdict, evolve, frozen

from scribe_core import aio
from scribe_core.builders import build, part
from scribe_core.errors import DataError, RunError
from scribe_core.protocols import Aggregator, Builder, Judge, JudgeRequest, Route, Router, Segmenter
from scribe_core.skills import Library, merge
from scribe_core.spans import message_text, span_text, whole
from scribe_core.types import Judgement, Reward, Scored, Span, Subgoal, Trajectory, Verdict


def _turns() -> Builder[Segmenter]:
    from scribe_core.builtin.turns import Turns

    return Turns()


def _lexical() -> Builder[Router]:
    from scribe_core.builtin.lexical import Lexical

    return Lexical()


def _programs() -> Builder[Judge]:
    from scribe_core.builtin.programs_judge import ProgramsJudge

    return ProgramsJudge()


def _weighted() -> Builder[Aggregator]:
    from scribe_core.builtin.weighted import Weighted

    return Weighted()


@frozen(kw_only=True)
class ScorerBuilder:
    """The parts of a scorer; all but the skill libraries have a default."""

    name: ClassVar[str] = "scorer"

    libraries: tuple[Builder[Library], ...] = part("skill_libraries")
    segmenter: Builder[Segmenter] = part("segmenters", Factory(_turns))
    router: Builder[Router] = part("routers", Factory(_lexical))
    judge: Builder[Judge] = part("judges", Factory(_programs))
    aggregator: Builder[Aggregator] = part("aggregators", Factory(_weighted))

    def build(self) -> "Scorer":
        return Scorer(
            library=merge(map(build, self.libraries)),
            segmenter=build(self.segmenter),
            router=build(self.router),
            judge=build(self.judge),
            aggregator=build(self.aggregator),
        )


@frozen(kw_only=True)
class Scorer:
    """Scores trajectories in batches; `score` is `ascore` for synchronous code."""

    library: Library
    segmenter: Segmenter
    router: Router
    judge: Judge
    aggregator: Aggregator

    def score(self, trajectories: Sequence[Trajectory]) -> list[Scored]:
        """`ascore` from synchronous code, also inside a running event loop and in a notebook."""
        return aio.run(self.ascore(trajectories))

    async def ascore(self, trajectories: Sequence[Trajectory]) -> list[Scored]:
        """One Scored each, in order.

        Raises DataError where a group mixes known and unknown outcomes, and RunError where a part returns
        something else than its protocol says.
        """
        check_outcomes(trajectories)
        subgoals = await self._segment(trajectories)
        routes = await self._route([subgoal for each in subgoals for subgoal in each])
        plans = [route for trajectory in trajectories for route in self._planning(trajectory)]
        found = await self._judge([*routes, *plans])
        judgements, planning = iter(found[: len(routes)]), iter(found[len(routes) :])
        per_plan = len(self.library.trajectory_prototypes())
        return [
            self._combine(trajectory, tuple(islice(judgements, len(own))), tuple(islice(planning, per_plan)))
            for trajectory, own in zip(trajectories, subgoals, strict=True)
        ]

    async def _segment(self, trajectories: Sequence[Trajectory]) -> list[list[Subgoal]]:
        found = await self.segmenter.segment(trajectories)
        _check_all(self.segmenter, found, list, len(trajectories))
        subgoals = []
        for trajectory, spans in zip(trajectories, found, strict=True):
            for problem in _span_problems(trajectory, spans):
                raise _broken(self.segmenter, f"{problem} of trajectory {trajectory.id!r}")
            subgoals.append([Subgoal(trajectory=trajectory, span=span) for span in spans])
        return subgoals

    async def _route(self, subgoals: Sequence[Subgoal]) -> list["_Routed"]:
        found = await self.router.route(subgoals, self.library) if subgoals else []
        _check_all(self.router, found, Route, len(subgoals))
        for route in found:
            known = self.library.get(route.prototype.id)
            if known is None or known.digest != route.prototype.digest or known.scope != "subgoal":
                raise _broken(
                    self.router, f"{route.prototype.id!r}, which is no subgoal prototype of the library"
                )
            if not 0 <= route.confidence <= 1:
                raise _broken(self.router, f"the confidence {route.confidence!r}; it must be in [0, 1]")
        return [
            _Routed(JudgeRequest(subgoal=subgoal, prototype=route.prototype), route.confidence)
            for subgoal, route in zip(subgoals, found, strict=True)
        ]

    def _planning(self, trajectory: Trajectory) -> Iterator["_Routed"]:
        subgoal = Subgoal(trajectory=trajectory, span=whole(trajectory))
        for prototype in self.library.trajectory_prototypes():
            yield _Routed(JudgeRequest(subgoal=subgoal, prototype=prototype), 1.0)

    async def _judge(self, routed: Sequence["_Routed"]) -> list[Judgement]:
        found = await self.judge.judge([each.request for each in routed]) if routed else []
        _check_all(self.judge, found, Verdict, len(routed))
        return [
            Judgement(
                subgoal=request.subgoal,
                skill=request.prototype.id,
                confidence=confidence,
                verdict=_with_true_quotes(verdict, request.subgoal),
            )
            for (request, confidence), verdict in zip(routed, found, strict=True)
        ]

    def _combine(
        self, trajectory: Trajectory, judgements: tuple[Judgement, ...], planning: tuple[Judgement, ...]
    ) -> Scored:
        reward = self.aggregator.combine(trajectory, judgements, planning)
        _check_all(self.aggregator, [reward], Reward, 1)
        for number in (reward.value, reward.process, reward.outcome):
            if number is not None and not isfinite(number):
                raise _broken(self.aggregator, f"{reward}; a reward is finite, or None where there is none")
        return Scored(trajectory=trajectory, judgements=judgements, reward=reward, planning=planning)


class _Routed(NamedTuple):
    request: JudgeRequest
    confidence: float


def check_outcomes(trajectories: Iterable[Trajectory]) -> None:
    """Raises DataError where a group mixes known and unknown outcomes: its rewards would not compare."""
    known: dict[str, bool] = {}
    for each in trajectories:
        is_known = each.outcome is not None
        if each.group_id and known.setdefault(each.group_id, is_known) is not is_known:
            raise DataError(
                f"outcome: null for some trajectories of group {each.group_id!r} and a number for others, "
                f"such as {each.id!r}; give it to all of a group or to none"
            )


def score_record(scored: Scored) -> dict[str, Any]:
    """The JSON object of a scored trajectory, as `scribe score` writes it."""
    return {
        "id": scored.trajectory.id,
        "reward": scored.reward.value,
        "process": scored.reward.process,
        "outcome": scored.reward.outcome,
        "subgoals": [_judgement_record(judgement) for judgement in scored.judgements],
        "planning": [_judgement_record(judgement) for judgement in scored.planning],
        "usage": asdict(scored.usage),
    }


def _judgement_record(judgement: Judgement) -> dict[str, Any]:
    span, verdict = judgement.subgoal.span, judgement.verdict
    return {
        "span": {"start": list(span.start), "end": list(span.end)},
        "skill": judgement.skill,
        "score": verdict.score,
        "status": verdict.status,
        "failure_modes": list(verdict.failure_modes),
        "failed_checks": list(verdict.failed_checks),
        "evidence": list(verdict.evidence),
        "confidence": judgement.confidence,
        "reason": verdict.reason,
        "cached": verdict.cached,
        "outside": verdict.outside,
    }


def restore(trajectory: Trajectory, record: Mapping[str, Any]) -> Scored:
    """The Scored that `score_record` wrote, without its usage: reading it again costs nothing."""
    return Scored(
        trajectory=trajectory,
        judgements=tuple(_restored_judgement(trajectory, each) for each in record["subgoals"]),
        reward=Reward(value=record["reward"], process=record["process"], outcome=record["outcome"]),
        planning=tuple(_restored_judgement(trajectory, each) for each in record["planning"]),
    )


def _restored_judgement(trajectory: Trajectory, record: Mapping[str, Any]) -> Judgement:
    (start, first), (end, last) = record["span"]["start"], record["span"]["end"]
    return Judgement(
        subgoal=Subgoal(trajectory=trajectory, span=Span((start, first), (end, last))),
        skill=record["skill"],
        confidence=record["confidence"],
        verdict=Verdict(
            status=record["status"],
            score=record["score"],
            reason=record["reason"],
            failed_checks=tuple(record["failed_checks"]),
            failure_modes=tuple(record["failure_modes"]),
            evidence=tuple(record["evidence"]),
            cached=record.get("cached", False),
            outside=record.get("outside"),
        ),
    )


def _with_true_quotes(verdict: Verdict, subgoal: Subgoal) -> Verdict:
    """The verdict, if what it quotes stands in the span; evidence that was made up supports no score."""
    if not verdict.evidence:
        return verdict
    text = span_text(subgoal)
    quotes = tuple(quote for quote in verdict.evidence if quote in text)
    if len(quotes) == len(verdict.evidence):
        return verdict
    if verdict.status != "scored":
        return evolve(verdict, evidence=quotes)
    false = next(quote for quote in verdict.evidence if quote not in text)
    reason = f"its evidence {reprlib.repr(false)} does not stand in the span; it said: {verdict.reason}"
    return evolve(verdict, status="abstained", score=None, evidence=quotes, reason=reason)


def _span_problems(trajectory: Trajectory, spans: Sequence[Any]) -> Iterator[str]:
    """Why the spans are not ordered, disjoint, non-empty stretches of the trajectory."""
    ends = [(index, len(message_text(message))) for index, message in enumerate(trajectory.messages)]
    ends.append((len(ends), 0))
    previous = (0, 0)
    for span in spans:
        if not isinstance(span, Span):
            yield f"{reprlib.repr(span)}, which is no Span,"
            return
        for message, character in (span.start, span.end):
            if not (0 <= message < len(ends) and 0 <= character <= ends[message][1]):
                yield f"the span {span}, which goes beyond the messages"
        if not previous <= span.start < span.end:
            yield f"the span {span}, which is empty or overlaps what comes before,"
        previous = span.end


def _check_all(part: object, found: Any, kind: type, length: int) -> None:
    if not isinstance(found, (list, tuple)) or len(found) != length:
        got = f"{len(found)} items" if isinstance(found, Sized) else reprlib.repr(found)
        raise _broken(part, f"{got} where {length} were asked for")
    for item in found:
        if not isinstance(item, kind):
            raise _broken(part, f"{reprlib.repr(item)} where a {kind.__name__} was asked for")


def _broken(part: object, what: str) -> RunError:
    return RunError(
        f"{type(part).__module__}.{type(part).__qualname__} returned {what}; report it to its author"
    )
