"""The numbers that a text states: in digits or in words, scaled, as percentages, and converted between time units."""

import math
import re
from collections.abc import Iterator

from attrs import frozen

from scribe_programs_calls.words import fold

_UNITS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())}
_TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_UNITS |= {word: n for n, word in enumerate(_TEENS, start=13)}
_TENS = {w: 10 * n for n, w in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_UNITS |= {word: n for n, word in enumerate(_ORDINALS, start=1)}
_UNITS |= {"single": 1, "once": 1, "couple": 2, "pair": 2, "both": 2, "twice": 2, "double": 2, "triple": 3, "trio": 3}
_UNITS |= {"thrice": 3, "quadruple": 4, "half": 0.5, "quarter": 0.25, "none": 0, "nil": 0}
_SCALES = {"hundred": 1e2, "thousand": 1e3, "grand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "mln": 1e6, "m": 1e6}
_SCALES |= {"billion": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12, "dozen": 12.0, "dozens": 12.0, "lakh": 1e5, "crore": 1e7}
_SHORT_SCALES = frozenset("k m b".split())

# How many of a smaller unit one of the larger unit has: what a value may be where the request names the larger.
_CONVERSIONS: dict[str, tuple[float, ...]] = {
    "minute": (60,),
    "hour": (60, 3600),
    "day": (24, 1440, 86400),
    "night": (1,),
    "week": (7, 5, 168, 604800),
    "weekend": (2,),
    "fortnight": (14,),
    "month": (30, 31, 4, 1 / 12),
    "quarter": (3, 90),
    "year": (12, 365, 52, 360),
    "decade": (10, 120, 3650),
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
    "kilogram": (1000,),
    "gram": (0.001,),
    "g": (0.001,),
    "mg": (0.001,),
    "ton": (1000,),
    "tonne": (1000,),
    "foot": (12, 0.3048),
    "feet": (12, 0.3048),
    "ft": (12, 0.3048),
    "inch": (2.54,),
    "mile": (1.609344, 1609.344),
    "lb": (0.45359237,),
    "pound": (0.45359237,),
    "litre": (1000,),
    "liter": (1000,),
    "ml": (0.001,),
    "gb": (1024, 1000),
    "mb": (1024, 1000, 1048576),
    "kb": (1024, 1000),
    "cent": (0.01,),
    "percent": (0.01,),
    "degree": (math.pi / 180,),
}

_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]])[-−])?"  # noqa: RUF001
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?(?:e[-+]?\d+)?|(?<![\d.])\.\d+)"
    r"(?:\s*(?:x|\*)\s*10\s*\^\s*(?P<power>-?\d{1,3}))?"
    r"(?P<tail>\s?%|(?:st|nd|rd|th)\b)?"
)
_WORDS = re.compile(r"[^\W\d_]+(?:[-\s](?=[^\W\d_]))?")
_FRACTION = re.compile(r"(?<![\d/.])(\d{1,4})\s?/\s?(\d{1,4})(?![\d/])")
_UNIT = re.compile(r"[\s-]{0,2}([^\W\d_]+)")
MOST = 400


@frozen
class Mention:
    """A number that a text states: its value, where it stands, and the word after it."""

    value: float
    start: int
    end: int
    unit: str = ""
    percent: bool = False
    ordinal: bool = False
    in_digits: bool = True
    scale: float = 1.0


def mentions(text: str) -> list[Mention]:
    """The numbers of a text in order, at most `MOST` of them."""
    text = fold(text)
    found = [*_in_digits(text), *_in_words(text)]
    return sorted(found, key=lambda mention: mention.start)[:MOST]


def _in_digits(text: str) -> Iterator[Mention]:
    for count, match in enumerate(_NUMBER.finditer(text)):
        if count >= MOST:
            return
        value = _float(match["digits"].replace(",", "")) * 10.0 ** int(match["power"] or 0)
        value = -value if match["sign"] else value
        tail, unit = (match["tail"] or "").strip(), _unit_after(text, match.end())
        percent = tail == "%" or unit in ("percent", "percentage", "pct")
        ordinal = tail in ("st", "nd", "rd", "th")
        yield Mention(value, match.start(), match.end(), unit, percent, ordinal, True, _SCALES.get(unit, 1.0))
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
    total, run, start, end = 0.0, 0, 0, 0
    for match in _WORDS.finditer(text):
        word = match[0].rstrip("- \n\t")
        counts = word in _UNITS or word in _TENS or (word in _SCALES and len(word) > 2)
        if run and not (counts and match.start() <= end + 1):
            yield _word_mention(text, total, start, end)
            run = 0
        if counts:
            start, total = (start, total) if run else (match.start(), 0.0)
            total, run, end = _with_word(total, word), run + 1, match.start() + len(word)
    if run:
        yield _word_mention(text, total, start, end)


def _with_word(total: float, word: str) -> float:
    if word in _SCALES:
        return (total or 1.0) * _SCALES[word]
    return total + (_UNITS[word] if word in _UNITS else _TENS[word])


def _word_mention(text: str, value: float, start: int, end: int) -> Mention:
    unit, word = _unit_after(text, end), text[start:end]
    return Mention(value, start, end, unit, unit == "percent", word in _ORDINALS, in_digits=False)


def _float(digits: str) -> float:
    # Thousands of digits are possible in hostile text; float() of them is inf, which equals no value.
    return float(digits[:400])


def readings(mention: Mention) -> Iterator[float]:
    """The values a mention may stand for: itself, as a fraction of one, and in smaller units of time."""
    yield mention.value
    yield mention.value * mention.scale
    if mention.percent or 0 < mention.value <= 100:
        yield mention.value / 100
    if 0 < abs(mention.value) < 1:
        yield mention.value * 100
    for factor in conversions(mention.unit):
        yield mention.value * factor


def conversions(unit: str) -> tuple[float, ...]:
    """By how much a value is multiplied where `unit` is written in a smaller one."""
    return _CONVERSIONS.get(unit) or _CONVERSIONS.get(unit.rstrip("s")) or ()


def fractions(text: str) -> Iterator[float]:
    """Values of fractions such as 3/4."""
    for match in _FRACTION.finditer(fold(text)):
        if int(match[2]):
            yield int(match[1]) / int(match[2])


def implied(text: str) -> Iterator[float]:
    """Lengths of time that a unit without a number implies: `next week` is 7 days."""
    for match in _WORDS.finditer(fold(text)):
        yield from conversions(match[0].strip("- \n\t"))


def close(one: float, other: float) -> bool:
    """Equal up to rounding in the tenth digit; the sign counts."""
    return math.isfinite(one) and math.isfinite(other) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
