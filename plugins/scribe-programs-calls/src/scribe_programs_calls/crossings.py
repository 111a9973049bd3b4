"""Calls that pair two lists of a request, all but one pair: `rock and jazz concerts in Rome and in Paris` are four calls."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, pairwise

from scribe_core.types import Json, ToolCall, ToolSpec
from scribe_programs_calls.arguments import as_text, leaves
from scribe_programs_calls.words import words

_MOST_PARAMETERS, _MOST_VALUES = 8, 4
_FAR = 8
"""Words between two items of a list at most."""


def incomplete_crossing(text: str, made: Sequence[ToolCall]) -> str | None:
    """The name of a tool that was called for all pairs of two listed sets of values but one."""
    said = f" {' '.join(words(text))} "
    for name, rows in _rows(made).items():
        several = [key for key in rows[0] if 1 < len(_column(rows, key)) <= _MOST_VALUES]
        for one, other in combinations(several[:_MOST_PARAMETERS], 2):
            pairs = {(row.get(one, ""), row.get(other, "")) for row in rows}
            complete = len(_column(rows, one)) * len(_column(rows, other))
            listed = all(_is_listed(_column(rows, key), said) for key in (one, other))
            if len(pairs) == complete - 1 and listed:
                return name
    return None


def _rows(made: Sequence[ToolCall]) -> dict[str, list[dict[str, str]]]:
    """For each tool its calls, as the words of each argument."""
    rows: dict[str, list[dict[str, str]]] = {}
    for call in made:
        if isinstance(call.arguments, Mapping):
            rows.setdefault(call.name, []).append(dict(_spoken_arguments(call.arguments)))
    return {name: calls for name, calls in rows.items() if len(calls) > 2}


def _spoken_arguments(arguments: Json) -> Iterator[tuple[str, str]]:
    for name, value in islice(arguments.items(), 50):
        scalars = (as_text(node.value)[:200] for _, node in leaves([(ToolSpec(name=""), {"value": value})]))
        yield str(name), " ".join(words(" ".join(islice(scalars, 10))))


def _column(rows: Sequence[Mapping[str, str]], key: str) -> set[str]:
    return {row.get(key, "") for row in rows}


def _is_listed(values: set[str], said: str) -> bool:
    """Whether a text names the values one after the other, joined by `and` or `or`."""
    places = sorted((said.find(f" {value} "), value) for value in values)
    if places[0][0] < 0 or "" in values:
        return False
    gaps = [said[start + len(value) + 1 : end].split() for (start, value), (end, _) in pairwise(places)]
    joined = any(word in ("and", "or") for gap in gaps for word in gap)
    return joined and all(len(gap) <= _FAR for gap in gaps)
