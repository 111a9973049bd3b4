"""The judge `litellm`: its options, and what is wrong with them before anything is sent."""

import os
import warnings
from types import ModuleType
from typing import ClassVar

from attrs import field, frozen
from attrs.validators import ge, gt, le, optional

from scribe_core.errors import ConfigError
from scribe_core.judging import Mode, ModelJudge
from scribe_core.judging.calls import Caller, Limits, gate_of
from scribe_core.judging.canaries import Canaries
from scribe_core.protocols import Judge


@frozen(kw_only=True)
class LiteLLMJudge:
    """Asks a model of any provider that litellm knows, and takes its prices from there.

    `model` begins with the provider, as in "anthropic/..." or "gemini/...". For servers that speak OpenAI's chat
    completions, the judge `openai` costs far less CPU.
    """

    name: ClassVar[str] = "litellm"

    model: str
    base_url: str | None = None
    """None is the provider's own."""
    api_key_env: str | None = None
    """The environment variable that holds the key; None leaves it to litellm, which knows each provider's."""
    mode: Mode = "checklist"
    temperature: float | None = field(default=0.0, validator=optional([ge(0.0), le(2.0)]))
    """None leaves it to the provider, as some models demand."""
    seed: int | None = None
    reply_tokens: int = field(default=1000, validator=gt(0))
    prompt_tokens: int = field(default=8000, validator=gt(0))
    """The longest prompt; of a longer conversation the middle is left out."""
    canaries: int = field(default=0, validator=ge(0))
    """One in so many requests is repeated with a span that deserves nothing, and raises an alarm if it is rewarded."""
    limits: Limits = field(factory=Limits)

    def build(self) -> Judge:
        """Raises ConfigError for an unknown provider, a missing key, and a budget in money without a price."""
        litellm = _imported()
        from scribe_judge_litellm.endpoint import LiteLLMEndpoint

        provider, key = self._provider(litellm), self._key(litellm)
        caller = Caller(self.limits, gate_of(self.base_url or provider, key), key)
        endpoint = LiteLLMEndpoint(settings=self, litellm=litellm, key=key, caller=caller)
        if self.limits.max_usd is not None and endpoint.price is None:
            raise ConfigError(
                f"limits.max_usd: litellm knows no price of {self.model!r}; limit max_tokens instead"
            )
        return ModelJudge(
            endpoint=endpoint,
            mode=self.mode,
            prompt_tokens=self.prompt_tokens,
            canaries=Canaries(self.canaries),
        )

    def _provider(self, litellm: ModuleType) -> str:
        try:
            return str(litellm.get_llm_provider(self.model, api_base=self.base_url)[1])
        except Exception:
            raise ConfigError(
                f"model: litellm knows no provider for {self.model!r}; write it as provider/model, such as"
                ' "openai/..." with base_url for a server of your own'
            ) from None

    def _key(self, litellm: ModuleType) -> str:
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env, "").strip()
            if not key:
                raise ConfigError(
                    f"api_key_env: the environment variable {self.api_key_env} is not set; put the key into it"
                )
            return key
        if self.base_url is None:
            missing = litellm.validate_environment(self.model)["missing_keys"]
            if missing:
                raise ConfigError(
                    f"the environment lacks {', '.join(missing)}, which {self.model!r} needs; set it, or name"
                    " the variable that holds the key with api_key_env"
                )
        return ""


def _imported() -> ModuleType:
    """litellm, which would otherwise fetch its price list from the network and talk on stdout."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm
