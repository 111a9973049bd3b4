"""Right calls made wrong, one mistake each: what `pairs.py` asks `scribe score` to notice.

The corruptions were written before the programs and prototypes that are measured with them, and without
sight of those; whoever improves a program may not tune a corruption to it. A corruption takes a case (the
task, its tools and its reference calls), a random generator and the pool of all cases, and gives the
corrupted calls, or None where it does not apply. It changes nothing it is given.
"""

# ruff: noqa: ARG001 - all corruptions have one signature

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from jsonschema import Draft202012Validator

from scribe_core.types import Task, ToolCall, ToolSpec

Calls = tuple[ToolCall, ...]
Path = tuple[str | int, ...]


@frozen(kw_only=True)
class Case:
    """A task, the tools it offers by name, and its reference calls."""

    task: Task
    tools: Mapping[str, ToolSpec]
    calls: Calls

    @property
    def request(self) -> str:
        """What the user wrote."""
        return "\n".join(message.content for message in self.task.messages if message.role == "user")


@frozen(kw_only=True)
class Leaf:
    """A text, number or boolean somewhere inside the arguments of a call; `name` is its nearest key."""

    call: int
    path: Path
    name: str
    value: Any


class Pool:
    """The values that all references use, to borrow from another task."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._by_name: dict[tuple[str, str], list[tuple[str, Leaf]]] = defaultdict(list)
        self._by_kind: dict[str, list[tuple[str, Leaf]]] = defaultdict(list)
        self._all: list[tuple[str, Leaf]] = []
        for case in cases:
            for leaf in leaves(case.calls):
                owned = (case.task.id, leaf)
                self._by_name[kind_of(leaf.value), leaf.name].append(owned)
                self._by_kind[kind_of(leaf.value)].append(owned)
                self._all.append(owned)

    def borrow(self, case: Case, leaf: Leaf, rng: random.Random) -> Any | None:
        """Another task's value of the same type, under the same parameter name where there is one."""
        kind = kind_of(leaf.value)
        for owned in (self._by_name[kind, leaf.name], self._by_kind[kind]):
            values = [o.value for owner, o in owned if owner != case.task.id and _differ(o.value, leaf.value)]
            if values:
                return rng.choice(values)
        return None

    def parameter(self, case: Case, rng: random.Random) -> tuple[str, Any] | None:
        """A parameter of another task's reference, with its value."""
        owned = [leaf for owner, leaf in self._all if owner != case.task.id]
        leaf = rng.choice(owned) if owned else None
        return (leaf.name, leaf.value) if leaf else None


Corruption = Callable[[Case, random.Random, Pool], Calls | None]


