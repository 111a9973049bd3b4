"""Calls to a model's server: how many at once, how fast, what is tried again, and what may be spent.

a call = (a slot -> is the server up? -> the budget -> its turn in the rate -> an attempt -> what it cost), again after a pause

Slots, rate and circuit are shared by all judges and policies of one server and key in the process; attempts, timeout
and budget are each one's own. All of it lives on core's background loop (`aio.here`).
"""

import asyncio
import hashlib
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self, TypeVar, cast
from weakref import WeakValueDictionary

import stamina
from attrs import define, evolve, field, frozen
from attrs.validators import ge, gt, optional

from scribe_core.judging.asking import CallError, TooLongError
from scribe_core.types import Usage

RETRIED = frozenset({408, 409, 425, 429, 500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP statuses after which the same call may well succeed."""
LONGEST_PAUSE = 120.0
"""Seconds: a server that asks for more is not waited for."""
SIGNS_OF_OUTAGE = 10
"""Failures in a row, at least, before a server counts as down."""
_KEYS = re.compile(r"\b(?:sk|pk|gsk|hf|key|bearer)[-_ ][\w*.-]{6,}", re.IGNORECASE)


@frozen(kw_only=True)
class Limits:
    """What may be asked of a server."""

    concurrency: int = field(default=64, validator=ge(1))
    """Requests in flight to one server with one key, whoever sent them."""
    requests_per_minute: float | None = field(default=None, validator=optional(gt(0)))
    tokens_per_minute: float | None = field(default=None, validator=optional(gt(0)))
    attempts: int = field(default=6, validator=ge(1))
    backoff: float = field(default=0.5, validator=ge(0))
    """Seconds before the second attempt; they double, and vary. What a server asks for comes first."""
    timeout: float = field(default=120.0, validator=gt(0))
    """Seconds for one attempt, from the request to the last byte of the reply."""
    outage: float = field(default=15.0, validator=ge(0))
    """Seconds of nothing but failures after which new calls fail at once, but for a probe in as many seconds."""
    max_usd: float | None = field(default=None, validator=optional(gt(0)))
    max_tokens: int | None = field(default=None, validator=optional(gt(0)))
    """Prompt and completion tokens together, of all calls."""


class Answer(Protocol):
    """What an attempt brings: an attrs class."""

    @property
    def usage(self) -> Usage: ...

    def without(self, secret: str) -> Self:
        """The same with `secret` blanked; itself where it does not hold it."""


A = TypeVar("A", bound=Answer)


class AttemptError(Exception):
    """Why an attempt failed.

    `again` tells that the same attempt may succeed later, `after` the seconds that the server asks to wait,
    `billed` that it may cost something all the same; `down` that the server may be out of order; `too_long` that
    the prompt has more tokens than the model has room for.
    """

    def __init__(
        self,
        cause: str,
        *,
        again: bool = False,
        after: float | None = None,
        billed: bool = False,
        down: bool = False,
        too_long: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(cause)
        self.too_long = too_long
        self.again = again and (after is None or after <= LONGEST_PAUSE)
        self.after = after
        self.billed = billed
        self.down = down
        self.usage = Usage(calls=1) if usage is None else usage


class DownError(AttemptError):
    """No attempt was made, because the server is down."""


@define(eq=False)
class Gate:
    """The slots, the rate and the circuit of one server and key."""

    in_flight: int = 0
    _waiting: "deque[tuple[asyncio.Future[None], int]]" = field(factory=deque)
    _next_request: float = 0.0
    _next_tokens: float = 0.0
    _failures: int = 0
    _failing_since: float = 0.0
    _next_probe: float = 0.0
    _last_cause: str = ""

    async def enter(self, concurrency: int) -> None:
        """Waits until fewer than `concurrency` requests are in flight, in the order of asking."""
        if not self._waiting and self.in_flight < concurrency:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, concurrency))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        self.in_flight -= 1
        while self._waiting:
            turn, concurrency = self._waiting[0]
            if not turn.done() and self.in_flight >= concurrency:
                return
            self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def turn(self, limits: Limits, tokens: int) -> float:
        """Seconds until a request of so many tokens keeps the rate."""
        now = time.monotonic()
        at = max(now, self._next_request, self._next_tokens)
        if limits.requests_per_minute:
            self._next_request = at + 60 / limits.requests_per_minute
        if limits.tokens_per_minute:
            self._next_tokens = at + tokens * 60 / limits.tokens_per_minute
        return at - now

    def refund(self, limits: Limits, tokens: int) -> None:
        """Gives back what a request took less of than it was let in with."""
        if limits.tokens_per_minute:
            self._next_tokens -= tokens * 60 / limits.tokens_per_minute

    def check(self, limits: Limits) -> None:
        """Raises an AttemptError while the server is down, but for one probe now and then."""
        now = time.monotonic()
        if self._failures < SIGNS_OF_OUTAGE or now - self._failing_since < limits.outage:
            return
        if now < self._next_probe:
            cause = (
                f"the server is down; it failed {self._failures} times in a row, at last: {self._last_cause}"
            )
            raise DownError(cause, again=True, usage=Usage())
        self._next_probe = now + limits.outage

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, fault: AttemptError) -> None:
        now = time.monotonic()
        if fault.after is not None and fault.again:
            self._next_request = max(self._next_request, now + fault.after)
        if not fault.down:
            return
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        self._last_cause = str(fault)


_GATES: "WeakValueDictionary[tuple[str, str], Gate]" = WeakValueDictionary()


def gate_of(base_url: str, key: str) -> Gate:
    """The gate that all who ask this server with this key share for as long as one of them lives."""
    name = (base_url.rstrip("/"), hashlib.sha256(key.encode()).hexdigest())
    return _GATES.setdefault(name, Gate())


@define(eq=False)
class Budget:
    """What may be spent: reserved before a request is sent, settled after it. Once spent, it stays so."""

    limits: Limits
    tokens: int = 0
    usd: float = 0.0
    """Spent and reserved."""
    _open: int = 0
    _waiting: "list[asyncio.Future[None]]" = field(factory=list)
    spent: str = ""
    """Why nothing more is sent; empty while there is something left."""

    async def reserve(self, need: Usage) -> None:
        """Raises an AttemptError where `need`, the most that a request can cost, does not fit any more."""
        while not self.spent and (lacking := self._lacking(need)):
            if not self._open:
                self.spent = lacking
                break
            settled = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        if self.spent:
            raise AttemptError(self.spent, usage=Usage())
        self._open += 1
        self._add(need, 1)

    def settle(self, need: Usage, cost: Usage) -> None:
        self._open -= 1
        self._add(need, -1)
        self._add(cost, 1)
        waiting, self._waiting = self._waiting, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)

    def _add(self, usage: Usage, sign: int) -> None:
        self.tokens += sign * (usage.prompt_tokens + usage.completion_tokens)
        self.usd += sign * (usage.usd or 0.0)

    def _lacking(self, need: Usage) -> str:
        most, limits = need.prompt_tokens + need.completion_tokens, self.limits
        if limits.max_tokens is not None and self.tokens + most > limits.max_tokens:
            return f"the budget is spent: {self.tokens} of max_tokens = {limits.max_tokens}, and one more call may take {most}"
        usd = need.usd or 0.0
        if limits.max_usd is not None and self.usd + usd > limits.max_usd:
            return f"the budget is spent: {self.usd:.4g} of max_usd = {limits.max_usd:g}, and one more call may take {usd:.2g}"
        return ""


@define(eq=False)
class Caller:
    """Makes the calls of one judge or policy; `secret` appears in nothing that leaves it."""

    limits: Limits
    gate: Gate
    secret: str = field(default="", repr=False)
    budget: Budget = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.budget = Budget(self.limits)

    async def call(self, attempt: Callable[[], Awaitable[A]], need: Usage) -> A:
        """The reply of the first attempt that succeeds, with what all of them used. Raises CallError or TooLongError.

        `attempt` raises an AttemptError where it fails. `need` is the most that one attempt can cost.
        """
        used = Usage()
        try:
            return await self._once(attempt, need)
        except DownError as error:
            # A call under way waits for a server to come back; a new one does not join the queue.
            raise CallError(str(error)) from None
        except AttemptError as error:
            first: AttemptError | None = error
        paused = stamina.retry_context(
            on=_pause,
            attempts=self.limits.attempts,
            timeout=None,
            wait_initial=self.limits.backoff,
            wait_jitter=self.limits.backoff,
            wait_max=LONGEST_PAUSE / 4,
        )
        try:
            async for attempted in paused:
                with attempted:
                    fault, first = first, None
                    try:
                        # The first attempt was made before, without what a retry costs; here it ends as it did.
                        if fault is not None:
                            raise fault
                        reply = await self._once(attempt, need)
                    except AttemptError as error:
                        used += error.usage
                        raise
                    whole: A = evolve(cast("Any", reply), usage=used + reply.usage)
                    return whole
        except AttemptError as error:
            tries = f" (after {used.calls} attempts)" if used.calls > 1 else ""
            kind = TooLongError if error.too_long else CallError
            raise kind(f"{error}{tries}", used) from None
        raise AssertionError("a retry returns or raises")

    async def _once(self, attempt: Callable[[], Awaitable[A]], need: Usage) -> A:
        await self.gate.enter(self.limits.concurrency)
        try:
            self.gate.check(self.limits)
            await self.budget.reserve(need)
            cost = need
            try:
                reply = await self._sent(attempt, need)
                cost = reply.usage if reply.usage.prompt_tokens else need
            except AttemptError as fault:
                cost = need if fault.billed else Usage()
                raise
            finally:
                self.budget.settle(need, cost)
        finally:
            self.gate.leave()
        return reply

    async def _sent(self, attempt: Callable[[], Awaitable[A]], need: Usage) -> A:
        if pause := self.gate.turn(self.limits, need.prompt_tokens):
            await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(self.limits.timeout):
                reply = await attempt()
        except TimeoutError:
            raise self._failed(
                AttemptError(f"no reply within {self.limits.timeout:g} s", again=True, billed=True, down=True)
            ) from None
        except AttemptError as fault:
            raise self._failed(fault) from None
        except Exception as error:
            raise self._failed(AttemptError(f"{type(error).__name__}: {error}", billed=True)) from None
        self.gate.succeeded()
        self.gate.refund(self.limits, need.prompt_tokens - reply.usage.prompt_tokens)
        return reply.without(self.secret) if self.secret else reply

    def _failed(self, fault: AttemptError) -> AttemptError:
        fault.args = (scrubbed(str(fault), self.secret),)
        self.gate.failed(fault)
        return fault


def scrubbed(text: str, secret: str = "") -> str:
    """A message from outside, short, on one line, and without keys."""
    text = text.replace(secret, "***") if secret else text
    return _KEYS.sub("***", " ".join(text[:2000].split()))[:300]


def _pause(error: Exception) -> bool | float:
    if not isinstance(error, AttemptError) or not error.again:
        return False
    return True if error.after is None else error.after * random.uniform(1.0, 1.25)  # noqa: S311
