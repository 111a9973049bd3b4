"""How far judging is, and what it has cost so far."""

import time
from collections.abc import Callable

import structlog
from attrs import define, field

from scribe_core.tally import Tally
from scribe_core.types import Verdict

log = structlog.get_logger("scribe.judge")

INTERVAL = 5.0
"""Seconds between two lines; what is done sooner is not told of."""


@define(eq=False)
class Progress:
    """Counts the verdicts of a judge over all that it is asked, and logs `judging` now and then."""

    clock: Callable[[], float] = time.monotonic
    tally: Tally = field(factory=Tally, init=False)
    done: int = field(default=0, init=False)
    total: int = field(default=0, init=False)
    _told: float = field(default=0.0, init=False)

    def expect(self, count: int) -> None:
        """So many verdicts will be noted; time in which none was expected does not count."""
        if self.done >= self.total:
            self._told = self.clock()
        self.total += count

    def drop(self, count: int) -> None:
        """So many of them will not come."""
        self.total -= count

    def note(self, verdict: Verdict) -> None:
        self.done += 1
        self.tally.usage += verdict.usage
        self.tally.count(verdict.status, verdict.cached)
        now = self.clock()
        if now - self._told >= INTERVAL:
            self._told = now
            self._tell()

    def _tell(self) -> None:
        usd = self.tally.usage.usd
        log.info(
            "judging",
            done=f"{self.done} of {self.total}",
            failed=self.tally.statuses["failed"],
            calls=self.tally.usage.calls,
            cached=self.tally.cached,
            usd="unknown" if usd is None else round(usd, 4),
        )
