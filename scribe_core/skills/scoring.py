"""The one scoring rule: from what was found about a span to its verdict.

A subgoal starts at 3 and is lowered to the smallest `caps` among its failed checks and found failure modes.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scribe_core.skills.prototype import Check, FailureMode, Prototype
from scribe_core.types import Finding, Verdict

UNDECIDED = Finding(answer="undecided", reason="nobody looked")


def apply_rubric(
    prototype: Prototype, checks: Mapping[str, Finding], modes: Mapping[str, Finding]
) -> Verdict:
    """The verdict that follows from the findings, which are by the ids of checks and failure modes.

    A check's "fail" lowers the score to its caps, and so does a mode's "fail", which says that the mistake
    was found. A missing check is undecided; a mode that is missing or undecided lowers nothing. The verdict
    is abstained where an undecided check could still lower the score, and where nothing applies at all.
    A check whose `evidence` is "required" is undecided as long as its failure comes without a quote.
    """
    answered = {check.id: _admissible(check, checks.get(check.id, UNDECIDED)) for check in prototype.checks}
    lowered = sorted(_lowered(prototype, answered, modes), key=lambda item: item.caps)
    score = min((item.caps for item in lowered), default=3)
    open_ = [c for c in prototype.checks if answered[c.id].answer == "undecided" and c.caps < score]
    if open_:
        reason = "; ".join(
            f"{check.id} is undecided: {_reason(answered[check.id], check)}" for check in open_
        )
        return _verdict(None, reason, lowered)
    if not lowered and all(finding.answer == "not_applicable" for finding in answered.values()):
        return _verdict(None, "no check applies", lowered)
    if lowered:
        reason = "; ".join(f"{item.id} (at most {item.caps}): {item.reason}" for item in lowered)
        return _verdict(score, reason, lowered)
    passed = [finding for finding in answered.values() if finding.answer == "pass"]
    return _verdict(score, "every check that applies holds", (), _quotes(passed))


class _Lowered(NamedTuple):
    """A failed check or a found failure mode."""

    id: str
    caps: int
    is_mode: bool
    reason: str
    finding: Finding


def _admissible(check: Check, finding: Finding) -> Finding:
    if check.evidence == "required" and finding.answer == "fail" and not any(finding.evidence):
        return Finding(answer="undecided", reason=f"it failed without a quote: {_reason(finding, check)}")
    return finding


def _lowered(
    prototype: Prototype, checks: Mapping[str, Finding], modes: Mapping[str, Finding]
) -> Iterator[_Lowered]:
    for check in prototype.checks:
        if checks[check.id].answer == "fail":
            yield _Lowered(check.id, check.caps, False, _reason(checks[check.id], check), checks[check.id])
    for mode in prototype.failure_modes:
        finding = modes.get(mode.id, UNDECIDED)
        if finding.answer == "fail":
            yield _Lowered(mode.id, mode.caps, True, _reason(finding, mode), finding)


def _reason(finding: Finding, about: Check | FailureMode) -> str:
    return finding.reason or (about.question if isinstance(about, Check) else about.description)


def _quotes(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(quote for finding in findings for quote in finding.evidence if quote))


def _verdict(
    score: int | None,
    reason: str,
    lowered: tuple[_Lowered, ...] | list[_Lowered],
    evidence: tuple[str, ...] = (),
) -> Verdict:
    return Verdict(
        status="abstained" if score is None else "scored",
        score=None if score is None else float(score),
        reason=reason,
        failed_checks=tuple(item.id for item in lowered if not item.is_mode),
        failure_modes=tuple(item.id for item in lowered if item.is_mode),
        evidence=evidence or _quotes([item.finding for item in lowered]),
    )
