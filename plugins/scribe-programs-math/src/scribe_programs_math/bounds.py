"""Bounds of integers, and what is concluded from them."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from math import ceil, floor

from attrs import frozen

from scribe_core.builders import program
from scribe_core.types import Finding, Subgoal
from scribe_programs_math.reading import NOT_APPLICABLE, failed, own_text, passed, request
from scribe_programs_math.statements import statements, value_of
from scribe_programs_math.tokens import tokens

_INTEGERS = re.compile(
    r"\bintegers?\b|\bwhole numbers?\b|\bnatural numbers?\b|\\mathbb\s?\{?[ZN]\}?|[\u2124\u2115]"
    r"|\bhow many (?!liters|litres|hours|minutes|seconds|met|kilo|miles|feet|inches|dollars|percent|grams|pounds|gallons|degrees)",
    re.IGNORECASE,
)
_MOST_BOUNDS = 24
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LARGEST = r"\b(?:largest|greatest|biggest|highest|max(?:imum|imal)?)\b[^.\n]{0,60}?(?:\bis|=|:|\bare)\s*\$?\\?(?:boxed\{)?\s*"
_SMALLEST = r"\b(?:smallest|least|lowest|fewest|min(?:imum|imal)?)\b[^.\n]{0,60}?(?:\bis|=|:|\bare)\s*\$?\\?(?:boxed\{)?\s*"


@frozen
class Bound:
    """`name relation value`, as a text has it."""

    name: str
    relation: str
    value: Fraction
    quote: str
    end: int


def _bounds(text: str) -> list[Bound]:
    return list(islice(_all_bounds(text), _MOST_BOUNDS))


def _all_bounds(text: str) -> Iterator[Bound]:
    for statement in statements(text):
        if statement.relation not in _FLIPPED or statement.disowned:
            continue
        sides = ((statement.left, statement.relation, statement.right),)
        for one, relation, other in (*sides, (statement.right, _FLIPPED[statement.relation], statement.left)):
            value = value_of(other)
            if len(one.tokens) == 1 and one.tokens[0].kind == "name" and value is not None:
                name = one.tokens[0].value
                yield Bound(name, relation, value.number, statement.quote, statement.end)


def _is_integer(name: str, text: str, bounded: set[str]) -> bool:
    """Whether a variable is declared an integer, or is the only one while integers are asked for."""
    letter = re.escape(name)
    declared = (
        rf"\bintegers?\b[^.\n]{{0,30}}?(?<![A-Za-z\\]){letter}(?![A-Za-z])"
        rf"|(?<![A-Za-z\\]){letter}(?![A-Za-z])[^.\n]{{0,20}}?\b(?:is|are|be|denote)\b[^.\n]{{0,25}}?\b(?:integers?|whole|natural|number of)\b"
        rf"|(?<![A-Za-z\\]){letter}\$?\s*(?:\\in|∈)\s*\$?(?:\\mathbb\s?\{{?[ZN]|[\u2124\u2115])"
    )
    return bool(re.search(declared, text)) or (len(bounded) == 1 and bool(_INTEGERS.search(text)))


@program
def integer_bounds_tight(subgoal: Subgoal) -> Finding:
    """Whether a bound of an integer that is no integer is tightened to the next one (c < 44.75 to c <= 44)."""
    text = own_text(subgoal)
    found = [bound for bound in _bounds(text) if bound.value.denominator > 1]
    around, names = f"{request(subgoal)}\n{text}", {bound.name for bound in found}
    loose = [bound for bound in found if _is_integer(bound.name, around, names)]
    if not loose:
        return NOT_APPLICABLE
    left = [bound for bound in loose if not _mentions(text[bound.end :], _tightened(bound))]
    if left:
        return failed(
            f"{left[-1].quote} is left without the integer {_tightened(left[-1])}", subgoal, left[-1].quote
        )
    return passed(subgoal, *(bound.quote for bound in loose))


def _tightened(bound: Bound) -> int:
    return floor(bound.value) if bound.relation in ("<", "<=") else ceil(bound.value)


def _mentions(text: str, number: int) -> bool:
    stated = [token.value for token in tokens(text) if token.kind == "number"]
    return str(abs(number)) in stated or any(_agree(value, number) for value in stated)


def _agree(written: str, number: int) -> bool:
    return written.replace(".", "", 1).isdecimal() and len(written) < 40 and Fraction(written) == abs(number)


@program
def strict_bound_not_attained(subgoal: Subgoal) -> Finding:
    """Whether the largest or smallest value concluded lies within the bounds that were found."""
    text, decided = own_text(subgoal), []
    for bound in _bounds(text):
        words = _LARGEST if bound.relation in ("<", "<=") else _SMALLEST
        said = re.compile(
            words + r"(?:[A-Za-z]\s*=\s*)?(-?\d[\d,]*(?:\.\d+)?)(?![\d/^])", re.IGNORECASE
        ).search(text, bound.end)
        if said is not None and len(said[1]) < 40:
            decided.append((said[0], _within(Fraction(said[1].replace(",", "")), bound), bound))
    wrong = [(quote, bound) for quote, answer, bound in decided if not answer]
    if wrong and len({bound.name for _, _, bound in decided}) == 1:
        quote, bound = wrong[0]
        return failed(f"{quote[-60:]!r} is outside {bound.quote}", subgoal, quote, bound.quote)
    return passed(subgoal, *(quote for quote, _, _ in decided)) if decided else NOT_APPLICABLE


def _within(value: Fraction, bound: Bound) -> bool:
    if bound.relation in ("<", "<="):
        return value < bound.value or (bound.relation == "<=" and value == bound.value)
    return value > bound.value or (bound.relation == ">=" and value == bound.value)
