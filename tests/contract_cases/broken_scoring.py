"""Parts of a Scorer that are wrong in one way each."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from attrs import evolve
from cases import cases

from scribe_core.protocols import JudgeRequest, Route
from scribe_core.skills import Library, Prototype
from scribe_core.spans import whole
from scribe_core.testing import (
    AggregatorContract,
    JudgeContract,
    LibraryContract,
    MinerContract,
    ProgramContract,
    RouterContract,
    SegmenterContract,
    sample_library,
    sample_prototype,
)
from scribe_core.types import Finding, Judgement, Reward, Span, Subgoal, Trajectory, Verdict

NUMBERS = count()


class Wholes:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        if self.fault == "at_least_one":
            trajectories = trajectories or [Trajectory(id="none", messages=())]
        return [self.spans(each, len(trajectories)) for each in trajectories][self.fault == "drops_one" :]

    def spans(self, trajectory: Trajectory, neighbours: int) -> list[Span]:
        span = whole(trajectory)
        if self.fault == "finds_nothing" or (not trajectory.messages and self.fault != "empty_span"):
            return []
        if self.fault == "too_long":
            return [evolve(span, end=(len(trajectory.messages), 1))]
        if self.fault == "overlap":
            return [span, span]
        return [] if self.fault == "shares" and neighbours > 2 else [span]


SEGMENTER_FAULTS = "at_least_one drops_one finds_nothing empty_span too_long overlap shares"
globals().update(cases(SegmenterContract, Wholes, SEGMENTER_FAULTS.split()))


def library(fault: str) -> Any:
    if fault == "wrong_key":
        return dict(sample_library()) | {"other": sample_prototype()}
    if fault == "no_words":
        return sample_library(sample_prototype(rubric={0: "Wrong.", 3: "Right."}))
    if fault == "restless":
        return sample_library(sample_prototype(title=f"Title {next(NUMBERS)}"))
    return sample_library()


globals().update(cases(LibraryContract, library, ["wrong_key", "no_words", "restless"]))


class General:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    async def route(self, subgoals: Sequence[Subgoal], library: Library) -> list[Route]:
        if self.fault == "at_least_one":
            subgoals = subgoals or [None]  # type: ignore[list-item]
        return [Route(prototype=self.pick(library, len(subgoals)), confidence=self.sure()) for _ in subgoals]

    def pick(self, library: Library, neighbours: int) -> Prototype:
        first = next(iter(library.values()))
        choices = {
            "stranger": sample_prototype(id="stranger"),
            "whole": library["plan-ahead"],
            "first": first,
            "shares": first if neighbours > 1 else library.general,
            "fickle": library.subgoal_prototypes()[next(NUMBERS) % 3],
        }
        return choices.get(self.fault, library.general)

    def sure(self) -> float:
        return 1.5 if self.fault == "too_sure" else 0.5


ROUTER_FAULTS = "at_least_one stranger whole first shares fickle too_sure"
globals().update(cases(RouterContract, General, ROUTER_FAULTS.split()))


class Mean:
    """Half outcome, half the mean score of what was not failed; abstaining counts as 1, as does no verdict."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def combine(
        self, trajectory: Trajectory, judgements: Sequence[Judgement], planning: Sequence[Judgement]
    ) -> Reward:
        spans: dict[Span, float] = {}
        for index, each in enumerate(judgements):
            score = self.score(each.verdict)
            if score is not None:
                span = (
                    Span((index, 0), (index + 1, 0)) if self.fault == "pays_per_span" else each.subgoal.span
                )
                spans[span] = score
        return self.reward(trajectory.outcome, [*spans.values()], bool(judgements))

    def score(self, verdict: Verdict) -> float | None:
        if verdict.status == "failed":
            return 0.0 if self.fault == "failed_is_zero" else None
        if verdict.score is None:
            return 3.0 if self.fault == "pays_for_hiding" else 1.0
        return 3 - verdict.score if self.fault == "upside_down" else verdict.score

    def reward(self, outcome: float | None, scores: list[float], judged: bool) -> Reward:
        if not scores and judged:
            process = 0.0 if self.fault == "failed_is_zero" else None
        else:
            scores = scores or [3.0 if self.fault == "pays_for_silence" else 1.0]
            process = sum(scores) / 3 / (1 if self.fault == "sums" else len(scores))
        if process is None or outcome is None:
            return Reward(value=process, process=process, outcome=outcome)
        value = (process + outcome) / 2
        return Reward(
            value=process - outcome / 9 if self.fault == "spiteful" else value,
            process=process,
            outcome=outcome,
        )


AGGREGATOR_FAULTS = "pays_per_span failed_is_zero pays_for_hiding upside_down pays_for_silence sums spiteful"
globals().update(cases(AggregatorContract, Mean, AGGREGATOR_FAULTS.split()))


class Speaks:
    """Passes where the span has an assistant message."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __call__(self, subgoal: Subgoal) -> Finding:
        if self.fault == "fragile":
            _ = [call.arguments["city"] for m in subgoal.trajectory.messages for call in m.tool_calls]  # type: ignore[index]
        if self.fault == "just_true":
            return True  # type: ignore[return-value]
        if self.fault == "invents":
            return Finding(answer="fail", evidence=("I have never said that",))
        return Finding(answer=("pass", "fail")[next(NUMBERS) % 2] if self.fault == "fickle" else "pass")


globals().update(cases(ProgramContract, Speaks, ["fragile", "just_true", "invents", "fickle"]))


class Lenient:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        if self.fault == "at_least_one":
            requests = requests or [None]  # type: ignore[list-item]
        verdicts = [self.verdict(request) for request in requests]
        return verdicts[self.fault == "drops_one" :] if self.fault != "by_place" else self.ranked(requests)

    def ranked(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        return [Verdict(status="scored", score=3 if index else 0) for index, _ in enumerate(requests)]

    def verdict(self, request: JudgeRequest) -> Verdict:
        if self.fault == "unknown_mode":
            return Verdict(status="scored", score=0, failure_modes=("no such mode",))
        if self.fault == "invents":
            return Verdict(status="scored", score=0, evidence=("I have never said that",))
        return Verdict(status="scored", score=3)


globals().update(
    cases(JudgeContract, Lenient, ["at_least_one", "drops_one", "by_place", "unknown_mode", "invents"])
)


class Drafting:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    async def mine(self, trajectories: Sequence[Trajectory]) -> list[Prototype]:
        draft = sample_prototype(lifecycle={"status": "draft"}, provenance={"source": "mined"})
        if self.fault == "restless":
            draft = evolve(draft, title=f"Title {next(NUMBERS)}")
        if self.fault == "no_status":
            draft = evolve(draft, lifecycle={})
        if self.fault == "one_level":
            draft = evolve(draft, failure_modes=())
        if self.fault == "breaks" and any(not each.messages for each in trajectories):
            raise ValueError("no messages")
        if self.fault == "finds_nothing" or (not trajectories and self.fault != "at_least_one"):
            return []
        return [draft]


MINER_FAULTS = "restless no_status one_level breaks finds_nothing at_least_one"
globals().update(cases(MinerContract, Drafting, MINER_FAULTS.split()))
