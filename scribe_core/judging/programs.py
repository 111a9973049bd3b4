"""What programs find out about a span."""

import reprlib
from collections.abc import Mapping
from functools import cache
from typing import get_args

import structlog

from scribe_core.builders import build
from scribe_core.errors import ConfigError, suggest
from scribe_core.protocols import Program
from scribe_core.skills import Check, FailureMode, Prototype
from scribe_core.spans import span_text
from scribe_core.types import Answer, Finding, Subgoal

log = structlog.get_logger("scribe.judge")


def find_all(
    prototype: Prototype, subgoal: Subgoal, programs: Mapping[str, Program] | None = None
) -> dict[str, Finding]:
    """The finding of each check and failure mode that names a program, by id.

    `programs` by name stand in for the installed ones. A program that breaks leaves its question undecided.
    Raises ConfigError where the prototype names a program that does not exist.
    """
    # Every program is looked up before one runs, so that a missing one shows on the first span.
    items = [item for item in prototype.checks + prototype.failure_modes if item.program is not None]
    found = [_named(item, prototype, programs) for item in items]
    return {
        item.id: _find(program, subgoal, item.program) for item, program in zip(items, found, strict=True)
    }


def _named(
    item: Check | FailureMode, prototype: Prototype, programs: Mapping[str, Program] | None
) -> Program:
    name = str(item.program)
    try:
        if programs is None:
            return installed_program(name)
        if name not in programs:
            raise ConfigError(f"there is no program {name!r}{suggest(name, programs)}")
        return programs[name]
    except ConfigError as error:
        raise ConfigError(f"prototype {prototype.id!r}, {item.id!r}: {error}") from None


@cache
def installed_program(name: str) -> Program:
    """The installed program of this name. Raises ConfigError with the choices."""
    from scribe_core.registry import Registry

    builder = Registry.installed().get("programs", name)
    program: Program = build(builder())
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
