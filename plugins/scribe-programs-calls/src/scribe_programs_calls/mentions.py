"""The concrete things that a request names: quoted text, dates, names, identifiers, numbers."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from attrs import frozen

from scribe_programs_calls import dates, numbers
from scribe_programs_calls.words import STOPWORDS, fold, word_set

Kind = Literal["quoted", "date", "name", "code", "number"]

_QUOTED = re.compile(r"(?<!\w)(['\"`])(?=\S)([^'\"`\n]{1,120})(?<=\S)\1(?!\w)")
_CODE = re.compile(
    r"(?<![\w./@-])(?=[A-Za-z./@:_-]{0,40}\d)(?=[\d./@:_-]{0,40}[A-Za-z])\w[\w./@:-]{2,60}(?<![.:,])"
)
_CAPITAL = r"[A-ZÀ-Þ](?:[\w'&-]|\.(?=\w))*"
_NAME = re.compile(rf"{_CAPITAL}(?:\s{{1,3}}(?:(?:of the|of|the|de|la|du|di|van|von|&)\s)?{_CAPITAL}){{0,6}}")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\"'(*]|\d\.)\s*$")
_LIST_MARK = re.compile(r"(?:^|[\n.:;?])\s*$")
_MEASURE = re.compile(r"[\d.,:]+[A-Za-z%]{0,6}|\d[\d./:-]+")
_COMMON = word_set(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday today tomorrow i i'm im i'd i've i'll "
    "ok celsius fahrenheit kelvin am pm utc gmt est pst id uid uuid api url http https json please thanks hi hello also "
    "first second third finally lastly then next"
)
_ACTS = re.compile(
    r"\s(?:is|are|was|were|has|have|had|wants?|plans?|needs?|will|would|decided|chose|told|said)\b"
)
"""After the name of somebody that a story is about, who is no value."""
MOST = 120


@frozen
class Mention:
    """A concrete thing that a text names: its words, and where they stand."""

    kind: Kind
    text: str
    start: int
    end: int
    number: numbers.Mention | None = None


@lru_cache(maxsize=64)
def mentions(text: str) -> tuple[Mention, ...]:
    """All mentions in order of place, at most `MOST`; of two that overlap, the kind that comes first in `Kind`."""
    taken: set[int] = set()
    kept: list[Mention] = []
    for mention in (*_quoted(text), *_dates(text), *_names(text), *_codes(text), *_numbers(text)):
        place = range(mention.start, mention.end)
        if len(kept) < MOST and taken.isdisjoint(place):
            taken.update(place)
            kept.append(mention)
    return tuple(sorted(kept, key=lambda mention: mention.start))


def _quoted(text: str) -> Iterator[Mention]:
    for match in _QUOTED.finditer(text):
        # A whole request in quotes is no value.
        if 2 * len(match[2]) < len(text):
            yield Mention("quoted", match[2], match.start(2), match.end(2))


def _dates(text: str) -> Iterator[Mention]:
    for start, end in dates.places(text):
        yield Mention("date", text[start:end], start, end)


def _names(text: str) -> Iterator[Mention]:
    for match in _NAME.finditer(text):
        name, start = match[0].rstrip(".'-"), match.start()
        first, _, rest = name.partition(" ")
        if _SENTENCE_START.search(text[max(0, start - 8) : start]) or fold(first) in _COMMON:
            capital = re.search(_CAPITAL, rest)
            name = rest[capital.start() :] if capital else ""
            start = match.end() - len(match[0]) + match[0].rfind(name) if name else start
        is_unit = re.search(r"\d\s?$", text[max(0, start - 3) : start])
        if _is_telling(name) and not is_unit and not _ACTS.match(text, start + len(name)):
            yield Mention("name", name, start, start + len(name))


def _is_telling(name: str) -> bool:
    """Not a letter, a weekday, a function word, or a label such as `Car A`."""
    last = name.split(" ")[-1]
    return len(name) > 1 and len(last) > 1 and fold(name) not in _COMMON | STOPWORDS


def _codes(text: str) -> Iterator[Mention]:
    for match in _CODE.finditer(text):
        if not _MEASURE.fullmatch(match[0]):
            yield Mention("code", match[0], match.start(), match.end())


def _numbers(text: str) -> Iterator[Mention]:
    folded = fold(text)
    if len(folded) != len(text):
        text = folded
    for number in numbers.mentions(text):
        if number.in_digits and number.value and not number.ordinal and not _is_layout(number, text):
            yield Mention("number", text[number.start : number.end], number.start, number.end, number)


def _is_layout(number: numbers.Mention, text: str) -> bool:
    """An exponent, or the mark of a list item."""
    before = text[max(0, number.start - 4) : number.start]
    marks_item = text[number.end : number.end + 1] in (".", ")") and _LIST_MARK.search(before)
    return bool(marks_item) or before[-1:] in ("^", "/") or not text[number.start : number.end].isascii()
