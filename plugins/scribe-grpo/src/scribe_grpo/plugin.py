"""What this package offers to scribe."""

from collections.abc import Iterator

from scribe_core import hookimpl


@hookimpl
def scribe_optimizers() -> Iterator[type]:
    from scribe_grpo.builders import GRPO, SFT

    yield from (GRPO, SFT)
