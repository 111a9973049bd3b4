"""What a request asks for that no call used: its values, and values that stand beside used ones."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from scribe_core.types import Json, ToolCall, ToolSpec
from scribe_programs_calls import dates, gazetteer, numbers
from scribe_programs_calls.arguments import as_text, description, leaves, properties
from scribe_programs_calls.mentions import Mention, mentions
from scribe_programs_calls.reading import MOST_TEXT, known_calls
from scribe_programs_calls.source import (
    Source,
    read_source,
    share_of_words,
    states_number,
    states_text,
)
from scribe_programs_calls.words import name_words, stem, words

_EXAMPLES = re.compile(
    r"(?:\be\.g\b\.?|\bfor (?:example|instance)\b|\bsuch as\b|\blike\b|\bexamples?\b|\bformat\b)[^.;]{0,300}"
    r"|'[^']{1,80}'|\"[^\"]{1,80}\"",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"[\s,;&/\"'`()]*(?:(?:and|or|vs\.?|versus|then|plus|as well as)\b)?[\s,;&/\"'`()$€£]*"
    r"(?:(?:the|in|for|from|of|to|at)\b)?[\s\"'`$€£]*"
)
_GOES_ON = re.compile(r"\s?,?\s?(?:and\b|or\b|,)")
_QUALIFIES = re.compile(r"[,(]\s?$")


@frozen
class Asked:
    """What a request names, by whether calls used it; `about` is what the called tools say of themselves."""

    text: str
    named: tuple[Mention, ...]
    used: tuple[Mention, ...]
    unused: tuple[Mention, ...]
    given: Source
    about: Source


def what_is_asked(text: str, made: Sequence[ToolCall], offered: Mapping[str, ToolSpec]) -> Asked:
    """Compares a request with the arguments of the calls made about it."""
    called = [offered[name] for name in dict.fromkeys(call.name for call in made) if name in offered]
    given = read_source(" ; ".join(values_of(made))[:MOST_TEXT])
    coded = " ".join(_codes_of(known_calls(made, offered)))
    about = read_source(f"{coded} {' '.join(map(tool_text, called))}"[:MOST_TEXT])
    defaults = set(_defaults(called))
    named = mentions(text)
    used = tuple(mention for mention in named if is_used(mention, given, about))
    unused = tuple(
        mention
        for mention in named
        if mention not in used
        and not _is_about_tool(mention, about, defaults)
        and not _qualifies(mention, used, text)
    )
    return Asked(text, named, used, unused, given, about)


def _codes_of(known: Sequence[tuple[ToolSpec, Json]]) -> Iterator[str]:
    """Descriptions of the numbers and truths given: they say what is coded so, as in `1 is Paris, 2 is Rome`."""
    return (description(node.schema) for _, node in leaves(known) if isinstance(node.value, (bool, int)))


def values_of(made: Iterable[ToolCall]) -> list[str]:
    """All scalars given to calls, as text."""
    arguments = [
        (ToolSpec(name=call.name), call.arguments) for call in made if isinstance(call.arguments, Mapping)
    ]
    return [as_text(node.value) for _, node in leaves(arguments)]


def tool_text(tool: ToolSpec) -> str:
    """A tool's names and descriptions, without the examples in them."""
    parts = [" ".join(name_words(tool.name)), tool.description[:4000]]
    for name, schema in properties(tool.parameters).items():
        parts += [" ".join(name_words(name)), description(schema)]
    return _EXAMPLES.sub(" ", " ; ".join(parts))[:MOST_TEXT]


def _defaults(called: Iterable[ToolSpec]) -> Iterator[float]:
    """Numbers that schemas give as defaults, in their own place or in the description."""
    for tool in called:
        for schema in properties(tool.parameters).values():
            said = f"{description(schema)}; default {as_text(schema.get('default'))[:40]}"
            for part in re.findall(r"(?i)default[^;]{0,60}", said):
                yield from (mention.value for mention in numbers.mentions(part))


