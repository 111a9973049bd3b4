"""Calls to a server: limits, rates, retries, circuit and budget, each with attempts that take and cost what they say."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from scribe_core import aio
from scribe_core.judging import CallError, Reply
from scribe_core.judging.calls import AttemptError, Caller, Gate, Limits, gate_of, scrubbed
from scribe_core.types import Usage

COST = Usage(calls=1, prompt_tokens=60, completion_tokens=20, usd=0.08)
NEED = Usage(calls=1, prompt_tokens=100, completion_tokens=50, usd=0.15)
QUICK = {"backoff": 0.005, "timeout": 3600.0}


class Clock:
    """The time that gates see; it stands still until it is set."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("scribe_core.judging.calls.time", clock)
    return clock


def caller(gate: Gate | None = None, secret: str = "", **limits: Any) -> Caller:
    return Caller(Limits(**(QUICK | limits)), gate or Gate(), secret)


def attempts(*ends: Exception | None, seconds: float = 0.0) -> Callable[[], Awaitable[Reply]]:
    """An attempt that ends in these ways, one after the other, and then succeeds."""
    left = list(ends)

    async def attempt() -> Reply:
        await asyncio.sleep(seconds)
        end = left.pop(0) if left else None
        if end is not None:
            raise end
        return Reply(text="yes", usage=COST)

    return attempt


def again(cause: str = "broken", **how: Any) -> AttemptError:
    return AttemptError(cause, again=True, **how)


async def ended(calls: list[Awaitable[Reply]]) -> list[Reply | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


def test_a_retry_counts_every_attempt():
    reply = aio.run(caller().call(attempts(again(), again()), NEED))
    assert reply.usage == Usage(calls=3, prompt_tokens=60, completion_tokens=20, usd=0.08)


@pytest.mark.parametrize(
    ("ends", "calls", "text"),
    [
        ([AttemptError("wrong key")], 1, "wrong key"),
        ([again(), AttemptError("wrong key")], 2, r"wrong key \(after 2 attempts\)"),
        ([again()] * 9, 4, r"broken \(after 4 attempts\)"),
        ([again(after=3600.0)], 1, "broken"),
        ([ValueError("a defect")], 1, "ValueError: a defect"),
    ],
)
def test_what_is_given_up(ends: list[Exception], calls: int, text: str):
    with pytest.raises(CallError, match=text) as caught:
        aio.run(caller(attempts=4).call(attempts(*ends), NEED))
    assert caught.value.usage.calls == calls
    assert caught.value.__cause__ is None


def test_a_pause_that_a_server_asks_for_holds_for_everybody():
    gate = Gate()
    began = time.monotonic()
    aio.run(caller(gate).call(attempts(again(after=0.2)), NEED))
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    with pytest.raises(CallError):
        aio.run(caller(gate, attempts=1).call(attempts(again(after=0.2)), NEED))
    aio.run(caller(gate).call(attempts(), NEED))
    assert time.monotonic() - began >= 0.2


def test_no_more_at_once_than_the_limit_of_all_judges_together():
    flying, most = 0, 0

    async def attempt() -> Reply:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.002)
        flying -= 1
        return Reply(text="", usage=COST)

    gate = Gate()
    judges = [caller(gate, concurrency=5), caller(gate, concurrency=5)]
    aio.run(ended([judge.call(attempt, NEED) for judge in judges for _ in range(30)]))
    assert most == 5
    assert gate.in_flight == 0


def test_requests_keep_their_rate():
    judge = caller(requests_per_minute=1200.0)
    began = time.monotonic()
    aio.run(ended([judge.call(attempts(), NEED) for _ in range(5)]))
    assert time.monotonic() - began >= 4 * 0.05


def test_tokens_keep_their_rate_and_unused_ones_are_given_back(clock: Clock):
    gate, limits = Gate(), Limits(tokens_per_minute=60.0)
    assert gate.turn(limits, tokens=1000) == 0
    gate.refund(limits, tokens=400)
    clock.now += 100
    assert gate.turn(limits, tokens=1) == 500


def test_a_cancelled_call_leaves_nothing_behind():
    judge, sent = caller(concurrency=1, max_tokens=10_000), []

    async def run() -> None:
        async def unanswered(name: str) -> Reply:
            sent.append(name)
            await asyncio.Event().wait()
            raise AssertionError("nothing answers it")

        async def cancelled(task: asyncio.Future[Reply]) -> None:
            task.cancel()
            await asyncio.wait([task])

        first, second, third = (
            asyncio.ensure_future(judge.call(partial(unanswered, name), NEED)) for name in "abc"
        )
        while not sent:
            await asyncio.sleep(0)
        await cancelled(second)
        await cancelled(first)
        while len(sent) < 2:
            await asyncio.sleep(0)
        await cancelled(third)

    aio.run(run())
    assert sent == ["a", "c"]
    assert judge.gate.in_flight == 0
    assert judge.budget.tokens == 2 * 150, "what was sent may be billed"
    assert aio.run(judge.call(attempts(), NEED)).text == "yes"


