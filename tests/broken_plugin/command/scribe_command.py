"""A plugin with commands: one that works, and two that cannot be built."""

from typing import ClassVar

import click

from scribe_core import hookimpl


def hello() -> int:
    click.echo("hello")
    return 3


class Hello:
    """Say hello.

    A second paragraph, which the list of commands leaves out.
    """

    name: ClassVar[str] = "hello"

    def build(self) -> click.Command:
        return click.Command("hello", callback=hello, help=self.__doc__)


class Raises:
    """Cannot be built."""

    name: ClassVar[str] = "raises"

    def build(self) -> click.Command:
        raise SystemExit("no luck")


class NoCommand:
    """Builds what is no command."""

    name: ClassVar[str] = "no-command"

    def build(self) -> str:
        return "text"


@hookimpl
def scribe_commands():
    yield from (Hello, Raises, NoCommand)
