"""What this package offers to scribe."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_miners() -> Iterator[type[Any]]:
    from scribe_mine.clusters import Clusters

    yield Clusters


@hookimpl
def scribe_commands() -> Iterator[type[Any]]:
    from scribe_mine.command import MineCommand

    yield MineCommand
