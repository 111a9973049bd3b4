"""Dates and times of day in text, however they are written."""

import re
from collections.abc import Iterator

from attrs import frozen

from scribe_programs_calls.words import fold

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:1\d|20|21)\d\d)"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<!\d){_YEAR}[-/.](?P<month>[01]?\d)[-/.]{_DAY}(?!\d)",
        rf"(?<!\d)(?P<month>[0-3]?\d)[-/.]{_DAY}[-/.]{_YEAR}(?!\d)",
        rf"(?<!\d)(?P<month>[0-3]?\d)/{_DAY}(?![/\d])",
        rf"\b{_MONTH}\.?\s{{0,3}}{_DAY}(?!\d)(?:\s{{0,3}},?\s{{0,3}}(?:of\s)?{_YEAR})?",
        rf"(?<!\d){_DAY}\s{{0,3}}(?:of\s)?{_MONTH}\b\.?(?:\s{{0,3}},?\s{{0,3}}(?:of\s)?{_YEAR})?",
        rf"\b{_MONTH}\.?\s{{0,3}},?\s{{0,3}}{_YEAR}(?!\d)",
        rf"(?<!\d){_YEAR}[-/](?P<month>[01]?\d)(?![-/.\d])",
        rf"\b{_MONTH}\b",
    )
)
_TIME = re.compile(
    r"(?<![\d:.])(?P<hour>[0-2]?\d)(?:[:.](?P<minute>[0-5]\d))?(?::[0-5]\d)?\s?"
    r"(?P<half>a\.?m\b|p\.?m\b|o'?\s?clock|in the (?:morning|afternoon|evening)|at night|hrs?\b)?"
)
_RELATIVE = re.compile(
    r"\b(today|tonight|tomorrow|yesterday|now|current(?:ly)?|latest|upcoming|recent(?:ly)?|soon"
    r"|(?:this|next|last|past|coming|previous|following)\s(?:[a-z]+\s)?(?:day|week|weekend|month|quarter|year|season|decade|century"
    r"|night|morning|mon|tue|wed|thu|fri|sat|sun|spring|summer|autumn|fall|winter)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|weekend|christmas|easter|thanksgiving|halloween|valentine"
    r"|(?:days?|weeks?|months?|years?|hours?)\s(?:ago|from|later|before|after|earlier|hence|time))"
)
_MOST = 200


@frozen
class Date:
    """A date as far as it is stated; 0 where it is not."""

    year: int
    month: int
    day: int


def dates(text: str) -> set[Date]:
    """The dates of a text; where day and month may be the other way round, both readings."""
    text, found = fold(text)[:50_000], set[Date]()
    for pattern in _DATES:
        for count, match in enumerate(pattern.finditer(text)):
            if count >= _MOST:
                break
            found |= set(_readings(match.groupdict()))
    return found


def places(text: str) -> list[tuple[int, int]]:
    """Where the dates and times of a text stand; longer readings first."""
    folded = fold(text)[:50_000]
    if len(folded) != len(text[:50_000]):
        return []
    found = [match.span() for pattern in _DATES for match in pattern.finditer(folded)]
    found += [match.span() for match in _TIME.finditer(folded) if match["minute"] or match["half"]]
    return sorted(found, key=lambda span: span[0] - span[1])[: 2 * _MOST]


def _readings(parts: dict[str, str | None]) -> Iterator[Date]:
    year, day, month = int(parts.get("year") or 0), int(parts.get("day") or 0), parts["month"] or ""
    if not month.isdigit():
        yield Date(year, _MONTHS.index(month[:3]) + 1, day)
        return
    if 1 <= int(month) <= 12 and day <= 31:
        yield Date(year, int(month), day)
    if 1 <= day <= 12 and int(month) <= 31:
        yield Date(year, day, int(month))


def agrees(value: Date, stated: Date) -> bool:
    """Whether `stated` says what `value` says, as far as both go."""
    pairs = ((value.year, stated.year), (value.month, stated.month), (value.day, stated.day))
    return all(one == other or not one or not other for one, other in pairs)


def times(text: str) -> set[tuple[int, int]]:
    """Times of day as (hour, minute) on the 24-hour clock; both readings where the half of the day is not said."""
    text, found = fold(text)[:50_000], set[tuple[int, int]]()
    for count, match in enumerate(_TIME.finditer(text)):
        if count >= _MOST:
            break
        if match["minute"] or match["half"]:
            found |= set(_hours(int(match["hour"]), int(match["minute"] or 0), match["half"] or ""))
    named = (("noon", (12, 0)), ("midday", (12, 0)), ("midnight", (0, 0)))
    return found | {time for word, time in named if word in text}


def _hours(hour: int, minute: int, half: str) -> Iterator[tuple[int, int]]:
    late = half.startswith("p") or any(word in half for word in ("afternoon", "evening", "night"))
    if late:
        yield (hour % 12 + 12, minute)
    elif half.startswith("a") or "morning" in half:
        yield (hour % 12, minute)
    else:
        yield from ((hour % 24, minute), (hour % 12 + 12, minute))


def is_relative(text: str) -> bool:
    """Whether the text names a day only relative to today, so that its date cannot be checked."""
    return _RELATIVE.search(fold(text)[:50_000]) is not None
