"""A model that litellm calls; its retries are off, because ours know the limits."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from scribe_core import aio
from scribe_core.judging import Prompt, Reply
from scribe_core.judging.calls import RETRIED, AttemptError, Caller
from scribe_core.types import Json, Usage

if TYPE_CHECKING:
    from scribe_judge_litellm.builder import LiteLLMJudge


@define(eq=False)
class LiteLLMEndpoint:
    """Asks on core's background loop, where litellm keeps its connections."""

    settings: "LiteLLMJudge"
    litellm: ModuleType = field(repr=False)
    key: str = field(repr=False)
    caller: Caller
    identity: Json = field(init=False)
    probabilities: bool = field(default=False, init=False)
    structured: bool = field(default=True, init=False)
    """Until the provider refuses a request for what it asks of the form of its reply."""
    price: tuple[float, float] | None = field(init=False)
    """In dollars, of a prompt token and a completion token."""

    def __attrs_post_init__(self) -> None:
        given = self.settings
        self.price = self._price()
        self.identity = {
            "judge": given.name,
            "endpoint": given.base_url,
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
        options = self._options(prompt, sample)
        # A token is at least a byte; the schema and the roles come on top.
        most = len((prompt.system + prompt.user + str(prompt.schema)).encode("utf-8", "surrogatepass")) + 200

        async def attempt() -> Reply:
            return await self._attempt(options, prompt)

        return await self.caller.call(attempt, self._priced(most, self.settings.reply_tokens))

    def _options(self, prompt: Prompt, sample: int) -> dict[str, Any]:
        given = self.settings
        options: dict[str, Any] = {
            "model": given.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "max_tokens": given.reply_tokens,
            "timeout": given.limits.timeout,
            "num_retries": 0,
            "max_retries": 0,
            # What a provider does not know, such as a seed, is left out.
            "drop_params": True,
            "no-log": True,
        }
        optional = {
            "temperature": given.temperature,
            "api_base": given.base_url,
            # A server of one's own needs no key, but litellm insists on one.
            "api_key": self.key or ("none" if given.base_url else None),
        }
        options |= {name: value for name, value in optional.items() if value is not None}
        if given.seed is not None or given.temperature:
            options["seed"] = (given.seed or 0) + (sample if given.temperature else 0)
        return options

    async def _attempt(self, options: dict[str, Any], prompt: Prompt) -> Reply:
        if not self.structured:
            return await self._send(options)
        schema = {"name": "verdict", "strict": True, "schema": prompt.schema}
        form = {"response_format": {"type": "json_schema", "json_schema": schema}}
        try:
            return await self._send(options | form)
        except Rejected as error:
            if error.too_long:
                raise
            # The error alone does not tell what was wrong: if the plain request passes, it was the form.
            try:
                reply = await self._send(options)
            except AttemptError as plain:
                plain.usage += error.usage
                raise
            self.structured = False
            return evolve(reply, usage=error.usage + reply.usage)

    async def _send(self, options: dict[str, Any]) -> Reply:
        try:
            response = await self.litellm.acompletion(**options)
        except Exception as error:
            if isinstance(error, self.litellm.ContentPolicyViolationError):
                return Reply(text="the provider's filter stopped it", refused=True)
            raise self._failed(error) from None
        return self._read(response)

    def _failed(self, error: Exception) -> AttemptError:
        status = getattr(error, "status_code", None)
        text = f"{self.settings.model}: {type(error).__name__} {error}"
        if status in (400, 422):
            return Rejected(text, too_long=isinstance(error, self.litellm.ContextWindowExceededError))
        again = status in RETRIED
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        down = again and (status == 408 or int(status) >= 500)
        return AttemptError(
            text, again=again, after=_seconds(headers.get("retry-after")), billed=down, down=down
        )

    def _read(self, response: Any) -> Reply:
        try:
            choice, used = response.choices[0], getattr(response, "usage", None)
            message = choice.message
            text, refusal = message.content or "", getattr(message, "refusal", None)
            usage = (
                self._priced(int(used.prompt_tokens or 0), int(used.completion_tokens or 0))
                if used
                else Usage(calls=1)
            )
        except (LookupError, AttributeError, TypeError, ValueError):
            raise AttemptError("the reply is no chat completion", again=True, billed=True) from None
        revision = [
            str(getattr(response, name, None) or "")[:100] for name in ("model", "system_fingerprint")
        ]
        return Reply(
            text=str(refusal or text),
            usage=usage,
            revision=" ".join(filter(None, revision)),
            refused=bool(refusal) or choice.finish_reason == "content_filter",
        )

    def _price(self) -> tuple[float, float] | None:
        try:
            into, out = self.litellm.cost_per_token(
                model=self.settings.model, prompt_tokens=1_000_000, completion_tokens=1_000_000
            )
        except Exception:
            return None
        return into / 1e6, out / 1e6

    def _priced(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        usd = self.price and prompt_tokens * self.price[0] + completion_tokens * self.price[1]
        return Usage(calls=1, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, usd=usd)


class Rejected(AttemptError):  # noqa: N818
    """The provider does not take the request as it is."""


def _seconds(given: str | None) -> float | None:
    try:
        return max(float(given or ""), 0.0)
    except ValueError:
        return None
