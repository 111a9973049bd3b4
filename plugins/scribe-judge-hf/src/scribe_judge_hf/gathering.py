"""Prompts that wait together are answered together, in a thread of its own, whichever event loop they come from."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_TICK = 0.005
"""Seconds in which others may join the first that waits."""


class Ticket(Generic[T, R]):
    """One question that waits, and the future of its answer."""

    def __init__(self, asked: T) -> None:
        self.asked = asked
        self.future: Future[R] = Future()

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.future.done()

    def settle(self, answer: R | Exception) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class Gathering(Generic[T, R]):
    """Hands what waits to `answer`, which settles each ticket; one call at a time."""

    def __init__(self, answer: Callable[[Sequence[Ticket[T, R]]], None]) -> None:
        self._answer = answer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scribe-judge-hf")
        self._waiting: list[Ticket[T, R]] = []
        self._lock = Lock()

    async def ask(self, asked: T) -> R:
        """The answer to one question; what its ticket was settled with is raised where it is an error."""
        ticket: Ticket[T, R] = Ticket(asked)
        with self._lock:
            self._waiting.append(ticket)
        self._thread.submit(self._drain)
        return await asyncio.wrap_future(ticket.future)

    def _drain(self) -> None:
        if not self._waiting:
            return
        time.sleep(_TICK)
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            self._answer(tickets)
        except Exception as error:
            _settle_rest(tickets, error)


def _settle_rest(tickets: Iterable[Ticket[T, R]], error: Exception) -> None:
    for ticket in tickets:
        if ticket.wanted:
            ticket.settle(error)
