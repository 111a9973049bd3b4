"""Group-relative policy optimisation.

Left out on purpose: a value model, reward whitening across the batch, and importance correction for other
samplers (rollouts come from the weights that are updated, so the first epoch's ratio is 1).
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_core.types import Conversation, Group, Scored
from scribe_grpo import losses
from scribe_grpo.credit import token_advantages
from scribe_grpo.sft import token_mask
from scribe_grpo.updates import Updater, added, finite, passes

if TYPE_CHECKING:
    from scribe_grpo.builders import GRPO


@frozen
class Batch:
    """What a step learns from. Shapes: an advantage per token of each row, a weight per row (R,).

    `old` holds the log-probabilities of each row before the step's first update, as they become known.
    """

    rows: Sequence[TokenRow]
    advantages: Sequence[Tensor]
    weights: Tensor
    old: dict[int, Tensor]


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
        scored = [s for group in groups for s in group]
        rows = policy.rows(
            [Conversation(messages=s.trajectory.messages, tools=s.trajectory.tools) for s in scored]
        )
        credit: list[list[Tensor | None]] = []
        for group in groups:
            first = sum(map(len, credit))
            credit.append(token_advantages(group, rows[first : first + len(group)], self._options))
        advantages = [values for each in credit for values in each]
        batch = self.batch(scored, rows, advantages)
        metrics: dict[str, float] = {}
        for _ in range(self._options.epochs):
            metrics = self.accumulate(policy, batch) | self._updater.apply()
        policy.version += 1
        return {**metrics, **_figures(credit, scored, rows)}

    def batch(
        self, scored: Sequence[Scored], rows: Sequence[TokenRow], advantages: Sequence[Tensor | None]
    ) -> Batch:
        """Rollouts with an advantage. A truncated one that is masked stays among those that are averaged over."""
        known = [(s, row, a) for s, row, a in zip(scored, rows, advantages, strict=True) if a is not None]
        kept = [
            evolve(row, mask=(False,) * len(row.mask))
            if self._options.mask_truncated and each.trajectory.status == "truncated"
            else row
            for each, row, _ in known
        ]
        lengths = torch.tensor([float(sum(row.mask)) for row in kept])
        return Batch(kept, [values for *_, values in known], self._weights(lengths), {})

    def _weights(self, lengths: Tensor) -> Tensor:
        match self._options.loss:
            case "grpo":
                return losses.grpo(lengths)
            case "dr_grpo":
                return losses.dr_grpo(lengths, self._options.longest)
            case "dapo":
                return losses.dapo(lengths)

    def accumulate(self, policy: TrainablePolicy, batch: Batch) -> dict[str, float]:
        """Adds the gradient of the whole batch's loss, a micro-batch at a time; of several processes, each its share."""
        options = self._options
        low, high = options.clip, options.clip if options.clip_high is None else options.clip_high
        total = max(sum(sum(row.mask) for row in batch.rows), 1)
        sums = {"loss": 0.0, "clip_fraction": 0.0, **({"kl": 0.0} if options.kl else {})}
        for indices, counts in self._passes(batch, policy):
            chosen = [batch.rows[i] for i in indices]
            logprobs = policy.logprobs(chosen)
            mask = token_mask(chosen, logprobs) * counts
            old = _before(batch, indices, logprobs)
            ratio = (
                losses.token_ratio(logprobs, old)
                if options.importance == "token"
                else losses.sequence_ratio(logprobs, old, mask)
            )
            advantage = _padded([batch.advantages[i] for i in indices], logprobs)
            gain, clipped = losses.clipped_gain(ratio, advantage, low, high)
            if options.kl:
                divergence = losses.kl(logprobs, policy.reference_logprobs(chosen))
                gain = gain - options.kl * ratio * divergence
                sums["kl"] += float((divergence.detach() * mask).sum()) / total
            weights = batch.weights[indices].to(logprobs.device)
            loss = -((gain * mask).sum(-1) * weights).sum()
            sums["loss"] += finite(loss, policy)
            policy.accelerator.backward(loss)
            sums["clip_fraction"] += float((clipped * mask).sum()) / total
        return added(sums, policy)

    def _passes(self, batch: Batch, policy: TrainablePolicy) -> Iterator[tuple[list[int], bool]]:
        """Rows without an advantage add nothing to the gradient unless KL does."""
        used = [
            i
            for i, (row, values) in enumerate(zip(batch.rows, batch.advantages, strict=True))
            if any(row.mask) and (self._options.kl or values.any())
        ]
        rows = [batch.rows[i] for i in used]
        for indices, counts in passes(rows, self._options.batch_tokens, policy):
            yield [used[i] for i in indices], counts


def _before(batch: Batch, indices: list[int], logprobs: Tensor) -> Tensor:
    """The old log-probabilities: those known, and where none are, those of now."""
    lengths = [len(batch.rows[i].tokens) for i in indices]
    now = zip(indices, logprobs.detach(), lengths, strict=True)
    return _padded([batch.old.setdefault(i, values[:length]) for i, values, length in now], logprobs)


def _padded(values: list[Tensor], like: Tensor) -> Tensor:
    return pad_sequence(values, batch_first=True).to(like)


def _figures(
    credit: Sequence[Sequence[Tensor | None]], scored: Sequence[Scored], rows: Sequence[TokenRow]
) -> dict[str, float]:
    """What was compared, beside what the update did."""
    every = zip((values for group in credit for values in group), rows, strict=True)
    own = [values[torch.tensor(row.mask, dtype=torch.bool)] for values, row in every if values is not None]
    advantages = torch.cat([torch.zeros(0), *own])
    flat = [not any(values is not None and values.any() for values in group) for group in credit]
    sampled = [m.sampled.logprobs for s in scored for m in s.trajectory.messages if m.sampled]
    logprobs = [value for values in sampled for value in values]
    return {
        "advantage_mean": float(advantages.mean()) if len(advantages) else 0.0,
        "advantage_max": float(advantages.abs().max()) if len(advantages) else 0.0,
        "zero_variance_groups": fmean(flat) if flat else 0.0,
        "failed_rows": fmean(s.reward.value is None for s in scored) if scored else 0.0,
        "completion_tokens": fmean(sum(row.mask) for row in rows) if rows else 0.0,
        **({"entropy": -fmean(logprobs)} if logprobs else {}),
    }
