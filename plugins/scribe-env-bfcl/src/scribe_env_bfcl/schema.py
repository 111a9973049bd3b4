"""The leaderboard's function docs as tool specs: its Python-flavoured types as JSON Schema."""

from collections.abc import Mapping
from typing import Any

from scribe_core.types import ToolSpec

_TYPES = {"dict": "object", "float": "number", "tuple": "array"}


def tool_spec(function: Mapping[str, Any]) -> ToolSpec:
    """A function doc as a tool; a dot stays in its name."""
    return ToolSpec(
        name=function["name"],
        description=function.get("description", ""),
        parameters=json_schema(function.get("parameters", {})),
    )


def json_schema(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's doc as JSON Schema: `any` allows everything, and a list's enum is one of its items."""
    schema = {key: value for key, value in declared.items() if key not in ("type", "optional")}
    kind = declared.get("type")
    if kind is not None and kind != "any":
        schema["type"] = _TYPES.get(kind, kind)
    if isinstance(declared.get("properties"), Mapping):
        schema["properties"] = {name: json_schema(value) for name, value in declared["properties"].items()}
    if isinstance(declared.get("items"), Mapping):
        schema["items"] = json_schema(declared["items"])
    if schema.get("type") == "array" and "enum" in schema:
        schema["items"] = {**schema.get("items", {}), "enum": schema.pop("enum")}
    return schema
