"""Arguments and their schemas: scalars with what their parameter says, and whether values have the declared type.

Schemas are JSON Schema; the type names of Python and other languages that tool docs use are understood. Work is
bounded however deep or large the arguments are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from scribe_core.types import Json

MOST_LEAVES = 400
MOST_DEPTH = 32

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
class Leaf:
    """A scalar (or an empty list or object) in arguments: where, what, and what its parameter's schema says."""

    path: tuple[str, ...]
    value: Any
    schema: Json
    required: bool = False

    @property
    def place(self) -> str:
        return ".".join(self.path)[:120] or "arguments"


def properties(schema: Any) -> dict[str, Json]:
    """Parameter schemas of an object schema by name; a malformed one is empty."""
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {str(name): inner if isinstance(inner, Mapping) else {} for name, inner in found.items()}


def required(schema: Any) -> list[str]:
    """The names that an object schema requires."""
    names = schema.get("required") if isinstance(schema, Mapping) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, Sequence) else []


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


def nodes(arguments: Any, schema: Any) -> list[Leaf]:
    """All values inside arguments with their schemas, breadth first; at most `MOST_LEAVES`, `MOST_DEPTH` deep."""
    found: list[Leaf] = []
    level = [Leaf((), arguments, schema if isinstance(schema, Mapping) else {}, True)]
    for _ in range(MOST_DEPTH):
        found += level
        level = [child for node in level for child in _children(node)][:MOST_LEAVES]
        if not level or len(found) >= MOST_LEAVES:
            break
    return found[: 2 * MOST_LEAVES]


def leaves(arguments: Any, schema: Any) -> list[Leaf]:
    """The scalars of arguments."""
    return [node for node in nodes(arguments, schema) if not isinstance(node.value, (Mapping, list, tuple))]


def _children(node: Leaf) -> Iterator[Leaf]:
    if isinstance(node.value, Mapping):
        declared, needed = properties(node.schema), set(required(node.schema))
        for name, value in list(node.value.items())[:MOST_LEAVES]:
            key = str(name)[:200]
            yield Leaf((*node.path, key), value, declared.get(key, {}), key in needed)
    elif isinstance(node.value, (list, tuple)):
        items = node.schema.get("items")
        # What describes a list describes its items: what they are for, in which unit and format.
        about = {"description": description(node.schema), **(items if isinstance(items, Mapping) else {})}
        for value in node.value[:MOST_LEAVES]:
            yield Leaf(node.path, value, about, node.required)


def has_type(value: Any, schema: Json, required: bool = True) -> bool:
    """Whether a value has a declared type, as JSON Schema means it: 5 is a number, true is no integer.

    NaN and infinities are no JSON. A null is right where it is declared, or is the default, or may be left out.
    """
    declared = [str(name) for name in (_list_of(schema.get("type")))]
    names = {_NAMES.get(name.lower()) for name in declared}
    if value is None:
        return not required or not names or "null" in names or None in names or _takes_null(schema)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return None in names or not names or any(_is_a(value, name) for name in names if name)


def _list_of(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value[:20])
    return [] if value is None else [value]


def _takes_null(schema: Json) -> bool:
    return schema.get("nullable") is True or ("default" in schema and schema["default"] is None)


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


def fits(value: Any, schema: Json, required: bool = True) -> bool:
    """`has_type`, through `anyOf` and `oneOf`."""
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, (list, tuple)) and choices:
            inner = [choice for choice in choices[:20] if isinstance(choice, Mapping)]
            return any(has_type(value, choice, required) for choice in inner) or not inner
    return has_type(value, schema, required)
