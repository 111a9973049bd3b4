"""The options of the optimizers; nothing heavy is imported before `build()`."""

from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import field, frozen
from attrs.validators import ge, gt, le, optional

if TYPE_CHECKING:
    from scribe_grpo.grpo import GRPOOptimizer
    from scribe_grpo.sft import SFTOptimizer


@frozen(kw_only=True)
class GRPO:
    """Group-relative policy optimisation with a clipped objective (https://arxiv.org/abs/2402.03300, eq. 3).

    `credit` says what a token's advantage is made of, each part as (r - group mean) / max(group std, `noise_floor`):
    "episode", the reward, on every token (the paper's); "decoupled", process and outcome normalised apart;
    "subgoal", the outcome, and on a subgoal's tokens its own score against subgoals of the same skill;
    "return_to_go", the outcome, and on each token the scores of the subgoals that were still to come.
    `loss` says what is averaged: all tokens ("dapo"), rollouts ("grpo"), or neither ("dr_grpo"). `importance` is
    the ratio of a token or of a whole sequence (GSPO). `kl` weighs the divergence from the initial weights. With
    `epochs` = 1 each batch is used for one on-policy update; more reuse it under the `clip`ped ratio.
    `batch_tokens` bounds the padded tokens of one forward pass.
    """

    name: ClassVar[str] = "grpo"
    credit: Literal["episode", "decoupled", "subgoal", "return_to_go"] = "episode"
    process_weight: float = field(default=0.3, validator=ge(0))
    outcome_weight: float = field(default=0.7, validator=ge(0))
    abstained_score: float = field(default=1.0, validator=[ge(0), le(3)])
    subgoal_shrinkage: float = field(default=4.0, validator=ge(0))
    discount: float = field(default=1.0, validator=[ge(0), le(1)])
    loss: Literal["dapo", "grpo", "dr_grpo"] = "dapo"
    longest: int = field(default=512, validator=gt(0))
    importance: Literal["token", "sequence"] = "token"
    mask_truncated: bool = False
    noise_floor: float = field(default=0.05, validator=gt(0))
    learning_rate: float = field(default=1e-5, validator=gt(0))
    weight_decay: float = field(default=0.0, validator=ge(0))
    max_grad_norm: float = field(default=1.0, validator=gt(0))
    skip_grad_norm: float | None = field(default=None, validator=optional(gt(0)))
    warmup_steps: int = field(default=0, validator=ge(0))
    decay_steps: int | None = field(default=None, validator=optional(gt(0)))
    clip: float = field(default=0.2, validator=gt(0))
    clip_high: float | None = field(default=None, validator=optional(gt(0)))
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
    skip_grad_norm: float | None = field(default=None, validator=optional(gt(0)))
    warmup_steps: int = field(default=2, validator=ge(0))
    decay_steps: int | None = field(default=None, validator=optional(gt(0)))
    batch_tokens: int = field(default=8192, validator=gt(0))

    def build(self) -> "SFTOptimizer":
        from scribe_grpo.sft import SFTOptimizer

        return SFTOptimizer(self)
