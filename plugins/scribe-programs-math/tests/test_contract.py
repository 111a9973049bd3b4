from typing import Any

import pytest
from scribe_programs_math.plugin import scribe_programs

from scribe_core.testing import ProgramContract

BUILDERS = {builder.name: builder for builder in scribe_programs()}


class TestPrograms(ProgramContract):
    @pytest.fixture(params=BUILDERS)
    def given(self, request: pytest.FixtureRequest) -> Any:
        return BUILDERS[request.param]()


def test_all_names_differ() -> None:
    assert len(BUILDERS) == len(list(scribe_programs()))