def test_a_server_that_is_down_is_left_alone_but_for_a_probe(clock: Clock):
    gate, sent = Gate(), 0

    async def dead() -> Reply:
        nonlocal sent
        sent += 1
        raise again("no route", down=True)

    judge = caller(gate, attempts=1, outage=2.0)
    aio.run(ended([judge.call(dead, NEED) for _ in range(20)]))
    assert sent == 20
    clock.now += 2
    found = aio.run(ended([judge.call(dead, NEED) for _ in range(20)]))
    assert sent == 21
    assert sum("the server is down" in str(each) and "no route" in str(each) for each in found) == 19
    clock.now += 2
    assert aio.run(judge.call(attempts(), NEED)).text == "yes", "the probe"
    assert aio.run(judge.call(attempts(), NEED)).text == "yes", "the circuit is closed"


def test_a_short_outage_fails_no_call(clock: Clock):
    until = clock.now + 0.3

    async def attempt() -> Reply:
        clock.now += 0.002
        if clock.now < until:
            raise again(down=True, usage=Usage())
        return Reply(text="yes", usage=COST)

    judge = caller(attempts=20)
    found = aio.run(ended([judge.call(attempt, NEED) for _ in range(50)]))
    assert all(isinstance(each, Reply) for each in found)


@pytest.mark.parametrize("limit", [{"max_tokens": 1000}, {"max_usd": 1.0}])
def test_a_budget_is_never_exceeded(limit: dict[str, Any]):
    judge = caller(concurrency=7, **limit)
    found = aio.run(ended([judge.call(attempts(seconds=0.002), NEED) for _ in range(40)]))
    replies = [each for each in found if isinstance(each, Reply)]
    assert len(replies) == 11, "until the most that a call can cost does not fit any more"
    assert judge.budget.tokens == 11 * 80 <= 1000
    assert judge.budget.usd == pytest.approx(11 * 0.08)
    causes = {str(each) for each in found if isinstance(each, CallError)}
    assert all("the budget is spent" in cause and next(iter(limit)) in cause for cause in causes)
    small = Usage(calls=1, prompt_tokens=1, completion_tokens=1, usd=0.001)
    with pytest.raises(CallError, match="budget"):
        aio.run(judge.call(attempts(), small))


def test_a_broken_reply_may_have_been_billed():
    judge = caller(max_tokens=10_000, attempts=2)
    aio.run(judge.call(attempts(again(billed=True)), NEED))
    assert judge.budget.tokens == 150 + 80
    aio.run(judge.call(attempts(again()), NEED))
    assert judge.budget.tokens == 150 + 80 + 80


def test_a_gate_is_shared_by_server_and_key_and_goes_with_its_users():
    mine = gate_of("http://h/v1", "k")
    assert gate_of("http://h/v1/", "k") is mine
    assert gate_of("http://h/v1", "other") is not mine
    mine.in_flight = 7
    del mine
    gc.collect()
    assert gate_of("http://h/v1", "k").in_flight == 0


def test_a_call_from_another_loop_shares_the_limits():
    judge = caller()

    async def elsewhere() -> Reply:
        return await aio.here(judge.call(attempts(), NEED))

    assert asyncio.run(elsewhere()).text == "yes"
    assert aio.run(judge.call(attempts(), NEED)).text == "yes"


def test_no_secret_leaves():
    secret = "correct horse battery"
    judge = caller(secret=secret)
    with pytest.raises(CallError) as caught:
        aio.run(judge.call(attempts(AttemptError(f"no such key: {secret}")), NEED))
    assert secret not in str(caught.value)
    assert secret not in repr(judge)

    async def telling() -> Reply:
        return Reply(text=f"your key is {secret}", usage=COST)

    assert aio.run(judge.call(telling, NEED)).text == "your key is ***"


@pytest.mark.parametrize(
    "text", ["key sk-abc123def456", "Bearer abcdef123456", "sk-proj-ab***yz12", "hf_abcdefgh"]
)
def test_what_looks_like_a_key_is_blanked(text: str):
    assert "***" in scrubbed(text)
    assert not {"abc123def456", "abcdef123456", "yz12", "abcdefgh"} & {
        *scrubbed(text).replace("-", " ").split()
    }


@pytest.mark.parametrize("limits", [{"concurrency": 0}, {"attempts": 0}, {"timeout": 0.0}, {"max_usd": -1.0}])
def test_limits_are_checked(limits: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(limits))):
        Limits(**limits)
