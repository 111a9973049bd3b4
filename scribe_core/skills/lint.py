"""What the schema cannot say about a skill library: that its rubrics can be reached, decided and reused."""

import re
from collections.abc import Callable, Collection, Iterator
from itertools import combinations

from attrs import frozen

from scribe_core.errors import ConfigError, DataError, suggest
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.skills.library import Library
from scribe_core.skills.prototype import CalibrationCase, Check, FailureMode, Prototype
from scribe_core.spans import whole
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Span, Subgoal, Trajectory

MAX_MODEL_CHECKS = 3
"""Checks without a program; more of them in one prompt make a model judge careless."""
MAX_RUBRIC_TOKENS = 1500
"""What a judge's prompt spends on a rubric at most, by a cautious guess."""
CHARACTERS_PER_TOKEN = 3
NOT_CHECKED = "not checked"
"""The rule of what is noted and is no problem: a calibration case that the judge at hand cannot decide."""
NEAR_DUPLICATE = 0.8
"""Jaccard similarity of the words of two `when_to_use` above which no router tells them apart."""


@frozen(order=True)
class Problem:
    """What is wrong with a prototype, by which rule of lint."""

    prototype: str
    rule: str
    message: str


def lint(library: Library, programs: Collection[str]) -> list[Problem]:
    """All problems of a library but those of calibration; `programs` are the names that exist."""
    found = [
        Problem(prototype.id, rule, message)
        for prototype in library.values()
        for rule, messages in _RULES.items()
        for message in messages(prototype)
    ]
    found += _unknown_programs(library, programs)
    found += _confusable(library)
    found += _near_duplicates(library)
    try:
        _ = library.general
    except ConfigError as error:
        found.append(Problem("general", "general", str(error)))
    return sorted(found)


async def calibration_problems(library: Library, judge: Judge) -> list[Problem]:
    """The calibration cases that `judge` does not score as they are labelled.

    Problems with the rule "not checked" are none: there the judge abstained, and the prototype has checks
    that only a model decides.
    """
    found, cases, requests = [], [], []
    for prototype in library.values():
        for index, case in enumerate(prototype.calibration):
            try:
                requests.append(calibration_request(prototype, case))
                cases.append((prototype.id, f"calibration[{index}] ({case.source})", case))
            except DataError as error:
                found.append(Problem(prototype.id, "calibration", f"calibration[{index}].span: {error}"))
    verdicts = await judge.judge(requests) if requests else []
    for (id_, name, case), verdict in zip(cases, verdicts, strict=True):
        if verdict.status == "abstained" and any(check.program is None for check in library[id_].checks):
            found.append(Problem(id_, NOT_CHECKED, f"{name} needs a model: {verdict.reason}"))
        elif verdict.score != case.score:
            got = verdict.status if verdict.score is None else f"{verdict.score:g}"
            message = f"{name} is labelled {case.score:g} and judged {got}: {verdict.reason}"
            found.append(Problem(id_, "calibration", message))
    return sorted(found)


def calibration_request(prototype: Prototype, case: CalibrationCase) -> JudgeRequest:
    """A calibration case as a judge gets it: what follows the last request, or all by its scope.

    Raises DataError where the case is no trajectory, or its policy never speaks.
    """
    trajectory = parse_trajectory(case.span)
    span = whole(trajectory) if prototype.scope == "trajectory" else _last_answer(trajectory)
    return JudgeRequest(subgoal=Subgoal(trajectory=trajectory, span=span), prototype=prototype)


def _last_answer(trajectory: Trajectory) -> Span:
    roles = [message.role for message in trajectory.messages]
    after = max((index + 1 for index, role in enumerate(roles) if role == "user"), default=0)
    if "assistant" not in roles[after:]:
        raise DataError(
            "messages: no assistant message after the last user message; there is nothing to judge"
        )
    return Span((roles.index("assistant", after), 0), (len(roles), 0))


def _unreachable_levels(prototype: Prototype) -> Iterator[str]:
    items: tuple[Check | FailureMode, ...] = prototype.checks + prototype.failure_modes
    for level in sorted({0, 1, 2} - {item.caps for item in items}):
        yield f"no check or failure mode has caps {level}, so no span can score {level}; add one"


def _instance_numbers(prototype: Prototype) -> Iterator[str]:
    criteria = {"when_to_use": prototype.when_to_use}
    criteria |= {f"rubric.{level}": text for level, text in prototype.rubric.items()}
    criteria |= {f"checks.{check.id}": check.question for check in prototype.checks}
    criteria |= {f"failure_modes.{mode.id}": mode.description for mode in prototype.failure_modes}
    for where, text in criteria.items():
        if number := re.search(r"\d{2,}", text):
            yield f"{where}: {number[0]!r} looks like a number of one problem; say it for all of them"


def _compound_questions(prototype: Prototype) -> Iterator[str]:
    for check in prototype.checks:
        if ";" in check.question or check.question.count("?") > 1:
            yield f"checks.{check.id}: it asks more than one thing; split it into checks of one question each"


def _many_model_checks(prototype: Prototype) -> Iterator[str]:
    asked = [check.id for check in prototype.checks if check.program is None]
    if len(asked) > MAX_MODEL_CHECKS:
        yield f"{', '.join(asked)} have no program; at most {MAX_MODEL_CHECKS} checks may be left to a model"


def _token_budget(prototype: Prototype) -> Iterator[str]:
    texts = [prototype.title, prototype.when_to_use, *prototype.reasoning_pattern, *prototype.rubric.values()]
    texts += [check.question for check in prototype.checks if check.program is None]
    texts += [mode.description for mode in prototype.failure_modes]
    tokens = sum(map(len, texts)) // CHARACTERS_PER_TOKEN
    if tokens > MAX_RUBRIC_TOKENS:
        yield f"its rubric takes about {tokens} tokens of every prompt; {MAX_RUBRIC_TOKENS} are enough, shorten it"


_RULES: dict[str, Callable[[Prototype], Iterator[str]]] = {
    "levels": _unreachable_levels,
    "instance-numbers": _instance_numbers,
    "compound": _compound_questions,
    "model-checks": _many_model_checks,
    "token-budget": _token_budget,
}


def _unknown_programs(library: Library, programs: Collection[str]) -> Iterator[Problem]:
    for prototype in library.values():
        for item in prototype.checks + prototype.failure_modes:
            if item.program is not None and item.program not in programs:
                message = f"{item.id}: there is no program {item.program!r}{suggest(item.program, programs)}"
                yield Problem(prototype.id, "programs", message)


def _confusable(library: Library) -> Iterator[Problem]:
    for prototype in library.values():
        for other in prototype.routing.confusable_with:
            if other not in library or other == prototype.id:
                choices = set(library) - {prototype.id}
                message = f"confusable_with: {other!r} is no other prototype here{suggest(other, choices)}"
                yield Problem(prototype.id, "confusable", message)


def _near_duplicates(library: Library) -> Iterator[Problem]:
    for one, other in combinations(library.values(), 2):
        if alike(one.when_to_use, other.when_to_use) > NEAR_DUPLICATE:
            message = (
                f"when_to_use says nearly the same as that of {other.id!r}; tell them apart, or merge them"
            )
            yield Problem(one.id, "near-duplicate", message)


def alike(one: str, other: str) -> float:
    """Jaccard similarity of the words of two texts, in [0, 1]."""
    left, right = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
    return len(left & right) / len(left | right) if left | right else 0.0
