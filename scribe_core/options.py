"""What may be set of a builder, as a user reads it: in listings, in help and in error messages."""

import ast
import inspect
import reprlib
import textwrap
import types
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import attrs

from scribe_core.errors import ConfigError

SCALARS = (str, int, float, bool)
TABLES = (dict, Mapping)


class Option(NamedTuple):
    """One option of a builder: its name in a config, its type, and the kind of builder it holds, if any."""

    name: str
    attribute: str
    hint: Any
    kind: str | None
    default: Any

    @property
    def required(self) -> bool:
        return self.default is attrs.NOTHING

    @property
    def expected(self) -> str:
        """Its type as a user reads it."""
        return expected(self.hint, self.kind)

    @property
    def default_value(self) -> Any:
        """None where there is no default, or where it depends on other options.

        Raises ConfigError where it is made by a function that fails.
        """
        if not isinstance(self.default, attrs.Factory):  # type: ignore[arg-type]
            return None if self.required else self.default
        try:
            return None if self.default.takes_self else self.default.factory()
        except (Exception, SystemExit) as error:
            text = f"the default of option {self.name!r} cannot be made"
            raise ConfigError(f"{text}: {type(error).__name__}: {error}") from error

    def plain(self) -> dict[str, Any]:
        """For `scribe plugins --json`; a builder as default is shown by its name, one that fails as none."""
        try:
            default = _plain_default(self.default_value)
        except ConfigError:
            default = None
        return {"name": self.name, "type": self.expected, "required": self.required, "default": default}


def options(cls: type[Any]) -> dict[str, Option]:
    """The options of an attrs class by name, in order; none for any other class.

    Raises ConfigError where a type names something that cannot be imported.
    """
    if not attrs.has(cls):
        return {}
    try:
        hints = get_type_hints(cls)
    except Exception as error:
        raise ConfigError(
            f"the types of the options of {reference(cls)} cannot be resolved: {error}"
        ) from error
    found = {}
    for field in attrs.fields(cls):
        if field.init:
            name, kind = str(field.alias), field.metadata.get("scribe_kind")
            found[name] = Option(name, field.name, hints.get(field.name, Any), kind, field.default)
    return found


def option_helps(cls: type[Any]) -> dict[str, str]:
    """What the text after each field of a class says, by attribute; nothing where the source is not at hand."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return {}
    helps = {}
    for statement, following in pairwise(getattr(tree, "body", ())):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                helps[name] = " ".join(text.split())
    return helps


def expected(hint: Any, kind: str | None = None) -> str:
    """A type as a user reads it; with `kind`, that of a builder."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(
            dict.fromkeys(
                expected(each, kind)
                for each in arguments
                if (kind and each is not type(None)) or configurable(each)
            )
        )
    parts = kind.replace("_", " ") if kind else ""
    if origin is tuple:
        return f"list of {parts or expected(arguments[0])}"
    if origin in TABLES:
        return "table" if arguments[1] is Any else f"table of {parts or expected(arguments[1])}"
    if parts:
        return f"one of the {parts}"
    return (
        f"table with {', '.join(options(hint))}" if attrs.has(hint) else getattr(hint, "__name__", str(hint))
    )


def configurable(hint: Any) -> bool:
    """Whether a config can hold a value of this type; functions and other objects only Python can give."""
    origin = get_origin(hint)
    return hint in (Any, *SCALARS) or origin in (Literal, tuple, *TABLES) or attrs.has(origin or hint)


def shown(value: object) -> str:
    """A value from outside in an error message: short, and its type where that may be the mistake."""
    limits = reprlib.Repr()
    limits.maxstring = limits.maxother = limits.maxlong = 80
    show: Callable[[object], str] = limits.repr
    try:
        return show(value) if isinstance(value, str) else f"{show(value)} ({type(value).__name__})"
    except Exception:
        return f"a value of type {type(value).__name__}"


def is_builder(value: object) -> bool:
    """Whether a value is a builder: it has a name for configs, and `build()`."""
    return isinstance(getattr(type(value), "name", None), str) and callable(getattr(value, "build", None))


def reference(value: Any) -> str:
    """The "module:name" of a class or function; of anything else, that of its class."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"


def _plain_default(value: Any) -> Any:
    if is_builder(value):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _plain_default(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_default(each) for each in value]
    if attrs.has(type(value)):
        return {
            each.name: _plain_default(getattr(value, each.attribute))
            for each in options(type(value)).values()
        }
    return value if value is None or isinstance(value, SCALARS) else reference(value)
