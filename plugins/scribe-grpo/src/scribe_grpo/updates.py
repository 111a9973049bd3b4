"""One update of a policy's weights, shared by the optimizers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import torch
from accelerate.utils import DistributedType
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from scribe_core.errors import RunError
from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_grpo.engine import EngineAdamW
from scribe_grpo.masters import AdamOptions, MasterAdamW, read, write

if TYPE_CHECKING:
    from scribe_core.crew import Exchange

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
        self._adam: MasterAdamW | EngineAdamW | None = None
        self._saved: tuple[Mapping[str, Tensor], Path] | None = None

    def prepare(self, policy: TrainablePolicy) -> None:
        """Creates the optimizer state, or loads what `load` was given."""
        if self._adam is None:
            if in_engine(policy):
                self._adam = EngineAdamW(policy.module, self._options)
            else:
                module = policy.accelerator.unwrap_model(policy.module)
                self._adam = MasterAdamW(module, self._options, exchange(policy))
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


def exchange(policy: TrainablePolicy) -> "Exchange | None":
    """By which the policy's processes speak, where there are several."""
    return getattr(policy, "exchange", None)


def passes(
    rows: Sequence[TokenRow], batch_tokens: int, policy: TrainablePolicy
) -> list[tuple[list[int], bool]]:
    """What this process computes: indices of rows for each forward and backward pass, and whether the pass counts.

    With shared weights all processes make each pass together, so one that has done its share repeats the shortest row.
    """
    own = _own_share(rows, policy)
    found = [([own[i] for i in batch], True) for batch in micro_batches([rows[i] for i in own], batch_tokens)]
    between = exchange(policy)
    if between is None or not _in_step(policy):
        return found
    missing = max(between.collect(len(found))) - len(found)
    shortest = sorted(range(len(rows)), key=lambda i: sum(_width(rows, [i])))[:1]
    return found + [(shortest, False)] * missing


def in_engine(policy: TrainablePolicy) -> bool:
    """Whether DeepSpeed's engine makes the policy's updates."""
    return getattr(policy.accelerator, "distributed_type", None) == DistributedType.DEEPSPEED


def _in_step(policy: TrainablePolicy) -> bool:
    """Whether a pass is one of all processes together, because they share weights or gradients out (FSDP, ZeRO)."""
    return in_engine(policy) or any(isinstance(each, FSDPModule) for each in policy.module.modules())


def _own_share(rows: Sequence[TokenRow], policy: TrainablePolicy) -> list[int]:
    """Indices of the rows that this process computes: all, or where there are several its part of the contexts."""
    between = exchange(policy)
    if between is None:
        return list(range(len(rows)))
    packs = _packs(rows)
    return [i for pack in packs[between.index :: between.count] for i in pack]


def added(figures: Mapping[str, float], policy: TrainablePolicy) -> dict[str, float]:
    """Sums over this process's rows as sums over all rows."""
    between = exchange(policy)
    if between is None:
        return dict(figures)
    device = policy.accelerator.device
    total = between.add(torch.tensor(list(figures.values()), dtype=torch.float64, device=device))
    return dict(zip(figures, total.tolist(), strict=True))


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
    batch: list[int] = []
    count = left = right = 0
    for pack in _packs(rows):
        context, tokens = _width(rows, pack)
        left, right = max(left, context), max(right, tokens)
        if batch and (count + 1) * (left + right) > batch_tokens:
            yield batch
            batch, count, left, right = [], 0, context, tokens
        batch, count = batch + pack, count + 1
    if batch:
        yield batch


def _packs(rows: Sequence[TokenRow]) -> list[list[int]]:
    """Rows with one context together, the longest first."""
    ordered = sorted(range(len(rows)), key=lambda i: rows[i].context)
    packs = [list(indices) for _, indices in groupby(ordered, key=lambda i: rows[i].context)]
    return sorted(packs, key=lambda pack: sum(_width(rows, pack)), reverse=True)


def _width(rows: Sequence[TokenRow], pack: Sequence[int]) -> tuple[int, int]:
    """(tokens of the context, tokens of the rows behind it)."""
    return len(rows[pack[0]].context), sum(len(rows[i].tokens) for i in pack)
