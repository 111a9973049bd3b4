"""A memory of replies in a file: what a model was asked once, it is not asked again.

asked -> known? -> yes: the reply, at no cost
                -> no:  ask, keep what can be read, and give it also to those who asked the same meanwhile
"""

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

from scribe_core.errors import ConfigError
from scribe_core.judging.asking import CallError, Reply, digest
from scribe_core.judging.reply_file import ReplyFile
from scribe_core.types import Json

Flight = asyncio.Future[Reply | CallError]


class ReplyCache:
    """Remembers replies in a file, which many processes may share."""

    def __init__(self, path: str) -> None:
        """Raises ConfigError where the file is something else, or cannot be written."""
        if not path.strip():
            raise ConfigError("cached: path is empty; give the path of a file, such as 'judge.sqlite'")
        try:
            self._path = Path(path).expanduser().absolute()
        except (OSError, RuntimeError) as error:
            raise ConfigError(f"cached: path {path!r}: {error}; write it without '~'") from error
        self._flights: dict[tuple[asyncio.AbstractEventLoop, str], Flight] = {}
        self._opened = self._open()

    async def reply(
        self, asked: Json, ask: Callable[[], Awaitable[Reply]], worth_keeping: Callable[[Reply], bool]
    ) -> tuple[Reply, bool]:
        """The reply that is remembered for `asked`, or else that of `ask`, and whether it was remembered.

        It is returned when it is kept: a kill afterwards does not lose it.
        """
        key, endpoint = digest(asked), digest(asked["endpoint"])
        place = asyncio.get_running_loop(), key
        while flight := self._flights.get(place):
            await asyncio.wait((flight,))
            if not flight.cancelled():
                return _landed(flight), True
        known = self._file.read(endpoint, key)
        if known and worth_keeping(known):
            return known, True
        flight = self._flights[place] = place[0].create_future()
        try:
            reply = await ask()
            flight.set_result(reply)
            keep = worth_keeping(reply)
            if keep or reply.revision:
                await asyncio.wrap_future(self._file.write(endpoint, key, reply, keep))
        except CallError as error:
            flight.set_result(error)
            raise
        finally:
            del self._flights[place]
            # Where there is no answer, one of those who waited asks.
            flight.cancel()
        return reply, False

    @property
    def _file(self) -> ReplyFile:
        """The file as this process opened it; what was opened before a fork is not to be used."""
        if self._opened.pid != os.getpid():
            self._opened = self._open()
        return self._opened

    def _open(self) -> ReplyFile:
        file = ReplyFile(self._path)
        weakref.finalize(self, file.close)
        return file


def _landed(flight: Flight) -> Reply:
    outcome = flight.result()
    if isinstance(outcome, CallError):
        # What the failed call cost is counted where it was made.
        raise type(outcome)(str(outcome))
    return outcome
