from typing import Any

import pytest
from structlog.testing import capture_logs

from scribe_core import aio
from scribe_core.builtin.programs_judge import ProgramsJudge, ProgramVerdicts
from scribe_core.errors import ConfigError
from scribe_core.protocols import JudgeRequest, Program
from scribe_core.skills import Check, FailureMode, Prototype
from scribe_core.testing import JudgeContract, sample_prototype, sample_subgoal
from scribe_core.types import Answer, Finding, Subgoal, Verdict


class TestProgramsJudge(JudgeContract):
    def builder(self) -> ProgramsJudge:
        return ProgramsJudge()


def prototype(*programs: str | None, modes: tuple[str | None, ...] = ()) -> Prototype:
    """A check with caps 0 for the first program, 1 for the second, ...; and failure modes with caps 1."""
    return sample_prototype(
        checks=tuple(Check(id=f"c{i}", question="Is it?", caps=i, program=p) for i, p in enumerate(programs)),
        failure_modes=tuple(
            FailureMode(id=f"m{i}", description="It is.", caps=1, program=p) for i, p in enumerate(modes)
        ),
    )


def says(answer: Answer, *quotes: str) -> Program:
    return lambda _: Finding(answer=answer, evidence=quotes, reason=f"it says {answer}")


PROGRAMS: dict[str, Program] = {
    "yes": says("pass", "Paris"),
    "no": says("fail", "Rome"),
    "whatever": says("not_applicable"),
    "unsure": says("undecided"),
}


def verdict(prototype: Prototype, **programs: Any) -> Verdict:
    judge = ProgramVerdicts({**PROGRAMS, **programs})

    async def judged() -> list[Verdict]:
        return await judge.judge([JudgeRequest(subgoal=sample_subgoal(), prototype=prototype)])

    (found,) = aio.run(judged())
    return found


def test_all_checks_hold() -> None:
    found = verdict(prototype("yes", "whatever"))
    assert (found.status, found.score, found.failed_checks, found.evidence) == ("scored", 3.0, (), ("Paris",))


def test_a_failed_check_caps_the_score() -> None:
    found = verdict(prototype("yes", "no", "no"))
    assert (found.score, found.failed_checks, found.evidence) == (1.0, ("c1", "c2"), ("Rome",))
    assert "c1 (at most 1): it says fail" in found.reason


def test_a_failure_mode_is_looked_for_by_its_program() -> None:
    found = verdict(prototype("yes", modes=("yes", "no", None)))
    assert (found.score, found.failure_modes) == (1.0, ("m1",))


def test_a_check_without_a_program_is_undecided() -> None:
    found = verdict(prototype("yes", None))
    assert (found.status, found.score) == ("abstained", None)
    assert "c1" in found.reason


def test_no_check_applies() -> None:
    assert verdict(prototype("whatever")).status == "abstained"


def test_a_program_gets_the_span() -> None:
    seen: list[Subgoal] = []

    def look(subgoal: Subgoal) -> Finding:
        seen.append(subgoal)
        return Finding(answer="pass")

    verdict(prototype("look"), look=look)
    assert seen == [sample_subgoal()]


@pytest.mark.parametrize("broken", [lambda _: 1 / 0, lambda _: "pass", lambda: None])
def test_a_broken_program_decides_nothing_and_stops_nothing(broken: Any) -> None:
    with capture_logs() as logs:
        found = verdict(prototype("broken", "yes"), broken=broken)
    assert found.status == "abstained"
    assert "broken broke" in found.reason
    assert [(entry["log_level"], entry["program"]) for entry in logs] == [("warning", "broken")]


@pytest.mark.parametrize(
    ("finding", "problem"),
    [
        (
            Finding(answer="fail", evidence=("Paris", "paris is lovely")),
            "its evidence 'paris is lovely' does not stand in the span",
        ),
        (Finding(answer="pass", evidence=("London",)), "its evidence 'London' does not stand in the span"),
        (Finding(answer="fail", evidence="Paris"), "its evidence is str, not a tuple of quotes"),  # type: ignore[arg-type]
        (Finding(answer="fail", evidence=(7,)), "its evidence 7 does not stand in the span"),  # type: ignore[arg-type]
        (Finding(answer="maybe"), "it answered 'maybe' (choices: fail, not_applicable, pass, undecided)"),  # type: ignore[arg-type]
    ],
)
def test_what_a_program_invents_decides_nothing(finding: Finding, problem: str) -> None:
    """A quote that the span does not hold is no evidence, and neither is the answer that rests on it."""
    with capture_logs() as logs:
        found = verdict(prototype("made_up", "yes"), made_up=lambda _: finding)
    assert (found.status, found.score, found.failed_checks) == ("abstained", None, ())
    assert f"c0 is undecided: the program made_up broke: {problem}" in found.reason
    assert [(entry["log_level"], entry["program"], entry["problem"]) for entry in logs] == [
        ("warning", "made_up", problem)
    ]


def test_an_unknown_program_is_an_error_that_says_where() -> None:
    with pytest.raises(ConfigError, match=r"'call-a-tool', 'c1'.*'yess'; did you mean 'yes'\?.*unsure"):
        verdict(prototype("yes", "yess"))


def test_installed_programs_are_found_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'call-a-tool', 'c0'.*'no-such-program'"):
        aio.run(_judged(prototype("no-such-program")))


async def _judged(prototype: Prototype) -> list[Verdict]:
    return await ProgramsJudge().build().judge([JudgeRequest(subgoal=sample_subgoal(), prototype=prototype)])
