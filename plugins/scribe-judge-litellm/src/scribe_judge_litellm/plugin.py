"""What this package offers to scribe."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_judges() -> Iterator[type[Any]]:
    from scribe_judge_litellm.builder import LiteLLMJudge

    yield LiteLLMJudge
