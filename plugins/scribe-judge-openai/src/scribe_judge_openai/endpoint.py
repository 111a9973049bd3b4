"""A model behind a chat-completions server, asked for verdicts."""

import json
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from scribe_core import aio
from scribe_core.judging import Prompt, Question, Reply
from scribe_core.judging.calls import AttemptError, Caller
from scribe_core.types import Json
from scribe_judge_openai.access import Prices
from scribe_judge_openai.completions import read_completion
from scribe_judge_openai.transport import Rejected, Transport

if TYPE_CHECKING:
    from scribe_judge_openai.builder import OpenAIJudge

MOST_FORMS = 256


@define(eq=False)
class ChatEndpoint:
    """Asks on core's background loop."""

    settings: "OpenAIJudge"
    transport: Transport
    caller: Caller
    prices: Prices
    identity: Json = field(init=False)
    probabilities: bool = field(default=False, init=False)
    structured: bool = field(default=True, init=False)
    """Until the server refuses a request for what it asks of the form of its reply."""
    _forms: dict[tuple[str, tuple[Question, ...]], bytes] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        given = self.settings
        self.identity = {
            "judge": given.name,
            "endpoint": given.base_url.rstrip("/"),
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
        need = self.prices.of(len(body) + len(form), self.settings.reply_tokens)
        return await self.caller.call(attempt, need)

    def _body(self, prompt: Prompt, sample: int) -> bytes:
        given = self.settings
        body: dict[str, Any] = {
            "model": given.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            self.transport.token_limit: given.reply_tokens,
        }
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
            if error.too_long:
                raise
            # The status alone does not tell what was wrong: if the plain request passes, it was the form.
            try:
                reply = await self._post(body)
            except AttemptError as plain:
                plain.usage += error.usage
                raise
            self.structured = False
            return evolve(reply, usage=error.usage + reply.usage)

    async def _post(self, body: bytes) -> Reply:
        reply = read_completion(await self.transport.post(body))
        return evolve(reply, usage=self.prices.of(reply.usage.prompt_tokens, reply.usage.completion_tokens))
