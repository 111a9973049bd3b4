"""Bytes to a chat-completions server and back, over plain aiohttp; judges and policies share it.

The SDK is left out on purpose: its request costs a multiple of aiohttp's in CPU, it reads whatever a server
sends to the end, and its retries know nothing of our limits.
"""

import asyncio
import re
import weakref
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from attrs import define, field

from scribe_core.judging.calls import RETRIED, AttemptError
from scribe_core.types import Usage
from scribe_judge_openai.completions import error_text, pause_asked_for

LONGEST_BODY = 1024 * 1024
"""Bytes of a reply that are read; a longer one is none."""
UNKNOWN_PARAMETER = (400, 422)
_TOO_LONG = re.compile(r"context[ _](?:length|size|window)", re.IGNORECASE)
"""How servers say that a prompt does not fit; there is no status for it."""


class Rejected(AttemptError):  # noqa: N818
    """The server does not take the request as it is."""


@define(eq=False)
class Transport:
    """Posts over one session, which lives on the loop that first posts and ends with the transport."""

    base_url: str
    key: str = field(repr=False)
    _url: str = field(init=False)
    _proxy: str | None = field(init=False, repr=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._url = f"{self.base_url.rstrip('/')}/chat/completions"
        self._proxy = _proxy_for(self._url)

    @property
    def token_limit(self) -> str:
        """What the server calls the most tokens of a reply."""
        ours = (urlsplit(self._url).hostname or "").endswith("openai.com")
        return "max_completion_tokens" if ours else "max_tokens"

    async def post(self, body: bytes) -> bytes:
        """The body of a reply with status 200. Raises AttemptError; Rejected where it is about the request."""
        try:
            async with self._open().post(
                self._url, data=body, proxy=self._proxy, allow_redirects=False
            ) as response:
                raw = await _bounded(response)
        except aiohttp.ClientConnectorError as error:
            cause = f"{self.base_url} cannot be reached: {error.os_error}"
            raise AttemptError(cause, again=True, down=True, usage=Usage()) from None
        except (aiohttp.ClientError, OSError) as error:
            cause = f"the connection broke: {type(error).__name__} {error}"
            raise AttemptError(cause, again=True, billed=True, down=True) from None
        if response.status != 200:
            raise self._refused(response, raw)
        return raw

    def _refused(self, response: aiohttp.ClientResponse, raw: bytes) -> AttemptError:
        status = response.status
        text, code = error_text(raw)
        cause = f"{self.base_url} answered {status}: {text}"
        if status in UNKNOWN_PARAMETER:
            return Rejected(cause, too_long=bool(_TOO_LONG.search(f"{code} {text}")))
        # A quota does not come back by waiting.
        again = status in RETRIED and code != "insufficient_quota"
        return AttemptError(
            cause, again=again, after=pause_asked_for(response.headers), down=again and status >= 500
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            if self.key:
                headers["Authorization"] = f"Bearer {self.key}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            )
            weakref.finalize(self, _close, self._session, asyncio.get_running_loop())
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; a longer one than any reply is not read to its end."""
    raw = await response.content.read(LONGEST_BODY)
    if response.content.at_eof():
        return raw
    parts, size = [raw], len(raw)
    while part := await response.content.read(LONGEST_BODY):
        size += len(part)
        if size > LONGEST_BODY:
            response.close()
            raise AttemptError(f"the reply is longer than {LONGEST_BODY} bytes", again=True, billed=True)
        parts.append(part)
    return b"".join(parts)


def _proxy_for(url: str) -> str | None:
    """The proxy of the environment; looked up once, as aiohttp would for each request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _close(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """Closes the session on its own loop; waits for it, unless this runs there."""
    closing = asyncio.run_coroutine_threadsafe(session.close(), loop)
    if asyncio._get_running_loop() is not loop:
        with suppress(Exception):
            closing.result(timeout=1)
