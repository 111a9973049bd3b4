"""What this package offers to scribe."""

from collections.abc import Iterator

from scribe_core import hookimpl


@hookimpl
def scribe_judges() -> Iterator[type]:
    from scribe_judge_hf.builder import HFJudge

    yield HFJudge
