"""A policy behind a chat-completions server: many conversations at once, each on its own."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, evolve, field
from scribe_judge_openai.access import Prices
from scribe_judge_openai.transport import Rejected, Transport

from scribe_core import aio
from scribe_core.errors import RunError, ScribeError
from scribe_core.judging import CallError
from scribe_core.judging.calls import Caller
from scribe_core.types import Completion, Conversation, Message, Sampling, Usage
from scribe_policy_openai.messages import Turn, read_turn, told_messages, told_tools
from scribe_policy_openai.names import renamed, spelled


class UnansweredError(ScribeError):
    """A conversation that the server did not continue, after all attempts; others may still be."""


@define(eq=False, kw_only=True)
class ServedPolicy:
    """See `scribe_core.protocols.Policy`, `Continuing` and `Metered`."""

    model: str
    extra: Mapping[str, Any]
    transport: Transport
    caller: Caller
    prices: Prices
    usage: Usage = field(factory=Usage, init=False)
    """What it has taken so far."""
    strict: bool = field(default=False, init=False)
    """Once the server has refused arguments that are no JSON objects."""

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """One completion each, asked for at the same time. Raises UnansweredError; RunError for a spent budget."""
        pairs = zip(conversations, seeds, strict=True)
        return aio.run(self._together([self.continue_one(each, sampling, seed) for each, seed in pairs]))

    async def continue_one(self, conversation: Conversation, sampling: Sampling, seed: int) -> Completion:
        """One completion; a conversation that is longer than the model's context is cut, with nothing added."""
        return await aio.here(self._continue(conversation, sampling, seed))

    async def _together(self, asked: Sequence[Any]) -> list[Completion]:
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for kind in (RunError, BaseException):
            for answer in answers:
                if isinstance(answer, kind):
                    raise answer
        return answers

    async def _continue(self, conversation: Conversation, sampling: Sampling, seed: int) -> Completion:
        told, meant = spelled(conversation)
        request = _Request(policy=self, conversation=told, sampling=sampling, seed=seed)
        # A token is at least a byte, so this is more than a prompt can cost, roles and all.
        need = self.prices.of(len(request.body()), sampling.max_tokens)
        try:
            turn = await self.caller.call(request.attempt, need)
        except CallError as error:
            self.usage += error.usage
            if request.too_long:
                return Completion(message=Message(role="assistant"), finish_reason="length")
            if self.caller.budget.spent:
                raise
            raise UnansweredError(str(error)) from None
        self.usage += turn.usage
        completion = turn.completion()
        return evolve(completion, message=renamed(completion.message, meant))


@define(eq=False, kw_only=True)
class _Request:
    policy: ServedPolicy
    conversation: Conversation
    sampling: Sampling
    seed: int
    too_long: bool = False

    def body(self) -> bytes:
        body = {
            "model": self.policy.model,
            "messages": told_messages(self.conversation.messages, self.policy.strict),
            self.policy.transport.token_limit: self.sampling.max_tokens,
            "temperature": self.sampling.temperature,
            **self.policy.extra,
        }
        if self.conversation.tools:
            body["tools"] = told_tools(self.conversation.tools)
        if self.sampling.temperature:
            # Some servers hold seeds in 32 bits.
            body["seed"] = self.seed % 2**31
        return json.dumps(body).encode()

    async def attempt(self) -> Turn:
        try:
            return await self._post()
        except Rejected as error:
            self.too_long = error.too_long
            if self.too_long or self.policy.strict or not self._is_malformed():
                raise
            self.policy.strict = True
            turn = await self._post()
            return evolve(turn, usage=error.usage + turn.usage)

    async def _post(self) -> Turn:
        turn = read_turn(await self.policy.transport.post(self.body()))
        return evolve(
            turn, usage=self.policy.prices.of(turn.usage.prompt_tokens, turn.usage.completion_tokens)
        )

    def _is_malformed(self) -> bool:
        calls = (call for message in self.conversation.messages for call in message.tool_calls)
        return any(isinstance(call.arguments, str) for call in calls)
