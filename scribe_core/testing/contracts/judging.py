"""What judges and programs keep: an answer for every span, and no quote that the span does not hold."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest

from scribe_core import aio
from scribe_core.protocols import Judge, JudgeRequest, Program
from scribe_core.skills import Prototype
from scribe_core.spans import span_text
from scribe_core.testing.contracts.builders import BuilderContract
from scribe_core.testing.contracts.scoring import parts
from scribe_core.testing.samples import (
    awkward_trajectories,
    sample_prototype,
    sample_subgoal,
    sample_trajectory,
)
from scribe_core.types import Answer, Finding, Subgoal, Verdict


def hostile_subgoals() -> list[Subgoal]:
    """Whole trajectories and single messages, ordinary, malformed and written against the judge."""
    trajectories = [sample_trajectory(), *awkward_trajectories()]
    whole = [sample_subgoal(trajectory) for trajectory in trajectories]
    return whole + [part for trajectory in trajectories for part in parts(trajectory)]


class ProgramContract(BuilderContract):
    """Finds something out about any span, always the same, and quotes only what is there."""

    kind = "programs"

    @pytest.fixture
    def program(self, given: Any) -> Any:
        return given.build()

    def test_answers_for_any_span(self, program: Program) -> None:
        for subgoal in hostile_subgoals():
            finding = program(subgoal)
            assert isinstance(finding, Finding)
            assert finding.answer in get_args(Answer)

    def test_quotes_are_verbatim(self, program: Program) -> None:
        for subgoal in hostile_subgoals():
            check_quotes(subgoal, program(subgoal).evidence)

    def test_repeats_itself(self, program: Program) -> None:
        for subgoal in hostile_subgoals():
            assert program(subgoal) == program(subgoal)


class JudgeContract(BuilderContract):
    """A valid verdict for every request; override `prototype` with one that the judge can decide."""

    kind = "judges"

    def prototype(self) -> Prototype:
        return sample_prototype()

    def requests(self) -> list[JudgeRequest]:
        return [JudgeRequest(subgoal=each, prototype=self.prototype()) for each in hostile_subgoals()]

    @pytest.fixture
    def judge(self, given: Any) -> Any:
        return given.build()

    def test_one_valid_verdict_each(self, judge: Judge) -> None:
        verdicts = aio.run(_judged(judge, self.requests()))
        assert len(verdicts) == len(self.requests())
        for request, verdict in zip(self.requests(), verdicts, strict=True):
            check_verdict(request, verdict)

    def test_nothing_to_judge(self, judge: Judge) -> None:
        assert aio.run(_judged(judge, [])) == []

    def test_verdicts_are_in_order(self, judge: Judge) -> None:
        there = aio.run(_judged(judge, self.requests()))
        back = aio.run(_judged(judge, self.requests()[::-1]))[::-1]
        assert [(each.status, each.score) for each in back] == [(each.status, each.score) for each in there]


async def _judged(judge: Judge, requests: Sequence[JudgeRequest]) -> list[Verdict]:
    return await judge.judge(requests)


def check_verdict(request: JudgeRequest, verdict: Verdict) -> None:
    """Fails where a verdict names what its prototype does not have, or quotes what the span does not hold."""
    assert isinstance(verdict, Verdict)
    assert (verdict.score is not None) == (verdict.status == "scored")
    assert {*verdict.failed_checks} <= {check.id for check in request.prototype.checks}
    assert {*verdict.failure_modes} <= {mode.id for mode in request.prototype.failure_modes}
    check_quotes(request.subgoal, verdict.evidence)


def check_quotes(subgoal: Subgoal, quotes: Sequence[str]) -> None:
    """Fails where a quote does not stand in the span, character for character."""
    text = span_text(subgoal)
    for quote in quotes:
        assert quote, "an empty quote shows nothing"
        assert quote in text, f"{quote!r:.200} is no quote of the span"
