"""A model behind a chat-completions server, spoken to over plain aiohttp.

The SDK is left out on purpose: its request costs a multiple of aiohttp's in CPU, it reads whatever a server
sends to the end, and its retries know nothing of our limits.
"""

import asyncio
import json
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from attrs import define, evolve, field

from scribe_core import aio
from scribe_core.judging import Prompt, Question, Reply
from scribe_core.judging.calls import RETRIED, AttemptError, Caller
from scribe_core.types import Json, Usage
from scribe_judge_openai.completions import error_text, pause_asked_for, read_completion

if TYPE_CHECKING:
    from scribe_judge_openai.builder import OpenAIJudge

LONGEST_BODY = 1024 * 1024
"""Bytes of a reply that are read; a longer one is no verdict."""
UNKNOWN_PARAMETER = (400, 422)
MOST_FORMS = 256


@define(eq=False)
class ChatEndpoint:
    """Asks over one session, which lives on core's background loop and ends with the endpoint."""

    settings: "OpenAIJudge"
    key: str = field(repr=False)
    caller: Caller
    identity: Json = field(init=False)
    probabilities: bool = field(default=False, init=False)
    structured: bool = field(default=True, init=False)
    """Until the server refuses a request for what it asks of the form of its reply."""
    _forms: dict[tuple[str, tuple[Question, ...]], bytes] = field(factory=dict, init=False, repr=False)
    _url: str = field(init=False)
    _proxy: str | None = field(init=False, repr=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        given = self.settings
        base = given.base_url.rstrip("/")
        self._url = f"{base}/chat/completions"
        self._proxy = _proxy_for(self._url)
        self.identity = {
            "judge": given.name,
            "endpoint": base,
            "model": given.model,
            "sampling": {
                "temperature": given.temperature,
                "seed": given.seed,
                "reply_tokens": given.reply_tokens,
            },
        }

    async def ask(self, prompt: Prompt, sample: int) -> Reply:
        """One reply, after as many attempts as the limits allow. Raises CallError."""
        return await aio.here(self._ask(prompt, sample))

    async def _ask(self, prompt: Prompt, sample: int) -> Reply:
        body = self._body(prompt, sample)
        form = self._form(prompt)

        async def attempt() -> Reply:
            return await self._attempt(body, form)

        # A token is at least a byte, so this is more than a prompt can cost, roles and all.
        need = self._priced(len(body) + len(form), self.settings.reply_tokens)
        return await self.caller.call(attempt, need)

    def _body(self, prompt: Prompt, sample: int) -> bytes:
        given = self.settings
        body: dict[str, Any] = {
            "model": given.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
        }
        ours = (urlsplit(self._url).hostname or "").endswith("openai.com")
        body["max_completion_tokens" if ours else "max_tokens"] = given.reply_tokens
        if given.temperature is not None:
            body["temperature"] = given.temperature
        if given.seed is not None or given.temperature:
            body["seed"] = (given.seed or 0) + (sample if given.temperature else 0)
        return json.dumps(body).encode()

    def _form(self, prompt: Prompt) -> bytes:
        """The form of the reply as the end of a request; prompts of one prototype share it."""
        key = (prompt.template, prompt.questions)
        if key not in self._forms:
            if len(self._forms) >= MOST_FORMS:
                self._forms.clear()
            schema = {"name": "verdict", "strict": True, "schema": prompt.schema}
            form = json.dumps({"type": "json_schema", "json_schema": schema})
            self._forms[key] = f', "response_format": {form}}}'.encode()
        return self._forms[key]

    async def _attempt(self, body: bytes, form: bytes) -> Reply:
        if not self.structured:
            return await self._post(body)
        try:
            return await self._post(body[:-1] + form)
        except Rejected as error:
            # The status alone does not tell what was wrong: if the plain request passes, it was the form.
            try:
                reply = await self._post(body)
            except AttemptError as plain:
                plain.usage += error.usage
                raise
            self.structured = False
            return evolve(reply, usage=error.usage + reply.usage)

    async def _post(self, body: bytes) -> Reply:
        try:
            async with self._open().post(
                self._url, data=body, proxy=self._proxy, allow_redirects=False
            ) as response:
                raw = await _bounded(response)
        except aiohttp.ClientConnectorError as error:
            cause = f"{self.settings.base_url} cannot be reached: {error.os_error}"
            raise AttemptError(cause, again=True, down=True, usage=Usage()) from None
        except (aiohttp.ClientError, OSError) as error:
            cause = f"the connection broke: {type(error).__name__} {error}"
            raise AttemptError(cause, again=True, billed=True, down=True) from None
        if response.status != 200:
            raise self._refused(response, raw)
        reply = read_completion(raw)
        return evolve(reply, usage=self._priced(reply.usage.prompt_tokens, reply.usage.completion_tokens))

    def _refused(self, response: aiohttp.ClientResponse, raw: bytes) -> AttemptError:
        status = response.status
        text, code = error_text(raw)
        cause = f"{self.settings.base_url} answered {status}: {text}"
        if status in UNKNOWN_PARAMETER:
            return Rejected(cause)
        # A quota does not come back by waiting.
        again = status in RETRIED and code != "insufficient_quota"
        return AttemptError(
            cause, again=again, after=pause_asked_for(response.headers), down=again and status >= 500
        )

    def _priced(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        into, out = (
            self.settings.usd_per_million_prompt_tokens,
            self.settings.usd_per_million_completion_tokens,
        )
        usd = None if into is None or out is None else (prompt_tokens * into + completion_tokens * out) / 1e6
        return Usage(calls=1, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, usd=usd)

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


class Rejected(AttemptError):  # noqa: N818
    """The server does not take the request as it is."""


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; a longer one than any verdict is not read to its end."""
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
