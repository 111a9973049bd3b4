"""The judge `programs`: every question that names a program is decided by it, and no model is asked.

Checks without a program stay undecided, failure modes without one are not looked for. One input always has
one verdict.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import frozen

from scribe_core.judging.programs import find_all
from scribe_core.protocols import Estimate, Judge, JudgeRequest, Program
from scribe_core.skills import Prototype, apply_rubric
from scribe_core.types import Verdict


@frozen(kw_only=True)
class ProgramsJudge:
    """Decides what prototypes leave to programs; asks no model."""

    name: ClassVar[str] = "programs"

    def build(self) -> Judge:
        return ProgramVerdicts()

    def estimate(self, prototype: Prototype) -> Estimate:  # noqa: ARG002
        return Estimate()


@frozen
class ProgramVerdicts:
    """The judge itself. `programs` by name stand in for the installed ones."""

    programs: Mapping[str, Program] | None = None

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Raises ConfigError where a prototype names a program that does not exist."""
        return [self._verdict(request) for request in requests]

    def _verdict(self, request: JudgeRequest) -> Verdict:
        findings = find_all(request.prototype, request.subgoal, self.programs)
        return apply_rubric(request.prototype, findings, findings)
