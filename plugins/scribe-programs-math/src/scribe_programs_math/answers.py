"""The final answer: given, given once, in the form asked for, and from what was derived."""

import re
from collections.abc import Iterator
from fractions import Fraction

from attrs import frozen

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.arithmetic import UnreadableError, evaluate
from scribe_programs_math.reading import (
    NOT_APPLICABLE,
    failed,
    is_closing,
    known_text,
    own_text,
    passed,
    request,
)
from scribe_programs_math.statements import statements, value_of
from scribe_programs_math.tokens import MOST_TEXT, tokens

_SAYS_ANSWER = re.compile(
    r"(?:\b(?:final|correct) answer\b|\banswer\s*(?=is|:|=)|\bthe answer\b)[ \t*]*(?:is|:|=|to [^.:\n]{0,60}? is)[ \t*:]*"
    r"(?P<value>[^\n]{1,80})|####[ \t]*(?P<hashed>[^\n]{1,80})",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?\{")
_MOST_ANSWERS, _MOST_LENGTH = 50, 200
_ASKS_BOX = re.compile(r"\\boxed|\bin a box\b|\bboxed\b", re.IGNORECASE)
_ASKS_INTEGER = re.compile(
    r"\b(?:answer|result|solution)\b[^.\n]{0,40}\b(?:an?|as an?|nearest|be an?) (?:\w+ )?(?:integer|whole number)\b"
    r"|\bnearest (?:integer|whole number)\b|\bas an? (?:\w+ )?integer\b",
    re.IGNORECASE,
)
_ASKS_FRACTION = re.compile(
    r"\bas an? (?:\w+ )?(?:common |simplified |reduced |irreducible )?fraction\b|\bin lowest terms\b|\bas a common fraction\b",
    re.IGNORECASE,
)
_ASKS_DECIMALS = re.compile(
    r"\b(?:to|round\w*(?: your answer)? to)(?: the)? (?:(one|two|three|four|1|2|3|4) decimal (?:places?|digits?)"
    r"|nearest (tenth|hundredth|thousandth))\b",
    re.IGNORECASE,
)
_DECIMALS = {"one": 1, "two": 2, "three": 3, "four": 4, "tenth": 1, "hundredth": 2, "thousandth": 3} | {
    str(i): i for i in range(1, 5)
}
_MATHS = re.compile(
    r"[\d=$\\]|\b(?:yes|no|true|false|none|zero|one|two|three|four|five|six|seven|eight|nine|ten)\b",
    re.IGNORECASE,
)


@frozen
class Answer:
    """A final answer as it is written; `value` where it is a number."""

    text: str
    boxed: bool
    start: int
    value: Fraction | None


def answers(text: str) -> list[Answer]:
    """Final answers in the order of the text: boxed ones, and what is said to be the answer."""
    found = [*_boxed(text), *_said(text)]
    return sorted(found, key=lambda answer: answer.start)[:_MOST_ANSWERS]


def _boxed(text: str) -> Iterator[Answer]:
    for match in _BOXED.finditer(text):
        depth, end = 1, match.end()
        while end < min(len(text), match.end() + _MOST_LENGTH) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        inside = text[match.end() : end - 1] if not depth else text[match.end() : end]
        yield Answer(inside.strip(), True, match.start(), number_of(inside))


def _said(text: str) -> Iterator[Answer]:
    for match in _SAYS_ANSWER.finditer(text):
        said = match["value"] or match["hashed"] or ""
        if not _BOXED.search(said):
            said = re.split(r"\.(?=\s|$)|[;,](?=\s)|\b(?:because|since|which|so)\b", said)[0].strip(" *$")
            yield Answer(said, False, match.start(), number_of(said))


def number_of(text: str) -> Fraction | None:
    """The value of a text that is a number or arithmetic, perhaps with a unit; None where it is not."""
    found = tokens(text[:_MOST_LENGTH])
    while found and found[-1].kind in ("word", "stop"):
        found.pop()
    relation = max((i for i, token in enumerate(found) if token.kind == "relation"), default=-1)
    try:
        value = evaluate(found[relation + 1 :])
    except UnreadableError:
        return None
    return value.number if value.exact else None


@program
def answer_given(subgoal: Subgoal) -> Finding:
    """Whether the last message ends with an answer rather than without one."""
    if not is_closing(subgoal):
        return NOT_APPLICABLE
    text = own_text(subgoal).strip()
    if answers(text):
        return passed(subgoal, answers(text)[-1].text)
    tail = text[-300:]
    return (
        passed(subgoal, tail)
        if _MATHS.search(tail)
        else failed("it ends without an answer", subgoal, tail[-100:])
    )


@program
def answer_stated_once(subgoal: Subgoal) -> Finding:
    """Whether all statements of the final answer give one value."""
    found = answers(own_text(subgoal))
    if not found:
        return NOT_APPLICABLE
    boxed = [answer for answer in found if answer.boxed]
    chosen = boxed if len({_key(answer) for answer in boxed}) > 1 else found
    values = {answer.value: answer for answer in chosen if answer.value is not None}
    if len(values) > 1:
        told = [answer.text for answer in values.values()]
        return failed(f"different answers are given: {' and '.join(told[:3])[:120]}", subgoal, *told[:3])
    return passed(subgoal, found[-1].text)


def _key(answer: Answer) -> str:
    return str(answer.value) if answer.value is not None else "".join(answer.text.split())


@program
def answer_in_form(subgoal: Subgoal) -> Finding:
    """Whether the final answer has the form asked for: boxed, an integer, a reduced fraction, decimals."""
    asked, text = request(subgoal), own_text(subgoal)
    found = answers(text)
    if not is_closing(subgoal):
        return NOT_APPLICABLE
    if _ASKS_BOX.search(asked) and not _BOXED.search(text):
        return failed("a boxed answer is asked for", subgoal, found[-1].text if found else text[-80:])
    if not found:
        return NOT_APPLICABLE
    last = found[-1]
    wrong = next(_faults(asked, last), None)
    if wrong:
        return failed(wrong, subgoal, last.text)
    forms = (_ASKS_BOX, _ASKS_INTEGER, _ASKS_FRACTION, _ASKS_DECIMALS)
    return passed(subgoal, last.text) if any(form.search(asked) for form in forms) else NOT_APPLICABLE


def _faults(asked: str, last: Answer) -> Iterator[str]:
    plain = last.text.replace(" ", "")
    decimal = re.fullmatch(r"\D{0,20}?(\d[\d,]*)\.(\d+)\D{0,20}", plain)
    if last.value is None:
        return
    if _ASKS_INTEGER.search(asked) and last.value.denominator != 1:
        yield "an integer is asked for"
    if _ASKS_FRACTION.search(asked) and decimal:
        yield "a fraction is asked for"
    if _ASKS_FRACTION.search(asked) and _reducible(plain):
        yield "the fraction is not in lowest terms"
    if places := _ASKS_DECIMALS.search(asked):
        digits = _DECIMALS[(places[1] or places[2]).lower()]
        if (len(decimal[2]) if decimal else 0) != digits and "frac" not in plain and "/" not in plain:
            yield f"{digits} decimals are asked for"


def _reducible(plain: str) -> bool:
    match = re.search(r"(?:\\[dt]?frac\{(\d{1,20})\}\{(\d{1,20})\}|(\d{1,20})/(\d{1,20}))", plain)
    if match is None:
        return False
    top, bottom = (int(digits) for digits in match.groups() if digits)
    return bottom > 0 and Fraction(top, bottom).denominator != bottom


@program
def answer_follows(subgoal: Subgoal) -> Finding:
    """Whether the value of the final answer was derived before, and does not come from nowhere."""
    text = own_text(subgoal)
    found = [answer for answer in answers(text) if answer.value is not None]
    if not found:
        return NOT_APPLICABLE
    last = found[-1]
    before = f"{known_text(subgoal)}\n{text[: found[0].start]}"[-MOST_TEXT:]
    derived = set(_values(before))
    if len([s for s in statements(before) if value_of(s.right) is not None]) < 1:
        return NOT_APPLICABLE
    if last.value in derived or (last.value is not None and last.value * 100 in derived):
        return passed(subgoal, last.text)
    return failed(f"nothing before comes to {last.text[:60]}", subgoal, last.text)


def _values(text: str) -> Iterator[Fraction]:
    """Every number that a text states or computes."""
    for token in tokens(text):
        if token.kind == "number" and len(token.value) < 40 and token.value.replace(".", "", 1).isdecimal():
            yield from (Fraction(token.value), -Fraction(token.value))
    for statement in statements(text):
        for side in (statement.left, statement.right):
            value = value_of(side)
            if value is not None:
                yield value.number
