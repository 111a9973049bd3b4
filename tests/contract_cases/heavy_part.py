"""A part that imports a heavy library before it is built."""

from typing import ClassVar

import openai
from attrs import frozen

from scribe_core.testing import BuilderContract


@frozen
class Heavy:
    """Imports too much."""

    name: ClassVar[str] = "heavy"

    def build(self) -> object:
        return openai


class TestBuilderContract_Heavy(BuilderContract):  # noqa: N801
    kind = "judges"

    def builder(self) -> Heavy:
        return Heavy()
