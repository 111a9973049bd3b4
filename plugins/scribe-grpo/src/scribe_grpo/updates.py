"""One update of a policy's weights, shared by the optimizers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

import structlog
from torch import Tensor

from scribe_core.errors import RunError
from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_grpo.masters import AdamOptions, MasterAdamW, read, write

logger = structlog.get_logger("scribe.grpo")


class Updater:
    """Holds the optimizer state of a policy; created with the first step, when the policy is known."""

    def __init__(self, options: Any) -> None:
        self._options = AdamOptions(
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            max_grad_norm=options.max_grad_norm,
            warmup_steps=options.warmup_steps,
            decay_steps=options.decay_steps,
            skip_grad_norm=options.skip_grad_norm,
        )
        self._adam: MasterAdamW | None = None
        self._saved: tuple[Mapping[str, Tensor], Path] | None = None

    def prepare(self, policy: TrainablePolicy) -> None:
        """Creates the optimizer state, or loads what `load` was given."""
        if self._adam is None:
            self._adam = MasterAdamW(policy.accelerator.unwrap_model(policy.module), self._options)
            if self._saved is not None:
                self._adam.restore(*self._saved)
                self._saved = None

    def apply(self) -> dict[str, float]:
        """Applies the accumulated gradients; what is missing or not usable changes nothing and is counted."""
        assert self._adam is not None
        norm = self._adam.step()
        usable = self._options.usable(norm)
        if norm is not None and not usable:
            logger.warning("update skipped: its gradient is not finite, or too large", norm=norm)
        return {
            "grad_norm": norm if norm is not None and isfinite(norm) else 0.0,
            "skipped": float(not usable),
        }

    def save(self, folder: Path) -> None:
        """Writes the state, also one that was loaded and not used yet."""
        if self._adam is not None:
            self._adam.save(folder)
        elif self._saved is not None:
            write(self._saved[0], folder)

    def load(self, folder: Path) -> None:
        """Reads a state for the policy of the next step. Raises DataError where it is damaged."""
        self._saved = read(folder), folder
        self._adam = None


def finite(loss: Tensor, policy: TrainablePolicy) -> float:
    """The loss as a number. Raises RunError where the policy's log-probabilities are broken."""
    value = float(loss.detach())
    if not isfinite(value):
        raise RunError(
            f"the loss is {value} after {policy.version} updates, so nothing was learned from it; go on from an "
            "earlier checkpoint with a lower optimizer.learning_rate"
        )
    return value


def micro_batches(rows: Sequence[TokenRow], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of rows, long with long, in batches of at most `batch_tokens` padded tokens.

    Rows with one context stay together and count it once, also where they alone are more than that.
    """
    by_context = groupby(
        sorted(range(len(rows)), key=lambda i: rows[i].context), key=lambda i: rows[i].context
    )
    packs = [list(indices) for _, indices in by_context]
    packs.sort(key=lambda pack: sum(_width(rows, pack)), reverse=True)
    batch: list[int] = []
    count = left = right = 0
    for pack in packs:
        context, tokens = _width(rows, pack)
        left, right = max(left, context), max(right, tokens)
        if batch and (count + 1) * (left + right) > batch_tokens:
            yield batch
            batch, count, left, right = [], 0, context, tokens
        batch, count = batch + pack, count + 1
    if batch:
        yield batch


def _width(rows: Sequence[TokenRow], pack: Sequence[int]) -> tuple[int, int]:
    """(tokens of the context, tokens of the rows behind it)."""
    return len(rows[pack[0]].context), sum(len(rows[i].tokens) for i in pack)