def missing_argument(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """A required argument is left out."""
    spots = [
        (i, name)
        for i, call in enumerate(case.calls)
        for name in case.tools[call.name].parameters.get("required", ())
        if name in call.arguments
    ]
    if not spots:
        return None
    i, name = rng.choice(spots)
    return _with_arguments(case.calls, i, {k: v for k, v in case.calls[i].arguments.items() if k != name})


def wrong_function(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """Another offered function gets the same arguments; where none other is offered, an invented one does."""
    i = rng.randrange(len(case.calls))
    used = {call.name for call in case.calls}
    others = [name for name in case.tools if name not in used] or [
        n for n in case.tools if n != case.calls[i].name
    ]
    name = rng.choice(others) if others else _invented_name(case.calls[i].name, rng)
    return _replaced(case.calls, i, evolve(case.calls[i], name=name))


def invented_parameter(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """An argument that the function does not declare, as some other task's function does."""
    i = rng.randrange(len(case.calls))
    declared = case.tools[case.calls[i].name].parameters.get("properties", {})
    borrowed = pool.parameter(case, rng)
    if borrowed is None or borrowed[0] in declared:
        return None
    return _with_arguments(case.calls, i, {**case.calls[i].arguments, borrowed[0]: borrowed[1]})


def wrong_type(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """A value of another JSON type than the schema says."""
    spots = [
        (i, name, schema["type"])
        for i, call in enumerate(case.calls)
        for name, schema in case.tools[call.name].parameters.get("properties", {}).items()
        if name in call.arguments and "type" in schema and _has_type(schema["type"], call.arguments[name])
    ]
    if not spots:
        return None
    i, name, kind = rng.choice(spots)
    arguments = case.calls[i].arguments
    return _with_arguments(case.calls, i, {**arguments, name: _of_other_type(kind, arguments[name], rng)})


def dropped_call(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """One of several calls is not made."""
    if len(case.calls) < 2:
        return None
    i = rng.randrange(len(case.calls))
    return case.calls[:i] + case.calls[i + 1 :]


def repeated_call(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """A call is made twice, though no two calls of the reference are equal."""
    if any(call in case.calls[:i] for i, call in enumerate(case.calls)):
        return None
    return (*case.calls, rng.choice(case.calls))


def value_of_same_request(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """A value gives way to one of its type from elsewhere in the request: another argument's, or the user's words."""

    def candidates(leaf: Leaf) -> list[Any]:
        others = [other.value for other in leaves(case.calls) if other != leaf]
        same = [
            value for value in (*others, *_mentioned(case.request)) if kind_of(value) == kind_of(leaf.value)
        ]
        return [value for value in same if _differ(value, leaf.value)]

    spots = [(leaf, values) for leaf in leaves(case.calls) if (values := candidates(leaf))]
    if not spots:
        return None
    leaf, values = rng.choice(spots)
    return _still_well_formed(case, _with_leaf(case.calls, leaf, rng.choice(values)))


def value_of_other_task(case: Case, rng: random.Random, pool: Pool) -> Calls | None:
    """A value gives way to one of its type from another task's reference."""
    spots = list(leaves(case.calls))
    if not spots:
        return None
    leaf = rng.choice(spots)
    value = pool.borrow(case, leaf, rng)
    return None if value is None else _still_well_formed(case, _with_leaf(case.calls, leaf, value))


STRUCTURAL: dict[str, Corruption] = {
    "missing_argument": missing_argument,
    "wrong_function": wrong_function,
    "invented_parameter": invented_parameter,
    "wrong_type": wrong_type,
    "dropped_call": dropped_call,
    "repeated_call": repeated_call,
}
VALUES: dict[str, Corruption] = {
    "value_of_same_request": value_of_same_request,
    "value_of_other_task": value_of_other_task,
}


def leaves(calls: Calls) -> Iterator[Leaf]:
    """Every text, number and boolean in the arguments of the calls."""
    for i, call in enumerate(calls):
        for name, value in call.arguments.items():
            yield from _leaves(i, (name,), name, value)


def _leaves(call: int, path: Path, name: str, value: Any) -> Iterator[Leaf]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(call, (*path, key), key, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(call, (*path, index), name, item)
    elif value is not None:
        yield Leaf(call=call, path=path, name=name, value=value)


def kind_of(value: Any) -> str:
    """The JSON type of a leaf."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _differ(value: Any, other: Any) -> bool:
    """Whether one would be wrong in the place of the other: "Paris" for "Paris, France" may well be right."""
    if isinstance(value, str) and isinstance(other, str):
        a, b = value.strip().casefold(), other.strip().casefold()
        return bool(a and b) and a not in b and b not in a
    return bool(value != other)


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_PHRASE = re.compile(r"(?<=[^.!?:\s] )[A-Z][\w'-]*(?: [A-Z][\w'-]*)*")


def _mentioned(text: str) -> list[Any]:
    """The numbers of a text, and its capitalised phrases other than at the start of a sentence."""
    written = [number.replace(",", "") for number in _NUMBER.findall(text)]
    numbers = [float(number) if "." in number else int(number) for number in written if len(number) < 16]
    phrases = [phrase for phrase in _PHRASE.findall(text) if len(phrase) > 2 and phrase.split("'")[0] != "I"]
    return [*numbers, *phrases]


_OTHER_TYPES: dict[str, Callable[[Any], list[Any]]] = {
    "string": lambda value: [7, [value], {"value": value}],
    "integer": lambda value: ["several", [value]],
    "number": lambda value: ["several", [value]],
    "boolean": lambda value: ["sometimes", [value]],
    "array": lambda value: ["all of them", {"items": value}],
    "object": lambda value: ["the default", [value]],
}
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def _has_type(kind: str, value: Any) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _of_other_type(kind: str, value: Any, rng: random.Random) -> Any:
    return rng.choice(_OTHER_TYPES[kind](value))


_SYNONYMS = {
    "get": "fetch",
    "find": "lookup",
    "search": "query",
    "calculate": "evaluate",
    "calc": "eval",
    "compute": "derive",
    "create": "make",
    "book": "reserve",
}


def _invented_name(name: str, rng: random.Random) -> str:
    """A name that a model could have imagined for the same purpose."""
    words = re.split(r"([._-])", name)
    for i, word in enumerate(words):
        if word.lower() in _SYNONYMS:
            return "".join([*words[:i], _SYNONYMS[word.lower()], *words[i + 1 :]])
    return name + rng.choice(("_v2", "_info", "_tool", "_lookup"))


def _replaced(calls: Calls, index: int, call: ToolCall) -> Calls:
    return (*calls[:index], call, *calls[index + 1 :])


def _with_arguments(calls: Calls, index: int, arguments: Mapping[str, Any]) -> Calls:
    return _replaced(calls, index, evolve(calls[index], arguments=arguments))


def _with_leaf(calls: Calls, leaf: Leaf, value: Any) -> Calls:
    return _with_arguments(calls, leaf.call, _put(calls[leaf.call].arguments, leaf.path, value))


def _put(container: Any, path: Sequence[str | int], value: Any) -> Any:
    if not path:
        return value
    changed = _put(container[path[0]], path[1:], value)
    if isinstance(container, Mapping):
        return {**container, path[0]: changed}
    return [changed if i == path[0] else item for i, item in enumerate(container)]


def _still_well_formed(case: Case, calls: Calls) -> Calls | None:
    """A wrong value must not be found out by the schema (an enum, say): that would be a structural mistake."""
    return calls if _misfits(case, calls) <= _misfits(case, case.calls) else None


def _misfits(case: Case, calls: Calls) -> int:
    validators = [Draft202012Validator(case.tools[call.name].parameters) for call in calls]
    return sum(len(list(v.iter_errors(call.arguments))) for v, call in zip(validators, calls, strict=True))
