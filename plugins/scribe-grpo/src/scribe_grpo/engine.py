"""AdamW by DeepSpeed's engine, which keeps float32 masters and moments and shares them out over the processes (ZeRO)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed import get_rank, get_world_size

from scribe_grpo.masters import MOMENTS, AdamOptions, take, trained, write


class EngineAdamW:
    """In the place of `MasterAdamW`: the same updates, and the same files."""

    def __init__(self, engine: Any, options: AdamOptions) -> None:
        from deepspeed.runtime.zero import GatheredParameters

        self._named = trained(engine.module)
        self._engine = engine
        self._options = options
        self._steps = 0
        self._begun = False
        for weight in self._named.values():
            weight.register_hook(self._note)
            with GatheredParameters([weight]):
                now = weight.detach().float()
            _put(weight, now)
        self._begin()
        engine.basic_optimizer.register_step_pre_hook(self._bound)

    def _begin(self) -> None:
        """Gives the engine's AdamW moments of 0; it would have none before its first step."""
        adam, zero = self._engine.basic_optimizer, self._engine.optimizer
        stage_3 = hasattr(zero, "fp32_partitioned_groups_flat")
        for master in zero.fp32_partitioned_groups_flat if stage_3 else _parameters(adam):
            moments = {key: torch.zeros_like(master) for key in MOMENTS}
            adam.state[master] = {"step": torch.tensor(0.0), **moments}
        if not stage_3:
            zero._lazy_init_hp_params_optimizer_state()

    def step(self) -> float | None:
        """As `MasterAdamW.step`; all processes make it together, after as many passes."""
        if not self._begun:
            return None
        self._begun = False
        for group in self._engine.basic_optimizer.param_groups:
            group["lr"] = self._options.rate(self._steps + 1)
            group["weight_decay"] = self._options.weight_decay
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm())
        self._steps += self._options.usable(norm)
        return norm

    def _note(self, _: Tensor) -> None:
        self._begun = True

    def _bound(self, adam: torch.optim.Optimizer, *_: Any) -> None:
        """Before the engine's own step: clips the gradient, or takes one away that is not usable."""
        norm = float(self._engine.optimizer._global_grad_norm)
        scale = min(1.0, self._options.max_grad_norm / (norm + 1e-6))
        for master in _parameters(adam):
            if not self._options.usable(norm):
                master.grad = None
            elif master.grad is not None:
                master.grad.mul_(scale)
                adam.state[master]["step"].fill_(self._steps)

    def save(self, folder: Path) -> None:
        """Writes masters and moments as safetensors; of the processes, the first."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        tensors = {"steps": torch.tensor(self._steps)}
        for name, weight in self._named.items():
            state = {"master": safe_get_full_fp32_param(weight)}
            if self._steps:
                state |= {key: safe_get_full_optimizer_state(weight, key) for key in MOMENTS}
                state["step"] = torch.tensor(float(self._steps))
            if get_rank() == 0:
                tensors |= {f"{key}.{name}": value.cpu() for key, value in state.items()}
        write(tensors, folder)

    def restore(self, tensors: Mapping[str, Tensor], folder: Path) -> None:
        """Takes what `masters.read` read from the folder, and the policy loaded too. DataError where it does not fit."""
        self._steps = int(take(tensors, "steps", torch.Size(), folder))
        for name, weight in self._named.items():
            shape = getattr(weight, "ds_shape", weight.shape)
            _put(weight, take(tensors, f"master.{name}", shape, folder))
            for key in MOMENTS if self._steps else ():
                _put(weight, take(tensors, f"{key}.{name}", shape, folder), key)


def _parameters(adam: torch.optim.Optimizer) -> list[Tensor]:
    return [each for group in adam.param_groups for each in group["params"]]


def _put(weight: Tensor, value: Tensor, *key: str) -> None:
    """Gives each process its share of a weight's master, or of the moment that `key` names."""
    from deepspeed import utils

    share = getattr(weight, "ds_tensor", None)
    if share is None:  # stages 1 and 2
        put = utils.safe_set_full_optimizer_state if key else utils.safe_set_full_fp32_param
    else:
        put = utils.safe_set_local_optimizer_state if key else utils.safe_set_local_fp32_param
        missing = get_world_size() * share.numel() - value.numel()
        value = torch.nn.functional.pad(value.flatten(), (0, missing)).split(share.numel())[get_rank()]
    put(weight, value.to(weight.device), *key)
