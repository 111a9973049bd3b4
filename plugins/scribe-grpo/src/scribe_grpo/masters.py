"""AdamW on float32 master weights, whatever the dtype the model computes in.

Updates at reinforcement-learning rates are smaller than bfloat16 can add to a weight; in float32 they add up.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from scribe_core.crew import index
from scribe_core.errors import DataError

if TYPE_CHECKING:
    from scribe_core.crew import Exchange

_FILE = "optimizer.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each weight."""
_RECOMPUTED = "_checkpoint_wrapped_module."
"""What torch puts into the names of a module's weights where activations are computed again."""


@frozen(kw_only=True)
class AdamOptions:
    """Learning rate after a linear warm-up and before a linear fall to 0, decay, and bounds of the gradient's norm."""

    learning_rate: float
    weight_decay: float
    max_grad_norm: float
    warmup_steps: int
    decay_steps: int | None = None
    skip_grad_norm: float | None = None

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1."""
        warm = min(1.0, step / (self.warmup_steps + 1))
        if self.decay_steps is None:
            return self.learning_rate * warm
        gone = max(0, step - 1 - self.warmup_steps) / self.decay_steps
        return self.learning_rate * warm * max(0.0, 1 - gone)

    def usable(self, norm: float | None) -> bool:
        """Whether there is a gradient, finite and not exploded."""
        return norm is not None and isfinite(norm) and norm <= (self.skip_grad_norm or norm)


class MasterAdamW:
    """Owns the float32 copies and AdamW's moments (https://arxiv.org/abs/1711.05101) of a module's weights.

    Of weights that are shared out over processes (FSDP), each process has masters and moments of its shards.
    """

    def __init__(
        self, module: torch.nn.Module, options: AdamOptions, exchange: "Exchange | None" = None
    ) -> None:
        named = trained(module)
        self._names, self._weights = list(named), list(named.values())
        self._masters = [weight.detach().float().clone() for weight in self._weights]
        self._options = options
        self._exchange = exchange
        self._adam = torch.optim.AdamW(
            self._masters, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        self._steps = 0

    def step(self) -> float | None:
        """Applies the weights' gradients, those of all processes added up, and clears them. Returns the norm before clipping.

        Without any gradient (None is returned), or with one that is not usable, nothing is changed: neither
        momentum nor decay moves a weight.
        """
        if not self._any_gradient():
            return None
        for master, weight in zip(self._masters, self._weights, strict=True):
            master.grad = torch.zeros_like(master) if weight.grad is None else weight.grad.float()
            weight.grad = None
            if self._exchange and not isinstance(master, DTensor):
                master.grad = self._exchange.add(master.grad)
        norm = float(_whole(torch.nn.utils.clip_grad_norm_(self._masters, self._options.max_grad_norm)))
        if self._options.usable(norm):
            self._steps += 1
            self._adam.param_groups[0]["lr"] = self._options.rate(self._steps)
            self._adam.step()
            self._write()
        self._adam.zero_grad()
        return norm

    def _any_gradient(self) -> bool:
        found = any(weight.grad is not None for weight in self._weights)
        if self._exchange:
            found = bool(self._exchange.add(torch.tensor(float(found), device=self._weights[0].device)))
        return found

    @torch.no_grad()
    def _write(self) -> None:
        for master, weight in zip(self._masters, self._weights, strict=True):
            weight.copy_(master)

    def save(self, folder: Path) -> None:
        """Writes masters and moments as safetensors; of several processes, the first."""
        tensors = {"steps": torch.tensor(self._steps)}
        for name, master in zip(self._names, self._masters, strict=True):
            state = {"master": master, **self._adam.state.get(master, {})}
            for key, value in state.items():
                whole = _whole(value)
                if index() == 0:
                    tensors[f"{key}.{name}"] = whole
        write(tensors, folder)

    def restore(self, tensors: Mapping[str, Tensor], folder: Path) -> None:
        """Takes what `read` read from the folder, and writes the masters to the module. DataError where it does not fit."""
        self._steps = int(take(tensors, "steps", torch.Size(), folder))
        for name, master in zip(self._names, self._masters, strict=True):
            saved = take(tensors, f"master.{name}", master.shape, folder)
            with torch.no_grad():
                master.copy_(_spread(saved, master))
            if self._steps:
                moments = {
                    k: _spread(take(tensors, f"{k}.{name}", master.shape, folder), master) for k in MOMENTS
                }
                self._adam.state[master] = {
                    "step": take(tensors, f"step.{name}", torch.Size(), folder),
                    **moments,
                }
        self._write()


def trained(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The weights that are learnt, by the names they have in files."""
    named = module.named_parameters()
    return {name.replace(_RECOMPUTED, ""): weight for name, weight in named if weight.requires_grad}


def read(folder: Path) -> dict[str, Tensor]:
    """What `save` wrote. Raises DataError where it is damaged."""
    path = folder / _FILE
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable optimizer state ({error})") from error
    take(tensors, "steps", torch.Size(), folder)
    if spoilt := sorted(name for name, tensor in tensors.items() if not tensor.isfinite().all()):
        raise DataError(
            f"{path}: {spoilt[0]} has numbers that are not finite; go on from an older checkpoint"
        )
    return tensors


def write(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Writes what `read` read; of several processes, the first."""
    if index() == 0:
        save_file(dict(tensors), folder / _FILE)


def _whole(tensor: Tensor) -> Tensor:
    """All of a tensor of which each process has a shard, in the host's memory; any other as it is."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def _spread(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor on the device of `like`, and shared out over the processes as that is."""
    moved = tensor.to(like.device)
    if not isinstance(like, DTensor):
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)


def take(tensors: Mapping[str, Tensor], name: str, shape: torch.Size, folder: Path) -> torch.Tensor:
    if name not in tensors or tensors[name].shape != shape:
        found = tuple(tensors[name].shape) if name in tensors else "nothing"
        raise DataError(
            f"{folder / _FILE}: {name} must have shape {tuple(shape)}, found {found}; another model's?"
        )
    return tensors[name]
