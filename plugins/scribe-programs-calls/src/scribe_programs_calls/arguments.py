"""Arguments and their schemas: the values inside arguments, each with what its parameter says, and their types.

Schemas are JSON Schema; the type names that Python and other languages give are understood too. Work is bounded
however deep or large arguments are.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from attrs import frozen

from scribe_core.types import Json, ToolSpec

MOST_LEAVES = 400
"""Values of all calls together that are looked at."""
MOST_DEPTH = 32
MOST_PARAMETERS = 200

_TYPES = {
    "string": ("string", "str", "char", "text"),
    "integer": ("integer", "int", "long", "short", "byte", "bigint"),
    "number": ("number", "float", "double", "decimal"),
    "boolean": ("boolean", "bool"),
    "array": ("array", "list", "tuple", "set", "arraylist"),
    "object": ("object", "dict", "map", "hashmap", "record"),
    "null": ("null", "none"),
}
_NAMES = {alias: name for name, aliases in _TYPES.items() for alias in aliases}


@frozen
class Node:
    """A value inside arguments: where it is, what it is, and what its parameter's schema says of it."""

    path: tuple[str, ...]
    value: Any
    schema: Json
    required: bool = False

    @property
    def place(self) -> str:
        """The path as text, for messages."""
        return ".".join(self.path)[:120] or "arguments"

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither an object nor a list."""
        return not isinstance(self.value, (Mapping, list, tuple))


def properties(schema: Any) -> dict[str, Json]:
    """Parameter schemas of an object schema by name; a malformed one is empty."""
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    some = islice(found.items(), MOST_PARAMETERS)
    return {str(name): inner if isinstance(inner, Mapping) else {} for name, inner in some}


def required(schema: Any) -> list[str]:
    """The names that an object schema requires."""
    names = schema.get("required") if isinstance(schema, Mapping) else None
    return (
        [name for name in names[:MOST_PARAMETERS] if isinstance(name, str)]
        if isinstance(names, (list, tuple))
        else []
    )


def description(schema: Json) -> str:
    """A schema's description as text."""
    text = schema.get("description", "")
    return text[:4000] if isinstance(text, str) else ""


def allowed(schema: Json) -> list[Any]:
    """The values a schema lists as the only ones; empty where it lists none."""
    values = schema.get("enum")
    if isinstance(values, (list, tuple)):
        return list(values[:1000])
    return [schema["const"]] if "const" in schema else []


def nodes(arguments: Any, schema: Any) -> list[Node]:
    """All values inside arguments, breadth first; about `MOST_LEAVES`, `MOST_DEPTH` deep."""
    found: list[Node] = []
    level = [Node((), arguments, schema if isinstance(schema, Mapping) else {}, True)]
    for _ in range(MOST_DEPTH):
        found += level
        level = list(islice((child for node in level for child in _children(node)), MOST_LEAVES))
        if not level or len(found) >= MOST_LEAVES:
            break
    return found


def leaves(known: Iterable[tuple[ToolSpec, Json]]) -> Iterator[tuple[ToolSpec, Node]]:
    """The scalars of calls, each with its tool; at most `MOST_LEAVES` in all."""
    found = (
        (tool, node)
        for tool, arguments in known
        for node in nodes(arguments, tool.parameters)
        if node.is_scalar
    )
    return islice(found, MOST_LEAVES)


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node.value, Mapping):
        declared, needed = properties(node.schema), set(required(node.schema))
        for name, value in islice(node.value.items(), MOST_LEAVES):
            key = str(name)[:200]
            yield Node((*node.path, key), value, declared.get(key, {}), key in needed)
    elif isinstance(node.value, (list, tuple)):
        items = node.schema.get("items")
        # What describes a list describes its items: what they are for, in which unit and format.
        about = {"description": description(node.schema), **(items if isinstance(items, Mapping) else {})}
        for value in node.value[:MOST_LEAVES]:
            yield Node(node.path, value, about, node.required)


def as_text(value: Any) -> str:
    """A scalar as the start of its text; nothing for integers too long to be written."""
    if isinstance(value, str):
        return value[:4000]
    return "" if isinstance(value, int) and value.bit_length() > 1000 else str(value)[:4000]


def as_float(value: Any) -> float:
    """A number as a float; infinite where it is too large to be one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def fits(node: Node) -> bool:
    """Whether a value has a declared type, as JSON Schema means it: 5 is a number, true is no integer.

    `anyOf` and `oneOf` allow each of their types.
    """
    choices = next((node.schema[key] for key in ("anyOf", "oneOf") if node.schema.get(key)), None)
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        some = [choice for choice in choices[:20] if isinstance(choice, Mapping)]
        return not some or any(_has_type(node.value, choice, node.required) for choice in some)
    return _has_type(node.value, node.schema, node.required)


def _has_type(value: Any, schema: Json, needed: bool) -> bool:
    """NaN and infinities are no JSON. Null is right where it is declared or the default, or nothing is needed."""
    declared = schema.get("type")
    listed = declared[:20] if isinstance(declared, (list, tuple)) else [] if declared is None else [declared]
    names = {_NAMES.get(str(name).lower()) for name in listed}
    if value is None:
        takes_null = schema.get("nullable") is True or ("default" in schema and schema["default"] is None)
        return not needed or not names or takes_null or bool(names & {None, "null"})
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return not names or None in names or any(_is_a(value, name) for name in names if name)


def _is_a(value: Any, name: str) -> bool:
    if name == "boolean" or isinstance(value, bool):
        return name == "boolean" and isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if name == "number":
        return isinstance(value, (int, float))
    if name == "array":
        return isinstance(value, (list, tuple))
    return isinstance(value, Mapping) if name == "object" else isinstance(value, str) and name == "string"
