"""Whether calls hold no more than was asked for: no copy of the request as a value, no call that it has no words for."""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice, pairwise

from scribe_core.builders import program
from scribe_core.types import Finding, Json, Subgoal, ToolSpec
from scribe_programs_calls.arguments import as_text, leaves
from scribe_programs_calls.reading import (
    MOST_TEXT,
    NOT_APPLICABLE,
    PASS,
    calls,
    exchange_calls,
    failed,
    known_calls,
    request,
    results,
    tools,
)
from scribe_programs_calls.words import content_words, fold, is_latin, stem, words

_MOST, _MOST_OF_ALL, _FEW_WORDS, _VERY_FEW_WORDS = 0.65, 0.8, 6, 3
"""A value copies a request if it has this share of its content words, or of all its words where those are few."""
_MOST_VALUES = 60
_SETS_OFF = "'\"`:\u2018\u201c\u00ab"
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[,;.?!:&/+()\n]")
_SEPARATES = frozenset(
    (
        *",;.?!:&/+(\n",
        "and",
        "or",
        "then",
        "also",
        "vs",
        "versus",
        "plus",
        "with",
        "to",
        "than",
        "both",
        "y",
        "e",
    )
)
_SPREADS = re.compile(r"\b(?:each|every|all|any|through|until|till|ranges?|between|from|up to)\b|\d\s?-\s?\d")
"""Words by which a request asks for values that it does not list."""


@program
def request_not_copied(subgoal: Subgoal) -> Finding:
    """Whether no call has the request itself as a value, in place of the values that it names."""
    known, text = known_calls(calls(subgoal), tools(subgoal)), request(subgoal)
    if not known or len(words(text)) < _VERY_FEW_WORDS:
        return NOT_APPLICABLE
    tokens, all_words, telling = set(text.split()), words(text), content_words(text)
    for tool, arguments in known:
        longer = islice(_longer_values(tool, arguments), _MOST_VALUES)
        taken = [value for value in longer if value not in tokens and not _is_set_off(value, text)]
        given = {stem(word) for value in taken for word in words(value)}
        enough = _MOST if len(set(telling)) >= _FEW_WORDS else 1.1
        if _share(given, all_words) >= _MOST_OF_ALL or _share(given, telling) >= enough:
            return failed(f"{tool.name[:80]} is given the request itself", subgoal, max(taken, key=len))
    return PASS


def _longer_values(tool: ToolSpec, arguments: Json) -> Iterator[str]:
    """Strings of three words or more; shorter ones are values whatever they say."""
    texts = (node.value for _, node in leaves([(tool, arguments)]) if isinstance(node.value, str))
    return (text[:MOST_TEXT] for text in texts if len(words(text[:MOST_TEXT])) >= _VERY_FEW_WORDS)


def _is_set_off(value: str, text: str) -> bool:
    """Whether the request itself marks the value as one, by a quote or a colon before it."""
    start = text.find(value.strip())
    return start > 0 and text[:start].rstrip()[-1:] in tuple(_SETS_OFF)


def _share(given: Set[str], wanted: Iterable[str]) -> float:
    asked = set(map(stem, wanted))
    return len(asked & given) / max(1, len(asked))


@program
def no_call_too_many(subgoal: Subgoal) -> Finding:
    """Whether the values in which calls of one tool differ are ones that the request tells apart."""
    made, text = exchange_calls(subgoal), request(subgoal)
    if len(made) < 2 or not calls(subgoal) or results(subgoal) or not text or not is_latin(text):
        return NOT_APPLICABLE
    tokens = _TOKEN.findall(fold(text))
    if _SPREADS.search(fold(text)):
        return NOT_APPLICABLE
    for name, parameter, values in _varied(subgoal):
        if not _told_apart(values, tokens):
            return failed(f"the request has not {len(values)} values for {parameter[:60]}", subgoal, name)
    return PASS


def _varied(subgoal: Subgoal) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Tool, parameter and the different values, as words, where calls of one tool differ in a parameter."""
    columns: dict[tuple[str, str], dict[str, list[str]]] = {}
    for tool, arguments in known_calls(exchange_calls(subgoal), tools(subgoal)):
        for name, value in islice(arguments.items(), 50):
            scalars = (as_text(node.value)[:200] for _, node in leaves([(tool, _only(name, value))]))
            spoken = words(" ".join(islice(scalars, 10)))
            columns.setdefault((tool.name, str(name)), {})[" ".join(spoken)] = spoken
    return (
        (tool, name, list(values.values())) for (tool, name), values in columns.items() if len(values) > 1
    )


def _only(name: object, value: object) -> Json:
    return {str(name): value}


def _told_apart(values: Sequence[Sequence[str]], tokens: Sequence[str]) -> bool:
    """Whether something separates each two values that follow each other in the request, and there are enough."""
    if len(values) > 1 + sum(token in _SEPARATES for token in tokens):
        return False
    places = sorted(place for value in values if (place := _place(value, tokens)) is not None)
    gaps = (tokens[end:start] for (_, end), (start, _) in pairwise(places) if end <= start)
    return all(any(token in _SEPARATES for token in gap) for gap in gaps)


def _place(value: Sequence[str], tokens: Sequence[str]) -> tuple[int, int] | None:
    length = len(value)
    starts = (i for i in range(len(tokens) - length + 1) if list(tokens[i : i + length]) == list(value))
    first = next(starts, None) if value else None
    return None if first is None else (first, first + length)
