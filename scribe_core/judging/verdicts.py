"""From a model's answers to a verdict. An answer without the evidence that it needs is no answer."""

import math
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve

from scribe_core.judging.asking import Question
from scribe_core.judging.fence import Neutral
from scribe_core.judging.prompts import NO_MODE
from scribe_core.judging.replies import Answer
from scribe_core.skills import Check, FailureMode, Prototype, apply_rubric
from scribe_core.types import Answer as FindingAnswer
from scribe_core.types import Finding, Verdict

ABSTAINED = 1.0
"""What an abstention is worth beside a score."""
TRUSTED_MASS = 0.5
"""Probability on the answers asked for, below which a model has not answered."""

Findings = Mapping[str, Finding]
Answers = Mapping[str, Answer]

_AS_FINDING: Mapping[str, FindingAnswer] = {
    "pass": "pass",
    "fail": "fail",
    "not_applicable": "not_applicable",
    "absent": "pass",
    "present": "fail",
}


def programs_cap(prototype: Prototype, found: Findings) -> int:
    """The score that programs leave possible."""
    items = prototype.checks + prototype.failure_modes
    return min((i.caps for i in items if i.id in found and found[i.id].answer == "fail"), default=3)


def checklist(
    prototype: Prototype, found: Findings, questions: Sequence[Question], answers: Answers, text: Neutral
) -> Verdict:
    """By the one scoring rule, from what programs found and a model answered."""
    asked = {question.id: _finding(question, answers[question.id], text) for question in questions}
    for mode in prototype.failure_modes:
        if mode.id in asked and asked[mode.id].answer == "undecided":
            return _abstained(f"{mode.id}: {asked[mode.id].reason}")
    findings = {**found, **asked}
    return apply_rubric(prototype, findings, findings)


def holistic(prototype: Prototype, found: Findings, answers: Answers, text: Neutral) -> Verdict:
    """The level that the model named, lowered to what the mistake that it named and the programs allow."""
    score, mode = answers["score"], answers.get("failure_mode")
    quote = text.locate(score.quote)
    if quote is None:
        return _abstained(
            f"its evidence {score.quote[:80]!r} does not stand in the span; it said: {score.reason}"
        )
    named = [m for m in prototype.failure_modes if mode is not None and m.id == mode.answer]
    level = min(float(score.answer), programs_cap(prototype, found), *(m.caps for m in named))
    return Verdict(
        status="scored",
        score=level,
        reason=score.reason,
        failed_checks=_failed_by_programs(prototype, found),
        failure_modes=tuple(m.id for m in named),
        evidence=(quote,),
    )


def worthless(reason: str) -> Verdict:
    """The verdict on what only the policy can have caused, and what no judge needs to be asked about."""
    return Verdict(status="scored", score=0.0, reason=reason)


def too_long(prototype: Prototype, tokens: int) -> Verdict:
    """The verdict on a span that is longer than a judge reads.

    The policy alone decides how long its subgoals are, so that an abstention would pay. A trajectory as a whole may
    well be long.
    """
    reason = f"what the policy wrote does not fit into a prompt of {tokens} tokens"
    return _abstained(reason) if prototype.scope == "trajectory" else worthless(reason)


def lower(as_it_is: Verdict, without_pleas: Verdict) -> Verdict:
    """The lower of two verdicts on a span, at the cost of both; a failed one where either failed."""
    verdict = min(as_it_is, without_pleas, key=_worth)
    reason = verdict.reason
    if verdict is without_pleas:
        reason = f"without what speaks to the grader: {reason}"
    return evolve(
        verdict,
        reason=reason,
        usage=as_it_is.usage + without_pleas.usage,
        cached=as_it_is.cached and without_pleas.cached,
    )


def _worth(verdict: Verdict) -> float:
    if verdict.status == "failed":
        return -math.inf
    return ABSTAINED if verdict.score is None else verdict.score


def direct(answers: Answers) -> Verdict:
    """The score that the model named."""
    return Verdict(status="scored", score=float(answers["score"].answer), reason=answers["score"].reason)


