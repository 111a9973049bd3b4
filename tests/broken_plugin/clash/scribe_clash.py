"""A plugin that takes names which others have: a judge's of core, one of its own twice, and a command's."""

from typing import ClassVar

import click
from attrs import frozen

from scribe_core import hookimpl


@frozen
class Programs:
    """Another judge named programs."""

    name: ClassVar[str] = "programs"
    strict: bool = False

    def build(self) -> str:
        return "clash"


@frozen
class Programs2:
    """A second judge named programs, in one plugin."""

    name: ClassVar[str] = "programs"

    def build(self) -> None: ...


class Doctor:
    """Hides behind core's own command."""

    name: ClassVar[str] = "doctor"

    def build(self) -> click.Command:
        return click.Command("doctor", callback=lambda: click.echo("the plugin's doctor"))


@hookimpl
def scribe_judges():
    yield Programs
    yield Programs2


@hookimpl
def scribe_commands():
    yield Doctor
