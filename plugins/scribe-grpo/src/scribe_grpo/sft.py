"""Supervised fine-tuning on demonstrations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch

from scribe_core.protocols import TrainablePolicy
from scribe_core.types import Conversation, Group
from scribe_grpo.updates import Updater, added, finite, passes

if TYPE_CHECKING:
    from scribe_grpo.builders import SFT


class SFTOptimizer:
    """loss = - mean log pi(token) over the demonstrations' assistant tokens."""

    learns_from: Literal["demonstrations"] = "demonstrations"

    def __init__(self, options: "SFT") -> None:
        self._options = options
        self._updater = Updater(options)
        self.save = self._updater.save
        self.load = self._updater.load

    def step(self, policy: TrainablePolicy, groups: Sequence[Group]) -> Mapping[str, float]:
        self._updater.prepare(policy)
        shown = [scored.trajectory for group in groups for scored in group]
        every = policy.rows([Conversation(messages=t.messages, tools=t.tools) for t in shown])
        rows = [row for row in every if row.tokens]
        total = sum(sum(row.mask) for row in rows)
        loss = 0.0
        for indices, counts in passes(rows, self._options.batch_tokens, policy):
            batch = [rows[i] for i in indices]
            logprobs = policy.logprobs(batch)
            mask = token_mask(batch, logprobs) * counts
            part = -(logprobs * mask).sum() / max(total, 1)
            loss += finite(part, policy)
            policy.accelerator.backward(part)
        policy.version += 1
        return {**added({"loss": loss}, policy), "tokens": float(total), **self._updater.apply()}


def token_mask(rows: Sequence, like: torch.Tensor) -> torch.Tensor:  # type: ignore[type-arg]
    """1 at the policy's own tokens: the shape of `like`, right-padded with 0."""
    mask = torch.zeros_like(like)
    for i, row in enumerate(rows):
        mask[i, : len(row.mask)] = torch.tensor(row.mask, dtype=like.dtype)
    return mask
