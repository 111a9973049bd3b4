"""Builders: a frozen attrs class that is a part's name, its options and its factory.

@frozen
class Cached:
    \"\"\"Another judge, which asks its model nothing twice.\"\"\"

    name: ClassVar[str] = "cached"
    judge: Builder[Judge] = part("judges")
    path: str = "judge.sqlite"

    def build(self) -> Judge: ...
"""

import sys
from contextlib import redirect_stdout
from typing import Any, ClassVar, TypeVar

from attrs import NOTHING, field, frozen

from scribe_core.errors import ConfigError, ScribeError
from scribe_core.protocols import Builder, Program

T = TypeVar("T")


def part(kind: str, default: Any = NOTHING) -> Any:
    """A builder's field that holds another builder of `kind` (or a tuple of them), chosen in config by `use`."""
    return field(default=default, metadata={"scribe_kind": kind})


def build(builder: Builder[T]) -> T:
    """What a builder builds; what it prints goes to stderr, where it is not in the way of results.

    Raises ConfigError that names the part, and the package it comes from, for whatever `build()` raises.
    """
    try:
        with redirect_stdout(sys.stderr):
            return builder.build()
    except ScribeError:
        raise
    except (Exception, SystemExit) as error:
        import structlog

        structlog.get_logger("scribe.build").debug("build failed", exc_info=True)
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise ConfigError(f"{_origin(builder)} cannot be built: {text}; `scribe -v` shows where") from error


def _origin(builder: Builder[Any]) -> str:
    from scribe_core.options import reference
    from scribe_core.registry import Registry

    for record in Registry.installed().records():
        if record.builder is type(builder):
            return f"{record.name!r}, one of the {record.kind.replace('_', ' ')} of {record.dist} {record.version},"
    return f"{reference(type(builder))!r}"


def first_line(cls: type) -> str:
    """The first line of a builder's docstring: its help."""
    return (cls.__doc__ or "").strip().partition("\n")[0]


def program(function: Program) -> type[Any]:
    """Makes a program builder of a function from Subgoal to Finding; its name and docstring are the function's."""
    return _program_builder(function, function.__name__, function.__doc__)  # type: ignore[attr-defined]


def _program_builder(function: Program, title: str, doc: str | None) -> type[Any]:
    class ProgramBuilder:
        name: ClassVar[str] = title

        def build(self) -> Program:
            return function

    ProgramBuilder.__doc__ = doc
    ProgramBuilder.__qualname__ = ProgramBuilder.__name__ = title
    ProgramBuilder.__module__ = function.__module__
    return frozen(ProgramBuilder)
