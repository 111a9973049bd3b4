"""A plugin whose hooks yield what is no builder, raise, return nothing, or do not exist."""

from typing import ClassVar

import click
from attrs import field, frozen

from scribe_core import hookimpl


@frozen
class Fine:
    """Works, whatever its neighbours do."""

    name: ClassVar[str] = "fine"

    def build(self) -> str:
        return "fine"


@frozen
class BadName:
    name: ClassVar[str] = "Not A Name"

    def build(self) -> None: ...


@frozen
class NoBuild:
    name: ClassVar[str] = "no-build"


class NotAttrs:
    name: ClassVar[str] = "not-attrs"

    def build(self) -> None: ...


@frozen
class Reserved:
    name: ClassVar[str] = "reserved"
    use: str = ""

    def build(self) -> None: ...


@frozen
class Unreadable:
    """Its option has a type that nobody can import."""

    name: ClassVar[str] = "unreadable"
    inner: "Nowhere" = None  # noqa: F821

    def build(self) -> None: ...


def _no_luck() -> int:
    click.echo("noise")
    raise ValueError("no luck")


@frozen
class Unmade:
    """Its option has a default that cannot be made."""

    name: ClassVar[str] = "unmade"
    number: int = field(factory=_no_luck)
    """Counts."""

    def build(self) -> None: ...


@hookimpl
def scribe_judges():
    yield from (Fine, Fine(), 7, None, BadName, NoBuild, NotAttrs, Reserved)


@hookimpl
def scribe_routers():
    yield Fine
    raise ValueError("halfway")


@hookimpl
def scribe_miners():
    return None


@hookimpl
def scribe_segmenters():
    yield from (Unmade, Unreadable)


@hookimpl
def scribe_judgez():
    yield Fine


def scribe_trackers():
    yield Fine
