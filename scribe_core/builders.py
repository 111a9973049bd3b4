"""Builders: a frozen attrs class that is a part's name, its options and its factory.

@frozen
class Cached:
    \"\"\"Remembers what the inner judge answered.\"\"\"

    name: ClassVar[str] = "cached"
    inner: Builder[Judge] = part("judges")
    path: str = "judge.sqlite"

    def build(self) -> Judge: ...
"""

from typing import Any, ClassVar

from attrs import NOTHING, field, frozen

from scribe_core.protocols import Program


def part(kind: str, default: Any = NOTHING) -> Any:
    """A builder's field that holds another builder of `kind` (or a tuple of them), chosen in config by `use`."""
    return field(default=default, metadata={"scribe_kind": kind})


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
