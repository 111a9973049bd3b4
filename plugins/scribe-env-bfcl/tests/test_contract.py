"""The environment keeps the contract: tasks of one category, and of all of them."""

from typing import ClassVar

from scribe_env_bfcl.data import CATEGORIES
from scribe_env_bfcl.environment import BFCL

from scribe_core.testing import EnvironmentContract


class TestBFCL(EnvironmentContract):
    def builder(self) -> BFCL:
        return BFCL()


class TestTheWholeLeaderboard(EnvironmentContract):
    limit: ClassVar[int] = 50

    def builder(self) -> BFCL:
        return BFCL(categories=CATEGORIES, max_tools_chars=4000)