def expected_checklist(prototype: Prototype, found: Findings, answers: Answers) -> Verdict:
    """The expected score where a model gave probabilities.

    P(score >= s) is the product, over the checks and failure modes with caps < s, of their chance to hold;
    the expected score is its sum over s = 1, 2, 3.
    """
    outside = _outside(answers.values())
    if outside > 1 - TRUSTED_MASS:
        return _unanswered(outside)
    by_program = apply_rubric(prototype, {**found, **_as_passes(answers)}, found)
    if by_program.status != "scored":
        return by_program
    items = prototype.checks + prototype.failure_modes
    holds = {item.id: _chance_to_hold(item, found, answers) for item in items}
    score = math.fsum(math.prod(holds[i.id] for i in items if i.caps < level) for level in (1, 2, 3))
    return Verdict(
        status="scored",
        score=min(score, 3.0),
        reason="; ".join(f"{id_} holds with {holds[id_]:.2f}" for id_ in answers),
        failed_checks=tuple(check.id for check in prototype.checks if holds[check.id] < 0.5),
        failure_modes=tuple(mode.id for mode in prototype.failure_modes if holds[mode.id] < 0.5),
        evidence=by_program.evidence,
        outside=outside,
    )


def expected_level(prototype: Prototype, found: Findings, answers: Answers) -> Verdict:
    """The expected level where a model gave probabilities, each lowered to what the mistake and the programs allow."""
    outside = _outside(answers.values())
    if outside > 1 - TRUSTED_MASS:
        return _unanswered(outside)
    caps = {mode.id: mode.caps for mode in prototype.failure_modes}
    levels = _normalised(answers["score"])
    modes = _normalised(answers["failure_mode"]) if "failure_mode" in answers else {NO_MODE: 1.0}
    most = programs_cap(prototype, found)
    score = math.fsum(
        p * q * min(float(level), caps.get(mode, 3), most)
        for level, p in levels.items()
        for mode, q in modes.items()
    )
    return Verdict(
        status="scored",
        score=min(score, 3.0),
        reason=", ".join(f"{level}: {chance:.2f}" for level, chance in levels.items()),
        failed_checks=_failed_by_programs(prototype, found),
        failure_modes=tuple(id_ for id_ in caps if modes.get(id_, 0) >= 0.5),
        outside=outside,
    )


def _finding(question: Question, answer: Answer, text: Neutral) -> Finding:
    """A model's answer as a finding: undecided where its quote is missing or made up."""
    quote = text.locate(answer.quote) if answer.quote.strip() else None
    made_up = bool(answer.quote.strip()) and quote is None
    missing = question.needs_quote and quote is None and answer.answer != "not_applicable"
    if made_up or missing:
        what = (
            f"its evidence {answer.quote[:80]!r} does not stand in the span"
            if made_up
            else "it came without a quote"
        )
        return Finding(answer="undecided", reason=f"{answer.answer}, but {what}; it said: {answer.reason}")
    return Finding(
        answer=_AS_FINDING[answer.answer],
        evidence=(quote,) if quote else (),
        reason=answer.reason,
    )


def _as_passes(answers: Answers) -> dict[str, Finding]:
    """What a model gave probabilities for, as if it held, unless it most likely does not apply."""
    return {
        id_: Finding(answer="not_applicable" if given.answer == "not_applicable" else "pass")
        for id_, given in answers.items()
    }


def _chance_to_hold(item: Check | FailureMode, found: Findings, answers: Answers) -> float:
    if item.id in answers:
        chances = _normalised(answers[item.id])
        return 1 - chances.get("fail", 0.0) - chances.get("present", 0.0)
    return 0.0 if item.id in found and found[item.id].answer == "fail" else 1.0


def _normalised(answer: Answer) -> dict[str, float]:
    given = answer.probabilities or {}
    mass = math.fsum(given.values())
    return {name: chance / mass for name, chance in given.items()}


def _outside(answers: Iterable[Answer]) -> float:
    """The most probability that was given to anything but the answers of a question."""
    return max(max(0.0, 1 - math.fsum((answer.probabilities or {}).values())) for answer in answers)


def _failed_by_programs(prototype: Prototype, found: Findings) -> tuple[str, ...]:
    return tuple(c.id for c in prototype.checks if c.id in found and found[c.id].answer == "fail")


def _abstained(reason: str, outside: float | None = None) -> Verdict:
    return Verdict(status="abstained", reason=reason, outside=outside)


def _unanswered(outside: float) -> Verdict:
    return _abstained(f"the model gave {outside:.2f} of its probability to none of the answers", outside)
