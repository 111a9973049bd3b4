"""What a model is told about a plain Python function: its signature, annotations and docstring as a ToolSpec.

Sources: JSON Schema 2020-12 for the types, PEP 257 and Google's docstring sections for the descriptions.
"""

import inspect
import re
import types
from collections.abc import Callable
from enum import Enum
from math import isfinite
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from scribe_core.errors import ConfigError
from scribe_core.types import ToolSpec

TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Names that chat endpoints take for a tool."""

_PLAIN: dict[Any, dict[str, Any]] = {
    Any: {},
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    list: {"type": "array"},
    dict: {"type": "object"},
    None: {"type": "null"},
    type(None): {"type": "null"},
}
_SUPPORTED = (
    "str, int, float, bool, list[T], dict[str, T], Literal, Enum, Annotated[T, text], and unions of them"
)


def spec_of(function: Callable[..., Any]) -> ToolSpec:
    """The ToolSpec of a function: the docstring's first paragraph describes it, `Args:` its parameters.

    Raises ConfigError where the function has no usable name or a parameter that JSON cannot name.
    """
    name = getattr(function, "__name__", "")
    if not TOOL_NAME.fullmatch(name):
        raise ConfigError(
            f"tool {function!r}: a tool needs a name of letters, digits and _; define it with def"
        )
    doc = inspect.getdoc(function) or ""
    hints = hints_of(function)
    described = argument_texts(doc)
    properties, required = {}, []
    for parameter in _parameters(function):
        schema = _parameter_schema(parameter, hints, f"tool {name!r}, parameter {parameter.name!r}")
        if parameter.name in described:
            schema.setdefault("description", described[parameter.name])
        properties[parameter.name] = schema
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    parameters = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return ToolSpec(name=name, description=_first_paragraph(doc), parameters=parameters)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The function's resolved annotations, `Annotated` kept."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(f"tool {name!r}: its annotations cannot be resolved: {error}") from error


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    name = getattr(function, "__name__", repr(function))
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"tool {name!r}: it has no readable signature; wrap it in a def") from error
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(
                f"tool {name!r}, parameter {str(parameter)!r}: a model passes arguments by name; "
                "use ordinary parameters instead of *args, **kwargs and positional-only ones"
            )
    return parameters


def _parameter_schema(parameter: inspect.Parameter, hints: dict[str, Any], where: str) -> dict[str, Any]:
    if parameter.name not in hints:
        raise ConfigError(f"{where}: it has no type annotation; use one of: {_SUPPORTED}")
    schema = schema_of(hints[parameter.name], where)
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if isinstance(default, (str, int)) or (isinstance(default, float) and isfinite(default)):
        schema["default"] = default
    return schema


def schema_of(annotation: Any, where: str) -> dict[str, Any]:
    """The JSON Schema of one annotation; `where` begins the ConfigError for a type that has none."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        texts = [extra for extra in args[1:] if isinstance(extra, str)]
        return schema_of(args[0], where) | ({"description": texts[0]} if texts else {})
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(arg, where) for arg in args]}
    if origin is Literal:
        return _choices(args, where)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choices([member.value for member in annotation], where)
    if origin is list:
        return {"type": "array", "items": schema_of(args[0], where)}
    if origin is dict and args[0] is str:
        return {"type": "object", "additionalProperties": schema_of(args[1], where)}
    try:
        return dict(_PLAIN[annotation])
    except (KeyError, TypeError):
        raise ConfigError(f"{where}: {annotation!r} has no JSON type; use one of: {_SUPPORTED}") from None


def _choices(values: Any, where: str) -> dict[str, Any]:
    if not all(value is None or isinstance(value, (str, int, bool)) for value in values):
        raise ConfigError(f"{where}: choices must be str, int, bool or None; got {list(values)!r}")
    kinds = {type(value) for value in values}
    kind = _PLAIN[kinds.pop()] if len(kinds) == 1 else {}
    return kind | {"enum": list(values)}


def revive(annotation: Any, value: Any) -> Any:
    """A valid JSON value as the function declared it: enum members instead of their values."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation(value)
    if origin is Annotated:
        return revive(args[0], value)
    if origin is list and isinstance(value, list):
        return [revive(args[0], item) for item in value]
    if origin is dict and isinstance(value, dict):
        return {key: revive(args[1], item) for key, item in value.items()}
    if origin in (Union, types.UnionType):
        return _revive_union(args, value)
    return value


def _revive_union(members: tuple[Any, ...], value: Any) -> Any:
    for member in members:
        try:
            revived = revive(member, value)
        except ValueError:
            continue
        if revived is not value:
            return revived
    return value


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.partition("\n\n")[0].split())


_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):[ \t]*\n((?:[ \t]+\S.*\n?|[ \t]*\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^\*{0,2}(\w+)(?: *\([^)]*\))?: *(.*)$")


def argument_texts(doc: str) -> dict[str, str]:
    """The entries of a docstring's `Args:` section, continuation lines joined."""
    section = _SECTION.search(doc)
    if section is None:
        return {}
    lines = [line for line in inspect.cleandoc("\n" + section[1]).splitlines() if line.strip()]
    texts: dict[str, str] = {}
    current = ""
    for line in lines:
        entry = None if line[0].isspace() else _ENTRY.match(line)
        if entry is not None:
            current = entry[1]
            texts[current] = entry[2].strip()
        elif current:
            texts[current] = f"{texts[current]} {line.strip()}".strip()
    return texts
