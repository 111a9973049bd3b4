"""Many judgements through a server that fails in every way: the benchmark of this name, in small."""

import sys
from pathlib import Path

import pytest

from scribe_core.testing.servers import KINDS, Faults

BENCHMARKS = Path(__file__).parents[1] / "contrib" / "benchmarks"


@pytest.fixture(scope="module")
def found():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import judge_faults
    finally:
        sys.path.remove(str(BENCHMARKS))
    return judge_faults.measure(1000, Faults(share=0.2, seed=1), timeout=3.0)


def test_every_fault_came_up(found):
    assert {*found["served"]} == {"reply", *KINDS}
    assert sum(found["served"][kind] for kind in KINDS) > 150


def test_nothing_is_lost_or_counted_twice(found):
    assert found["problems"] == []
    assert found["judgements"] == sum(found["statuses"].values()) == 1000
    assert found["statuses"]["scored"] > 900
