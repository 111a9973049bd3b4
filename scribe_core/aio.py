"""Async work from synchronous code: one background event loop, started when it is first needed.

It works inside a running loop and in a notebook, because the loop lives in a thread of its own.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from scribe_core.errors import RunError

T = TypeVar("T")

_STARTING = threading.Lock()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the background loop and waits for it; what it raises is raised here.

    An interrupt while waiting cancels it. Raises RunError when called on the background loop itself, which
    would wait for itself: `await` there instead.
    """
    # A fork inherits the loop but not its thread.
    with _STARTING:
        loop = _background_loop(os.getpid())
    if asyncio._get_running_loop() is loop:
        coroutine.close()
        raise RunError(
            "a synchronous call from async code on scribe's own event loop; await the async method instead"
        )
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
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
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


@cache
def _background_loop(_: int) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="scribe-aio", daemon=True).start()
    return loop
