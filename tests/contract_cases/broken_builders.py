"""Builders that are wrong in one way each."""

from collections.abc import Callable
from typing import ClassVar

import attrs
from cases import case

from scribe_core.testing import BuilderContract


@attrs.frozen
class Sound:
    """Nothing is wrong with it."""

    name: ClassVar[str] = "sound"

    def build(self) -> None: ...


@attrs.frozen
class BadName:
    """Has a name that no config can hold."""

    name: ClassVar[str] = "Bad Name"

    def build(self) -> None: ...


@attrs.frozen
class NoDocstring:
    name: ClassVar[str] = "no-docstring"

    def build(self) -> None: ...


@attrs.define(hash=True)
class Mutable:
    """Can be changed after the config was read."""

    name: ClassVar[str] = "mutable"

    def build(self) -> None: ...


@attrs.frozen
class Unhashable:
    """Holds a list."""

    name: ClassVar[str] = "unhashable"
    options: tuple[str, ...] = attrs.field(default=(), converter=list)

    def build(self) -> None: ...


@attrs.frozen
class Unpicklable:
    """Holds a function without a name."""

    name: ClassVar[str] = "unpicklable"
    score: str | Callable[[], int] = lambda: 3

    def build(self) -> None: ...


@attrs.frozen
class Lossy:
    """Holds what no config can say."""

    name: ClassVar[str] = "lossy"
    number: complex = 1j

    def build(self) -> None: ...


TestBuilderContract_sound = case(BuilderContract, Sound(), kind="judges")
for _builder in (BadName, NoDocstring, Mutable, Unhashable, Unpicklable, Lossy):
    globals()[f"TestBuilderContract_{_builder.__name__}"] = case(BuilderContract, _builder(), kind="judges")
