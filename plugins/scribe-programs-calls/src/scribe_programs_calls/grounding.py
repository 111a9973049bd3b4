"""Where the values of a call come from: the request, an earlier result, the schema, or nowhere."""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from scribe_core.builders import program
from scribe_core.types import Finding, Json, Subgoal
from scribe_programs_calls import dates, numbers
from scribe_programs_calls.arguments import Node, allowed, as_float, as_text, description, leaves
from scribe_programs_calls.reading import (
    NOT_APPLICABLE,
    PASS,
    calls,
    failed,
    key_of,
    known_calls,
    known_texts,
    tools,
)
from scribe_programs_calls.source import (
    Source,
    is_acronym,
    read_sources,
    share_of_words,
    states_number,
    states_text,
)
from scribe_programs_calls.words import compact, content_words, fold, is_latin, words

Support = Literal["stated", "given", "derived", "nowhere", "unknown"]
"""`given` by the schema; `derived` where only the date of today or arithmetic says; `unknown` across scripts."""

_INDIFFERENT = frozenset(
    ("any", "all", "none", "null", "default", "auto", "dontcare", "don t care", "unknown", "n a")
)
"""Words for a value that nobody asked for."""
_ENOUGH, _ENOUGH_OF_PROSE, _PROSE = 0.5, 0.3, 8


@program
def values_grounded(subgoal: Subgoal) -> Finding:
    """Whether every value comes from the request, an earlier result, or the tool's own description."""
    if not known_calls(calls(subgoal), tools(subgoal)):
        return NOT_APPLICABLE
    found = ungrounded(subgoal)
    if not found:
        return PASS
    places = ", ".join(node.place for node in found[:5])
    return failed(f"no source for {places}", subgoal, *(node.value for node in found))


def ungrounded(subgoal: Subgoal) -> list[Node]:
    """Values of the span's calls that appear nowhere, each value once."""
    source = read_sources(known_texts(subgoal))
    known = known_calls(calls(subgoal), tools(subgoal))
    found = [node for _, node in leaves(known) if support(node, source) == "nowhere"]
    return list({(node.place, key_of(node.value)): node for node in found}.values())


def support(node: Node, source: Source) -> Support:
    """Where one scalar comes from."""
    if node.value is None or isinstance(node.value, bool):
        return "given"
    if isinstance(node.value, (int, float)):
        return _number_support(node, source)
    return _text_support(node, source) if isinstance(node.value, str) else "unknown"


def _number_support(node: Node, source: Source) -> Support:
    value = as_float(node.value)
    if states_number(source, value):
        return "stated"
    if value in (m.value for m in numbers.mentions(_about(node.schema))):
        return "given"
    return "derived" if _is_difference(value, source.stated) else "nowhere"


def _about(schema: Json) -> str:
    return f"{description(schema)} {as_text(schema.get('default', ''))[:200]}"


def _is_difference(value: float, stated: Sequence[float]) -> bool:
    """Whether two stated years (or other large numbers) differ by it: from 2018 to 2020 are 2 years."""
    large = [number for number in stated if abs(number) >= 100]
    return any(numbers.close(abs(value), abs(one - other)) for one, other in combinations(large, 2))


def _text_support(node: Node, source: Source) -> Support:
    text = node.value[:4000]
    if states_text(source, text) or (not compact(text) and text.strip() in source.marks):
        return "stated"
    if _is_given(text, node.schema):
        return "given"
    if not compact(text) or (not is_latin(text) and not source.scripts):
        return "nowhere"
    if not (source.latin and is_latin(text)):
        return "unknown"
    return _date_support(text, source) or _amount_support(text, source) or _word_support(text, source)


def _is_given(text: str, schema: Json) -> bool:
    """Whether the schema offers the value: listed, the default, or named in the description."""
    offered = [*allowed(schema), schema.get("default")]
    if any(isinstance(value, str) and fold(value[:4000]) == fold(text) for value in offered):
        return True
    said = words(text)
    return bool(said) and f" {' '.join(said)} " in f" {' '.join(words(description(schema)))} "


def _date_support(text: str, source: Source) -> Support | None:
    days = {date for date in dates.dates(text) if date.day and date.month}
    if days:
        months = {date.month for date in source.dates}
        if any(dates.agrees(date, known) for date in days for known in source.dates if known.month):
            return "stated"
        near = any(states_number(source, date.day) and date.month in months for date in days)
        return "derived" if near or source.relative else "nowhere"
    if moments := dates.times(text):
        if moments & source.times:
            return "stated"
        return "derived" if source.relative else None
    return None


def _amount_support(text: str, source: Source) -> Support | None:
    """A string that is one number and at most a unit: `5%`, `$1,000`, `10 km`."""
    stated = [mention for mention in numbers.mentions(text) if mention.in_digits]
    if len(stated) != 1 or len(content_words(text)) > 2 or re.search(r"[^\W\d_]{8}", text):
        return None
    return "stated" if any(states_number(source, value) for value in numbers.readings(stated[0])) else None


def _word_support(text: str, source: Source) -> Support:
    """By the share of the value's words that the source has; prose may be worded more freely."""
    enough = _ENOUGH_OF_PROSE if len(content_words(text)) > _PROSE else _ENOUGH
    if share_of_words(source, text) >= enough or is_acronym(source, text):
        return "stated"
    return "given" if " ".join(words(text)) in _INDIFFERENT else "nowhere"
