"""Dates and times of day in text, however they are written."""

import re
from collections.abc import Iterator

from attrs import frozen

from scribe_programs_calls.words import fold

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:1\d|20|21)\d\d)"
_NUMERIC = r"(?P<month>[0-3]?\d)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<!\d){_YEAR}[-/.]{_NUMERIC}[-/.]{_DAY}(?!\d)",
        rf"(?<!\d){_NUMERIC}[-/.]{_DAY}[-/.]{_YEAR}(?!\d)",
        rf"(?<![\d/]){_NUMERIC}/{_DAY}(?![/\d])",
        rf"\b{_MONTH}\.?\s{{0,3}}{_DAY}(?!\d)(?:\s{{0,3}},?\s{{0,3}}(?:of\s)?{_YEAR})?",
        rf"(?<!\d){_DAY}\s{{0,3}}(?:of\s)?{_MONTH}\b\.?(?:\s{{0,3}},?\s{{0,3}}(?:of\s)?{_YEAR})?",
        rf"\b{_MONTH}\.?\s{{0,3}},?\s{{0,3}}{_YEAR}(?!\d)",
        rf"(?<!\d){_YEAR}[-/]{_NUMERIC}(?![-/.\d])",
        rf"\b{_MONTH}\b",
    )
)
_TIME = re.compile(
    r"(?<![\d:.])(?P<hour>[0-2]?\d)(?:[:.](?P<minute>[0-5]\d))?(?::[0-5]\d)?\s?"
    r"(?P<half>a\.?m\b|p\.?m\b|o'?\s?clock|in the (?:morning|afternoon|evening)|at night)?"
)
_RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|now|current(?:ly)?|latest|upcoming|recent(?:ly)?|soon|weekend"
    r"|(?:this|next|last|past|coming|previous|following)\s(?:[a-z]{1,12}\s)?(?:day|week|month|quarter|year|season"
    r"|decade|century|night|morning|mon|tue|wed|thu|fri|sat|sun|spring|summer|autumn|fall|winter)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|christmas|easter|thanksgiving|halloween"
    r"|(?:day|week|month|year|hour)s?\s(?:ago|from|later|before|after|earlier|hence))"
)
_NAMED_TIMES = (("noon", (12, 0)), ("midday", (12, 0)), ("midnight", (0, 0)))
_MOST, _MOST_TEXT = 200, 50_000


@frozen
class Date:
    """A date as far as it is stated; 0 where it is not."""

    year: int
    month: int
    day: int


def dates(text: str) -> set[Date]:
    """The dates of a text; where day and month may be the other way round, both readings."""
    return {date for match in _matches(fold(text)) for date in _readings(match.groupdict())}


def places(text: str) -> list[tuple[int, int]]:
    """Where dates and times stand in a text, the longest first; none where folding moves its characters."""
    folded = fold(text)
    if len(folded) != len(text):
        return []
    return sorted(
        (match.span() for match in (*_matches(folded), *_clock(folded))), key=lambda span: span[0] - span[1]
    )


def _matches(folded: str) -> list[re.Match[str]]:
    found = [match for pattern in _PATTERNS for match in pattern.finditer(folded, 0, _MOST_TEXT)]
    return found[:_MOST]


def _clock(folded: str) -> list[re.Match[str]]:
    return [match for match in _TIME.finditer(folded, 0, _MOST_TEXT) if match["minute"] or match["half"]][
        :_MOST
    ]


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
    """Times of day as (hour, minute) on the 24-hour clock; both where the half of the day is not said."""
    folded = fold(text)
    found = {time for match in _clock(folded) for time in _hours(match)}
    return found | {time for word, time in _NAMED_TIMES if word in folded}


def _hours(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), match["half"] or ""
    if half.startswith("p") or any(word in half for word in ("afternoon", "evening", "night")):
        yield hour % 12 + 12, minute
    elif half.startswith("a") or "morning" in half:
        yield hour % 12, minute
    else:
        yield from ((hour % 24, minute), (hour % 12 + 12, minute))


def is_relative(text: str) -> bool:
    """Whether the text names a day only relative to today, so that its date cannot be checked."""
    return _RELATIVE.search(fold(text), 0, _MOST_TEXT) is not None
