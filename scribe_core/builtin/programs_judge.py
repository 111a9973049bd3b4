"""The judge `programs`: every question that names a program is decided by it, and no model is asked.

Checks without a program stay undecided, failure modes without one are not looked for. One input always has
one verdict.
"""

import reprlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar, get_args

import structlog
from attrs import frozen

from scribe_core.errors import ConfigError, suggest
from scribe_core.protocols import Judge, JudgeRequest, Program
from scribe_core.skills import Check, FailureMode, Prototype, apply_rubric
from scribe_core.spans import span_text
from scribe_core.types import Answer, Finding, Subgoal, Verdict

log = structlog.get_logger("scribe.judge")


@frozen(kw_only=True)
class ProgramsJudge:
    """Decides what prototypes leave to programs; asks no model."""

    name: ClassVar[str] = "programs"

    def build(self) -> Judge:
        return ProgramVerdicts()


@frozen
class ProgramVerdicts:
    """The judge itself. `programs` by name stand in for the installed ones."""

    programs: Mapping[str, Program] | None = None

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Raises ConfigError where a prototype names a program that does not exist."""
        return [self._verdict(request.prototype, request.subgoal) for request in requests]

    def _verdict(self, prototype: Prototype, subgoal: Subgoal) -> Verdict:
        # Every program is looked up before one runs, so that a missing one shows on the first span.
        items = [item for item in prototype.checks + prototype.failure_modes if item.program is not None]
        programs = [self._named(item, prototype) for item in items]
        findings = {
            item.id: _find(program, subgoal, item.program)
            for item, program in zip(items, programs, strict=True)
        }
        return apply_rubric(prototype, findings, findings)

    def _named(self, item: Check | FailureMode, prototype: Prototype) -> Program:
        name = str(item.program)
        try:
            if self.programs is None:
                return installed_program(name)
            if name not in self.programs:
                raise ConfigError(f"there is no program {name!r}{suggest(name, self.programs)}")
            return self.programs[name]
        except ConfigError as error:
            raise ConfigError(f"prototype {prototype.id!r}, {item.id!r}: {error}") from None


@cache
def installed_program(name: str) -> Program:
    """The installed program of this name. Raises ConfigError with the choices."""
    from scribe_core.registry import Registry

    builder = Registry.installed().get("programs", name)
    try:
        program: Program = builder().build()
    except Exception as error:
        raise ConfigError(f"the program {name!r} cannot be built: {type(error).__name__}: {error}") from error
    return program


def _find(program: Program, subgoal: Subgoal, name: str | None) -> Finding:
    """What a program finds; one that breaks has found nothing out, and the run goes on."""
    try:
        finding = program(subgoal)
        problem = _wrong_with(finding, subgoal)
        if not problem:
            return finding
    except Exception as error:
        problem = f"it raised {type(error).__name__}: {error}"
    log.warning("program_broke", program=name, trajectory=subgoal.trajectory.id, problem=problem)
    return Finding(answer="undecided", reason=f"the program {name} broke: {problem}")


def _wrong_with(finding: object, subgoal: Subgoal) -> str:
    """Why what a program returned cannot be believed; empty where it can."""
    if not isinstance(finding, Finding):
        return f"it returned {type(finding).__name__}, not a Finding"
    if finding.answer not in get_args(Answer):
        return f"it answered {reprlib.repr(finding.answer)}{suggest('', get_args(Answer))}"
    if not isinstance(finding.evidence, tuple):
        return f"its evidence is {type(finding.evidence).__name__}, not a tuple of quotes"
    text = span_text(subgoal) if finding.evidence else ""
    for quote in finding.evidence:
        if not isinstance(quote, str) or quote not in text:
            return f"its evidence {reprlib.repr(quote)} does not stand in the span"
    return ""
