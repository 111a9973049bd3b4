"""The options of the optimizers; nothing heavy is imported before `build()`."""

from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import field, frozen
from attrs.validators import ge, gt

if TYPE_CHECKING:
    from scribe_grpo.grpo import GRPOOptimizer
    from scribe_grpo.sft import SFTOptimizer


@frozen(kw_only=True)
class GRPO:
    """Group-relative policy optimisation with a clipped objective (https://arxiv.org/abs/2402.03300, eq. 3).

    advantage = (reward - group mean) / max(group std, `noise_floor`), on every token of the rollout (`credit`
    "episode", the paper's). The loss is averaged over the tokens of the whole batch (DAPO,
    https://arxiv.org/abs/2503.14476, eq. 8). `kl` weighs the divergence from the initial weights. With
    `epochs` = 1 each batch is used for one on-policy update; more reuse it under the `clip`ped ratio.
    `batch_tokens` bounds the padded tokens of one forward pass.
    """

    name: ClassVar[str] = "grpo"
    credit: Literal["episode"] = "episode"
    noise_floor: float = field(default=0.05, validator=gt(0))
    learning_rate: float = field(default=1e-5, validator=gt(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    max_grad_norm: float = field(default=1.0, validator=gt(0))
    warmup_steps: int = field(default=0, validator=ge(0))
    clip: float = field(default=0.2, validator=gt(0))
    kl: float = field(default=0.0, validator=ge(0))
    epochs: int = field(default=1, validator=gt(0))
    batch_tokens: int = field(default=8192, validator=gt(0))

    def build(self) -> "GRPOOptimizer":
        from scribe_grpo.grpo import GRPOOptimizer

        return GRPOOptimizer(self)


@frozen(kw_only=True)
class SFT:
    """Supervised fine-tuning on demonstrations: the warm start before reinforcement learning.

    Maximises the mean log-probability of the demonstrations' assistant tokens.
    """

    name: ClassVar[str] = "sft"
    learning_rate: float = field(default=2e-4, validator=gt(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    max_grad_norm: float = field(default=1.0, validator=gt(0))
    warmup_steps: int = field(default=2, validator=ge(0))
    batch_tokens: int = field(default=8192, validator=gt(0))

    def build(self) -> "SFTOptimizer":
        from scribe_grpo.sft import SFTOptimizer

        return SFTOptimizer(self)
