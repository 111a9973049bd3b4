"""What scribe loads at start: the hook, and nothing heavy."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_environments() -> Iterator[type[Any]]:
    from scribe_env_bfcl.environment import BFCL

    yield BFCL
