"""Many judgements through a server that fails in every way: the benchmark of this name, in small."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from scribe_core import aio
from scribe_core.judging.calls import Limits
from scribe_core.testing.servers import KINDS, ChatServer, Faults

BENCHMARKS = Path(__file__).parents[1] / "contrib" / "benchmarks"
ENDLESS = ("timeout", "stall")


class Patience:
    """Limits on time that pass when the server will answer none of the attempts under way, and never before."""

    def __init__(self, server):
        self.server = server
        self.waiting = set()
        self.passed = 0
        self.over = False

    @asynccontextmanager
    async def timeout(self, _):
        async with asyncio.timeout(None) as limit:
            self.waiting.add(limit)
            try:
                yield
            finally:
                self.waiting.discard(limit)

    async def watch(self):
        while not self.over:
            stalled = sum(self.server.served[kind] for kind in ENDLESS) - self.passed
            if stalled == len(self.waiting):
                self.passed += stalled
                for limit in self.waiting:
                    limit.reschedule(0)
                self.waiting.clear()
            await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
def found():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import judge_faults
    finally:
        sys.path.remove(str(BENCHMARKS))
    limits = Limits(attempts=8, backoff=0.02, timeout=3600.0, outage=3600.0)
    faults = Faults(share=0.2, seed=1)
    with (
        ChatServer(reply=judge_faults.answer, faults=faults) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patience = Patience(server)
        patched = SimpleNamespace(**{**vars(asyncio), "timeout": patience.timeout})
        patch.setattr("scribe_core.judging.calls.asyncio", patched)
        watching = Thread(target=lambda: aio.run(patience.watch()))
        watching.start()
        try:
            return judge_faults.measure_on(server, 1000, limits)
        finally:
            patience.over = True
            watching.join()


def test_every_fault_came_up(found):
    assert {*found["served"]} == {"reply", *KINDS}
    assert sum(found["served"][kind] for kind in KINDS) > 150


def test_nothing_is_lost_or_counted_twice(found):
    assert found["problems"] == []
    assert found["judgements"] == sum(found["statuses"].values()) == 1000
    assert found["statuses"]["scored"] > 900
