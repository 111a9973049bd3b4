"""Offers the curated library by the name `scribe-skills`."""

from collections.abc import Iterator
from typing import Any

from scribe_core import hookimpl


@hookimpl
def scribe_skill_libraries() -> Iterator[type[Any]]:
    from scribe_skills.library import ScribeSkills

    yield ScribeSkills
