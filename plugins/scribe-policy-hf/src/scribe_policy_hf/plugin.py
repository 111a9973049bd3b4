"""What this package offers to scribe."""

from collections.abc import Iterator

from scribe_core import hookimpl


@hookimpl
def scribe_policies() -> Iterator[type]:
    from scribe_policy_hf.builder import HF

    yield HF
