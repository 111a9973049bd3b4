"""The numbers that a text states: in digits or in words, scaled, as percentages, in other units."""

import math
import re
from collections.abc import Iterator

from attrs import frozen

from scribe_programs_calls.words import fold

MOST = 400
"""Mentions of one text that are looked at."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_SMALL = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS: dict[str, float] = {word: value for value, word in enumerate(_SMALL)}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_WORDS |= {word: value for value, word in enumerate(_ORDINALS, start=1)}
_WORDS |= {
    "single": 1,
    "once": 1,
    "couple": 2,
    "pair": 2,
    "both": 2,
    "twice": 2,
    "double": 2,
    "triple": 3,
    "trio": 3,
}
_WORDS |= {"thrice": 3, "quadruple": 4, "half": 0.5, "quarter": 0.25, "none": 0, "nil": 0}
_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "k": 1e3,
    "million": 1e6,
    "mn": 1e6,
    "m": 1e6,
    "billion": 1e9,
    "bn": 1e9,
}
_SCALES |= {"b": 1e9, "trillion": 1e12, "dozen": 12.0, "dozens": 12.0, "lakh": 1e5, "crore": 1e7}

_CONVERSIONS: dict[str, tuple[float, ...]] = {
    "minute": (60,),
    "hour": (60, 3600),
    "day": (24, 1440, 86400),
    "week": (7, 168, 604800),
    "weekend": (2,),
    "fortnight": (14,),
    "month": (30, 31, 4, 1 / 12),
    "quarter": (3, 90),
    "year": (12, 365, 52),
    "decade": (10, 120),
    "century": (100,),
    "km": (1000,),
    "kilometer": (1000,),
    "kilometre": (1000,),
    "meter": (100, 0.001),
    "metre": (100, 0.001),
    "m": (100, 0.001),
    "cm": (0.01, 10),
    "mm": (0.001, 0.1),
    "kg": (1000,),
    "gram": (0.001,),
    "g": (0.001,),
    "mg": (0.001,),
    "tonne": (1000,),
    "feet": (12, 0.3048),
    "foot": (12, 0.3048),
    "inch": (2.54,),
    "mile": (1.609344, 1609.344),
    "pound": (0.45359237,),
    "lb": (0.45359237,),
    "liter": (1000,),
    "litre": (1000,),
    "ml": (0.001,),
    "gb": (1024, 1000),
    "mb": (1024, 1000),
    "cent": (0.01,),
    "degree": (math.pi / 180,),
}
"""By how much a value is multiplied where another usual unit is asked for."""

_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]])-)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?(?:e[-+]?\d{1,3})?|(?<![\d.])\.\d+)"
    r"(?:\s{0,2}[x*]\s{0,2}10\s?\^\s?(?P<power>-?\d{1,2}))?"
    r"(?P<tail>\s?%|(?:st|nd|rd|th)\b)?"
)
_WORD = re.compile(r"[^\W\d_]+")
_FRACTION = re.compile(r"(?<![\d/.])(\d{1,4})\s?/\s?(\d{1,4})(?![\d/])")
_UNIT = re.compile(r"[\s-]{0,2}([^\W\d_]{1,20})")


@frozen
class Mention:
    """A number that a text states: its value, where it stands in the folded text, and the word after it."""

    value: float
    start: int
    end: int
    unit: str = ""
    percent: bool = False
    ordinal: bool = False
    in_digits: bool = True


def mentions(text: str) -> list[Mention]:
    """The numbers of a text in order, at most `MOST` of them."""
    text = fold(text)
    return sorted([*_in_digits(text), *_in_words(text)], key=lambda mention: mention.start)[:MOST]


def _in_digits(text: str) -> Iterator[Mention]:
    for count, match in enumerate(_NUMBER.finditer(text)):
        if count >= MOST:
            return
        value = _float(match["digits"].replace(",", "")) * 10.0 ** int(match["power"] or 0)
        tail, unit = (match["tail"] or "").strip(), _unit_after(text, match.end())
        percent = tail == "%" or unit in ("percent", "percentage", "pct")
        ordinal = tail in ("st", "nd", "rd", "th")
        yield Mention(-value if match["sign"] else value, match.start(), match.end(), unit, percent, ordinal)
        yield from _list_items(match)


def _list_items(match: re.Match[str]) -> Iterator[Mention]:
    """`200,300` may be one number or two."""
    if "," in match["digits"]:
        for item in re.finditer(r"[^,]+", match["digits"]):
            start = match.start("digits") + item.start()
            yield Mention(float(item[0]), start, start + len(item[0]))


def _unit_after(text: str, position: int) -> str:
    match = _UNIT.match(text, position)
    return match[1] if match else ""


def _in_words(text: str) -> Iterator[Mention]:
    """Runs of number words: `twenty-five`, `two hundred`, `a dozen`."""
    total, start, end = 0.0, -1, -1
    for match in _WORD.finditer(text):
        word = match[0]
        counts = word in _WORDS or (word in _SCALES and len(word) > 2)
        if start >= 0 and not (counts and match.start() <= end + 1):
            yield _word_mention(text, total, start, end)
            start = -1
        if counts:
            start, total = (start, total) if start >= 0 else (match.start(), 0.0)
            total, end = _with_word(total, word), match.end()
    if start >= 0:
        yield _word_mention(text, total, start, end)


def _with_word(total: float, word: str) -> float:
    return (total or 1.0) * _SCALES[word] if word in _SCALES else total + _WORDS[word]


def _word_mention(text: str, value: float, start: int, end: int) -> Mention:
    unit = _unit_after(text, end)
    return Mention(value, start, end, unit, unit == "percent", text[start:end] in _ORDINALS, in_digits=False)


def _float(digits: str) -> float:
    # Hostile text has numbers of thousands of digits; as a float they are infinite and equal no value.
    return float(digits[:400])


def readings(mention: Mention) -> Iterator[float]:
    """The values a mention may stand for: itself, scaled, as a share, and in other units."""
    yield mention.value
    yield mention.value * _SCALES.get(mention.unit, 1.0)
    if mention.percent or 0 < mention.value <= 100:
        yield mention.value / 100
    if 0 < abs(mention.value) < 1:
        yield mention.value * 100
    for factor in _conversions(mention.unit):
        yield mention.value * factor


def _conversions(unit: str) -> tuple[float, ...]:
    return _CONVERSIONS.get(unit) or _CONVERSIONS.get(unit.removesuffix("s")) or ()


def fractions(text: str) -> Iterator[float]:
    """Values of fractions such as 3/4."""
    for match in _FRACTION.finditer(fold(text)):
        if int(match[2]):
            yield int(match[1]) / int(match[2])


def implied(text: str) -> Iterator[float]:
    """Lengths that a unit without a number implies: `next week` is 7 days."""
    for word in dict.fromkeys(_WORD.findall(fold(text))):
        yield from _conversions(word)


def close(one: float, other: float) -> bool:
    """Equal up to rounding."""
    return (
        math.isfinite(one) and math.isfinite(other) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    )
