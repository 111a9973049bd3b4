"""The environments the tests share: read once, never changed."""

import pytest
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES, data_folder, read_category


@pytest.fixture(scope="session")
def everything():
    """The environment of all categories."""
    return BFCL(categories=CATEGORIES).build()


@pytest.fixture(scope="session")
def all_tasks(everything):
    return [task for split in ("train", "validation", "test") for task in everything.tasks(split)]


@pytest.fixture(scope="session")
def all_entries():
    return [entry for category in CATEGORIES for entry in read_category(data_folder(), category)]
