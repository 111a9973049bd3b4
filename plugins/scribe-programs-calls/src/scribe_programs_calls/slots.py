"""Whether values stand in the right arguments, as far as the wording says: one value in two places, or the place of another."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from attrs import frozen

from scribe_core.builders import program
from scribe_core.types import Finding, Json, Subgoal, ToolSpec
from scribe_programs_calls import dates, numbers
from scribe_programs_calls.arguments import Node, as_float, as_text, description, leaves, properties
from scribe_programs_calls.reading import (
    NOT_APPLICABLE,
    PASS,
    calls,
    exchange_calls,
    failed,
    known_calls,
    request,
    tools,
)
from scribe_programs_calls.words import content_words, fold, name_words, stem, word_set, words

_VAGUE = frozenset(
    map(stem, word_set("number value amount input parameter total count integer float default optional unit"))
)
_MOST_COMPARED = 60
_STOPS_LEFT, _STOPS_RIGHT = (
    re.compile(r"[.;:?!]|, "),
    re.compile(r"[.;:?!,]|\b(?:and|or|with|for|from|to|of|in|at)\b"),
)


@program
def values_in_their_places(subgoal: Subgoal) -> Finding:
    """Whether each value is given for the argument that the request names it for, and no other."""
    if not known_calls(calls(subgoal), tools(subgoal)):
        return NOT_APPLICABLE
    wrong = misplaced(subgoal)
    return failed(wrong[0][1], subgoal, wrong[0][0]) if wrong else PASS


def misplaced(subgoal: Subgoal) -> list[tuple[object, str]]:
    """Values in doubtful places, each with a reason."""
    text = request(subgoal)
    known = known_calls(calls(subgoal), tools(subgoal))
    everything = known_calls(exchange_calls(subgoal), tools(subgoal))
    return [
        *_doubled(text, known),
        *_shared(text, known, everything),
        *_named_otherwise(text, known, everything),
    ]


def _doubled(text: str, known: Sequence[tuple[ToolSpec, Json]]) -> Iterator[tuple[object, str]]:
    """Values given twice in one call, or as a part of another value, that the request names once."""
    said = f" {' '.join(words(text))} "
    for call in known:
        given = [(node, _spoken(node.value)) for _, node in islice(leaves([call]), _MOST_COMPARED)]
        for node, spoken in given:
            if spoken and said.count(spoken) == 1:
                other = next(
                    (o for o, wider in given if o is not node and _is_part(node, spoken, o, wider)), None
                )
                if other is not None:
                    reason = f"{node.place} and {other.place} share what the request names once"
                    yield node.value, f"{call[0].name[:80]}: {reason}"


def _shared(
    text: str, known: Sequence[tuple[ToolSpec, Json]], everything: Sequence[tuple[ToolSpec, Json]]
) -> Iterator[tuple[object, str]]:
    """Values of `known` calls that another call of the tool gives for another argument, named once.

    Text may go on from call to call, as the end of one way is the start of the next.
    """
    said = f" {' '.join(words(text))} "
    own = {id(arguments) for _, arguments in known}
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for index, (tool, arguments) in enumerate(everything):
        for name, value in islice(arguments.items(), _MOST_COMPARED):
            spoken = _spoken(value)
            if spoken and said.count(spoken) == 1:
                other, before = first.setdefault((tool.name, spoken), (str(name), index))
                apart = index > before + (1 if isinstance(value, str) else 0)
                if apart and other != str(name) and id(arguments) in own:
                    yield value, f"{tool.name[:80]}: {other} and {name} share what the request names once"


def _spoken(value: object) -> str:
    """The value's words between spaces; nothing for what is neither text nor an amount."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value in (0, 1):
        return ""
    return _spaced(as_text(value)[:400])


@lru_cache(maxsize=1024)
def _spaced(text: str) -> str:
    found = words(text)
    return f" {' '.join(found)} " if found else ""


def _is_part(node: Node, spoken: str, other: Node, wider: str) -> bool:
    """Text within other text; numbers only as equal numbers in two arguments, for lists repeat numbers."""
    if isinstance(node.value, str):
        return isinstance(other.value, str) and spoken in wider
    return node.path != other.path and not isinstance(other.value, str) and spoken == wider


@frozen
class _Place:
    """A number in the request: what it may stand for, and the stems around it, near and less near."""

    values: frozenset[float]
    near: tuple[str, ...]
    around: tuple[str, ...]


def _named_otherwise(
    text: str, known: Sequence[tuple[ToolSpec, Json]], everything: Sequence[tuple[ToolSpec, Json]]
) -> Iterator[tuple[object, str]]:
    """Numbers for arguments beside whose name the request has another number, which no call gives for it."""
    places = _places(text)
    for tool, arguments in known:
        cues = _cues(tool)
        for name, value in islice(arguments.items(), 100):
            if not isinstance(value, (int, float)) or value in (0, 1) or not cues.get(name):
                continue
            given = {_size(a[name]) for t, a in everything if t.name == tool.name and name in a}
            if _is_elsewhere(_size(value), given, cues[name], places):
                yield value, f"{tool.name}: the request names another value for {name}"


@lru_cache(maxsize=8)
def _places(text: str) -> tuple[_Place, ...]:
    folded = fold(text)
    taken = {position for start, end in dates.places(text) for position in range(start, end)}
    found = [m for m in numbers.mentions(text) if not m.ordinal and m.start not in taken][:_MOST_COMPARED]
    places = []
    for index, mention in enumerate(found):
        floor = _after_unit(folded, found[index - 1]) if index else 0
        ceiling = found[index + 1].start if index + 1 < len(found) else len(folded)
        left = words(_STOPS_LEFT.split(folded[max(floor, mention.start - 60) : mention.start])[-1])
        right = words(_STOPS_RIGHT.split(folded[mention.end : min(ceiling, mention.end + 40)])[0])
        near, around = [*left[-3:], *right[:1]], [*left[-6:], *right[:4]]
        values = frozenset(map(_size, numbers.readings(mention)))
        places.append(_Place(values, tuple(map(stem, near)), tuple(map(stem, around))))
    return tuple(places)


def _after_unit(folded: str, mention: numbers.Mention) -> int:
    """Where a mention with its unit ends: `12 years` says nothing of the number that follows."""
    end = folded.find(mention.unit, mention.end) + len(mention.unit)
    return end if mention.unit and end <= mention.end + 24 else mention.end


def _cues(tool: ToolSpec) -> dict[str, dict[str, int]]:
    """For each parameter the stems that only it has: those of its name weigh 2, of its description 1."""
    schemas = list(properties(tool.parameters).items())
    names = {name: set(map(stem, name_words(name))) - _VAGUE for name, _ in schemas}
    about = {name: set(map(stem, content_words(description(schema)))) - _VAGUE for name, schema in schemas}
    owners = Counter(word for name in names for word in names[name] | about[name])
    return {
        name: {
            word: 2 if word in names[name] else 1 for word in names[name] | about[name] if owners[word] == 1
        }
        for name in names
    }


def _is_elsewhere(value: float, given: set[float], cues: dict[str, int], places: Sequence[_Place]) -> bool:
    own = [sum(cues.get(word, 0) for word in place.around) for place in places if value in place.values]
    others = [sum(cues.get(word, 0) for word in place.near) for place in places if not place.values & given]
    return bool(own) and max(others, default=0) >= max(own) + 2


def _size(value: object) -> float:
    number = as_float(value) if isinstance(value, (int, float)) else math.inf
    return float(f"{abs(number):.9g}") if math.isfinite(number) else math.inf
