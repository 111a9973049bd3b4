"""Reading a model's reply: the last verdict that it gives, as JSON or as plain lines; what it does not say stays open."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from attrs import frozen

from scribe_core.judging.asking import Question

T = TypeVar("T")

LONGEST = 64 * 1024
"""Characters of a reply that are read, from its end: the verdict comes last."""
MAX_STARTS = 256
"""Places in a reply that are tried as the start of an object, counted from its end."""

_DECODER = json.JSONDecoder(strict=False)


@frozen(kw_only=True)
class Answer:
    """What a model answered to one question; `probabilities` by answer where it gave those."""

    answer: str
    reason: str = ""
    quote: str = ""
    probabilities: Mapping[str, float] | None = None


def read_reply(text: str, questions: Sequence[Question]) -> dict[str, Answer]:
    """The answers by question id; a question that has none, or none that counts, is missing.

    Of several verdicts the last one counts: what stands before it may be thought, or quoted from the span.
    """
    text = text[-LONGEST:]
    found: dict[str, Answer] = {}
    read = 0
    for value, end in objects(text):
        if answers := _answers(value, questions):
            found, read = answers, end
    later = _plain(text[read:], questions)
    if len(later) < len(questions):
        return found or later
    # Plain lines after an object are the last verdict; where they only repeat it, it has the reasons and quotes.
    same = {id_ for id_, given in found.items() if given.answer == later[id_].answer}
    return {id_: found[id_] if id_ in same else given for id_, given in later.items()}


def read_probabilities(text: str, questions: Sequence[Question]) -> dict[str, Answer]:
    """The answers of an endpoint that gives probabilities; a question whose numbers are none is missing."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found = {}
    for question in questions:
        given = table.get(question.id) if isinstance(table, dict) else None
        if isinstance(given, dict) and _is_distribution([given.get(a) for a in question.answers]):
            probabilities = {answer: float(given[answer]) for answer in question.answers}
            answer = max(probabilities, key=probabilities.__getitem__)
            found[question.id] = Answer(answer=answer, probabilities=probabilities)
    return found


def _is_distribution(chances: Sequence[Any]) -> bool:
    """Whether these are the probabilities of different answers, which leave some over at most."""
    return all(type(p) in (int, float) and 0 <= p <= 1 for p in chances) and math.fsum(chances) <= 1 + 1e-4


def last_said(text: str, read: Callable[[Mapping[str, Any]], T | None]) -> T | None:
    """What `read` makes of the last object in a reply of which it makes anything."""
    found = [said for value, _ in objects(text[-LONGEST:]) if (said := read(value)) is not None]
    return found[-1] if found else None


def objects(text: str) -> Iterator[tuple[dict[str, Any], int]]:
    """The outermost JSON objects in a text, in order, each with where it ends."""
    # Quotes in a JSON text are escaped, so no brace that a verdict quotes uses up the starts.
    starts = [match.start() for match in re.finditer(r'\{(?=\s*")', text)][-MAX_STARTS:]
    end = 0
    for start in starts:
        if start < end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value, end


def _answers(value: Mapping[str, Any], questions: Sequence[Question]) -> dict[str, Answer]:
    found = {}
    for question in questions:
        given = value.get(question.id)
        entry = given if isinstance(given, dict) else {"answer": given}
        if (answer := _counted(entry.get("answer"), question)) is not None:
            reason, quote = entry.get("reason"), entry.get("quote")
            found[question.id] = Answer(
                answer=answer,
                reason=reason if isinstance(reason, str) else "",
                quote=quote if isinstance(quote, str) else "",
            )
    return found


def _counted(answer: object, question: Question) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, (str, int)):
        return None
    word = str(answer)[:40].strip().strip("\"'`*.").lower()
    return word if word in question.answers else None


def _plain(text: str, questions: Sequence[Question]) -> dict[str, Answer]:
    """From lines like `id: answer`; the last line of a question counts."""
    found = {}
    for question in questions:
        if matches := _line(question.id, question.answers).findall(text):
            found[question.id] = Answer(answer=matches[-1].lower())
    return found


@lru_cache(maxsize=1024)
def _line(id_: str, answers: tuple[str, ...]) -> re.Pattern[str]:
    allowed = "|".join(map(re.escape, answers))
    pattern = rf"^[\s\-*#>\"'`]*{re.escape(id_)}[\"'`*]*\s*[:=]\s*[\"'`*]*({allowed})\b[\"'`*.,]*\s*$"
    return re.compile(pattern, re.MULTILINE | re.IGNORECASE)