def is_used(mention: Mention, given: Source, about: Source | None = None) -> bool:
    """Whether arguments use what is mentioned, in some form."""
    if mention.number is not None:
        return _is_number_used(mention, mention.number, given)
    if mention.kind == "date":
        return _is_date_used(mention.text, given)
    return states_text(given, mention.text) or share_of_words(given, mention.text, about) >= 0.5


def _is_number_used(mention: Mention, number: numbers.Mention, given: Source) -> bool:
    if any(states_number(given, value) for value in numbers.readings(number)):
        return True
    items = mention.text.split(",")
    if len(items) > 1 and all(item.strip().isdigit() and states_number(given, float(item)) for item in items):
        return True
    return any(number.value in (hour, hour - 12, minute) for hour, minute in given.times)


def _is_date_used(text: str, given: Source) -> bool:
    days, moments = dates.dates(text), dates.times(text)
    if not given.dates and not given.times:
        clock = [moment for moment in moments if moment[1]]
        return (
            not clock
            or not given.numbers
            or any(set(map(float, moment)) <= given.numbers for moment in clock)
        )
    return bool(moments & given.times) or any(
        dates.agrees(day, known) for day in days for known in given.dates
    )


def _is_about_tool(mention: Mention, about: Source, defaults: set[float]) -> bool:
    if mention.kind == "date":
        return False
    if mention.number is not None:
        return mention.number.value in defaults or states_number(about, mention.number.value)
    return states_text(about, mention.text) or share_of_words(about, mention.text) > 0.5


def _qualifies(mention: Mention, used: Iterable[Mention], text: str) -> bool:
    """Whether a name only says more of a used one, as Italy in `Rome, Italy`, and is no item of a list."""
    if mention.kind != "name" or not any(
        0 <= mention.start - other.end <= 3 for other in used if other.kind == "name"
    ):
        return False
    known = bool(gazetteer.others(" ".join(words(mention.text))))
    gap = text[max(0, mention.start - 3) : mention.start]
    return bool(_QUALIFIES.search(gap)) and (known or not _GOES_ON.match(text, mention.end))


def beside_used(asked: Asked) -> Mention | None:
    """An unused mention that stands beside a used one of its kind: in one list with it, or in the same phrase."""
    for mention in asked.unused:
        for other in asked.used:
            if other.kind == mention.kind and (
                _in_one_list(mention, other, asked) or _alike(mention, other, asked.text)
            ):
                return mention
    return None


def _in_one_list(one: Mention, other: Mention, asked: Asked) -> bool:
    first, last = sorted((one, other), key=lambda mention: mention.start)
    chain = [m for m in asked.named if m.kind == first.kind and first.start <= m.start <= last.start]
    gaps = [asked.text[left.end : right.start] for left, right in pairwise(chain)]
    return len(chain) < 30 and all(gap.strip() and len(gap) < 30 and _BETWEEN.fullmatch(gap) for gap in gaps)


def _alike(one: Mention, other: Mention, text: str) -> bool:
    """Whether the same words lead to both: `radius of 5` and `radius of 10`; `in Rome` and `in Paris`."""
    before, after = _around(one, text)
    before_other, after_other = _around(other, text)
    if not before or not before_other:
        return False
    if one.kind == "number":
        same_unit = bool(after) and after == after_other and before[-1] == before_other[-1]
        return before == before_other or same_unit
    return before[-1] == before_other[-1]


def _around(mention: Mention, text: str) -> tuple[list[str], list[str]]:
    before = words(text[max(0, mention.start - 40) : mention.start])[-2:]
    return before, words(text[mention.end : mention.end + 24])[:1]


def less_often_used(asked: Asked, made: Sequence[ToolCall]) -> str | None:
    """A value that calls use, but fewer times than the request names it."""
    sources = [read_source(value[:400]) for value in values_of(made)[:100]]
    times: dict[str, list[Mention]] = {}
    for mention in asked.used:
        if mention.kind != "date":
            key = f"{mention.number.value}" if mention.number else " ".join(map(stem, words(mention.text)))
            times.setdefault(key, []).append(mention)
    for group in times.values():
        if len(group) > 1 and 0 < sum(is_used(group[0], source) for source in sources) < len(group):
            return group[0].text
    return None
