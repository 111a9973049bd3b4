"""Async work from synchronous code: one background event loop, started when it is first needed.

It works inside a running loop and in a notebook, because the loop lives in a thread of its own.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from scribe_core.errors import RunError

T = TypeVar("T")
R = TypeVar("R")


class Blocking(Protocol):
    """Has a call made in the thread that waits for this coroutine; what it raises is raised here."""

    async def __call__(self, call: Callable[[], R]) -> R: ...


_STARTING = threading.Lock()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the background loop and waits for it; what it raises is raised here.

    An interrupt while waiting cancels it. Raises RunError where the coroutine exits the program or cancels
    itself, and when called on the background loop itself, which would wait for itself: `await` there instead.
    """
    future = _begun(coroutine)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def run_beside(begin: Callable[[Blocking], Coroutine[Any, Any, T]]) -> T:
    """`run`, but this thread makes the blocking calls that the coroutine hands over, one at a time.

    The loop goes on meanwhile: what waits and what computes overlap, and what computes stays in its own thread.
    """
    calls: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Callable[[], Any]]] | None] = SimpleQueue()

    async def blocking(call: Callable[[], R]) -> R:
        answered: asyncio.Future[Callable[[], R]] = asyncio.get_running_loop().create_future()
        calls.put((call, answered))
        return (await answered)()

    future = _begun(begin(blocking))
    future.add_done_callback(lambda _: calls.put(None))
    try:
        while handed := calls.get():
            call, answered = handed
            answered.get_loop().call_soon_threadsafe(_answer, answered, _caught(call))
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def here(coroutine: Coroutine[Any, Any, T]) -> T:
    """Awaits a coroutine on the background loop, from whatever loop this is called on.

    What is shared between callers, such as connections and limits, then belongs to one loop.
    """
    with _STARTING:
        loop = _background_loop(os.getpid())
    if asyncio.get_running_loop() is loop:
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_contained(coroutine), loop))


async def gathered(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each of them returns, in their order, run side by side; where one raises, the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def cancelled() -> bool:
    """Whether the current task is being cancelled from outside; code in it may raise CancelledError by itself."""
    task = asyncio.current_task() if asyncio._get_running_loop() else None
    return task is not None and task.cancelling() > 0


def _begun(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    # A fork inherits the loop but not its thread.
    with _STARTING:
        loop = _background_loop(os.getpid())
    if asyncio._get_running_loop() is loop:
        coroutine.close()
        raise RunError(
            "a synchronous call from async code on scribe's own event loop; await the async method instead"
        )
    return asyncio.run_coroutine_threadsafe(_contained(coroutine), loop)


def _caught(call: Callable[[], T]) -> Callable[[], T]:
    """What the call returned or raised, to be had again; an interrupt is for this thread."""
    try:
        value = call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return partial(_raise, error)
    return lambda: value


def _raise(error: BaseException) -> Any:
    raise error


def _answer(answered: asyncio.Future[Callable[[], Any]], outcome: Callable[[], Any]) -> None:
    if not answered.done():
        answered.set_result(outcome)


async def _contained(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
        if cancelled():
            raise
        did = "cancelled itself" if isinstance(error, asyncio.CancelledError) else "ended the program"
        raise RunError(f"a part {did} ({error!r}); report it to its author") from error


@cache
def _background_loop(_: int) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=_serve, args=(loop,), name="scribe-aio", daemon=True).start()
    return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    # A task that exits the program is told so, and throws its exit at the loop too, which others still need.
    while not loop.is_closed():
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
