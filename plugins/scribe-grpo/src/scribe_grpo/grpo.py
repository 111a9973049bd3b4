"""Group-relative policy optimisation.

Left out on purpose: a value model, reward whitening across the batch, and importance correction for other
samplers (rollouts come from the weights that are updated, so the first epoch's ratio is 1).
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_core.types import Conversation, Group
from scribe_grpo import advantages
from scribe_grpo.sft import token_mask
from scribe_grpo.updates import Updater, finite, micro_batches

if TYPE_CHECKING:
    from scribe_grpo.builders import GRPO


class GRPOOptimizer:
    """Each step: advantages per group, then `epochs` updates of the clipped objective on the same rollouts."""

    learns_from: Literal["rollouts"] = "rollouts"

    def __init__(self, options: "GRPO") -> None:
        self._options = options
        self._updater = Updater(options)
        self.save = self._updater.save
        self.load = self._updater.load

    def step(self, policy: TrainablePolicy, groups: Sequence[Group]) -> Mapping[str, float]:
        self._updater.prepare(policy)
        per_group = [
            advantages.episode([scored.reward.value for scored in group], self._options.noise_floor)
            for group in groups
        ]
        advantage = [a for values in per_group for a in values]
        scored = [s for group in groups for s in group]
        judged = [i for i, s in enumerate(scored) if s.reward.value is not None]
        rows = policy.rows(
            [Conversation(messages=s.trajectory.messages, tools=s.trajectory.tools) for s in scored]
        )
        metrics: dict[str, float] = {}
        old: dict[tuple[int, ...], Tensor] = {}
        for _ in range(self._options.epochs):
            metrics = self._accumulate(policy, [rows[i] for i in judged], [advantage[i] for i in judged], old)
            metrics |= self._updater.apply()
        policy.version += 1
        flat = [not any(values) for values in per_group]
        failed = [s.reward.value is None for s in scored]
        return {
            **metrics,
            "advantage_max": max(map(abs, advantage), default=0.0),
            "zero_variance_groups": fmean(flat) if flat else 0.0,
            "failed_rows": fmean(failed) if failed else 0.0,
            "completion_tokens": fmean([sum(row.mask) for row in rows]) if rows else 0.0,
        }

    def _accumulate(
        self,
        policy: TrainablePolicy,
        rows: list[TokenRow],
        advantage: list[float],
        old: dict[tuple[int, ...], Tensor],
    ) -> dict[str, float]:
        """Adds the gradient of the whole batch's loss, a micro-batch at a time."""
        total = max(sum(sum(row.mask) for row in rows), 1)
        sums = {"loss": 0.0, "kl": 0.0, "clip_fraction": 0.0}
        for batch in self._micro_batches(rows, advantage):
            chosen = [rows[i] for i in batch]
            logprobs = policy.logprobs(chosen)
            before = old.setdefault(tuple(batch), logprobs.detach())
            mask = token_mask(chosen, logprobs)
            weights = torch.tensor([advantage[i] for i in batch], device=logprobs.device)[:, None]
            gain, clipped = clipped_gain(logprobs, before, weights, self._options.clip)
            loss = -(gain * mask).sum() / total
            if self._options.kl:
                divergence = (kl(logprobs, policy.reference_logprobs(chosen)) * mask).sum() / total
                loss = loss + self._options.kl * divergence
                sums["kl"] += float(divergence.detach())
            sums["loss"] += finite(loss, policy)
            policy.accelerator.backward(loss)
            sums["clip_fraction"] += float((clipped * mask).sum()) / total
        return sums

    def _micro_batches(self, rows: list[TokenRow], advantage: list[float]) -> Iterator[list[int]]:
        """Rows without an advantage add nothing to the gradient unless KL does."""
        used = [i for i, a in enumerate(advantage) if rows[i].tokens and (a or self._options.kl)]
        for batch in micro_batches([rows[i] for i in used], self._options.batch_tokens):
            yield [used[i] for i in batch]


def clipped_gain(logprobs: Tensor, old: Tensor, advantage: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """min(r A, clip(r, 1 - e, 1 + e) A) per token, r = exp(log pi - log pi_old), and where the clip was active.

    Shapes: (B, T), (B, T), (B, 1). https://arxiv.org/abs/1707.06347, eq. 7.
    """
    ratio = (logprobs - old).exp()
    free, bound = ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage
    return torch.minimum(free, bound), (bound < free).float()


def kl(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k3 estimate of KL(pi || reference) per token: exp(d) - d - 1, d = log ref - log pi.

    http://joschu.net/blog/kl-approx.html
    """
    difference = reference - logprobs
    return difference.exp() - difference - 1
