"""FSDP: each process holds its share of every weight, and all of them where it samples, saves or loads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import DistributedType, parse_flag_from_env
from attrs import frozen
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Module, Parameter

from scribe_core.errors import ConfigError


def check_launcher() -> None:
    """Raises ConfigError where accelerate is configured for a way to spread weights that does not work here."""
    if not configured():
        return
    # What a process reads later would be empty in all but the first.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise unfit(f"FSDP version {version}", "choose version 2: --fsdp_version 2")
    if parse_flag_from_env("FSDP_OFFLOAD_PARAMS"):
        raise unfit("FSDP with weights in the host's memory", "choose --fsdp_offload_params false")
    if int(os.environ.get("WORLD_SIZE") or 1) < 2:
        raise unfit("FSDP in one process", "choose --num_processes 2 or more, or no FSDP")


def configured() -> bool:
    """Whether accelerate's launcher was told to use FSDP."""
    return bool(parse_flag_from_env("ACCELERATE_USE_FSDP"))


def enable(made: Accelerator) -> None:
    """Has sums of gradients made in float32; and turns FSDP on where accelerate leaves it out, on CPUs."""
    if made.distributed_type == DistributedType.MULTI_CPU:
        # Whoever asks for accelerate's state later gets what PartialState has.
        made.state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        made.state.fsdp_plugin = FullyShardedDataParallelPlugin()
    made.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)


def shard(module: Module, accelerator: Accelerator) -> Module:
    """The module, of whose weights each process keeps its share. Gradients are added up over all processes."""
    # accelerate wants an optimizer beside the module; ours is made later, of float32 masters.
    sharded, _ = accelerator.prepare(module, torch.optim.SGD(module.parameters()))
    for unit in _units(sharded):
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
    return sharded  # type: ignore[no-any-return]


def hollow(module: Module, device: torch.device) -> Module:
    """A copy of the module whose weights have no elements."""
    empty = {
        id(weight): Parameter(torch.empty(0, dtype=weight.dtype, device=device), weight.requires_grad)
        for weight in module.parameters()
    }
    return deepcopy(module, dict(empty)).to(device).eval()


@frozen
class Shards:
    """A sharded module, and beside it a plain copy that has weights only while it is used."""

    module: Any
    plain: Any

    @classmethod
    def of(cls, module: Module, accelerator: Accelerator) -> "Shards":
        plain = hollow(module, accelerator.device)
        return cls(shard(module, accelerator), plain)

    @contextmanager
    def gathered(self) -> Iterator[Any]:
        """The plain module with all weights; every process enters, and then needs none of the others."""
        for unit in _units(self.module):
            unit.reshard()
        pairs = self._pairs()
        try:
            for whole, part in pairs:
                whole.data = part.detach().full_tensor()
            yield self.plain
        finally:
            for whole, _ in pairs:
                whole.data = whole.new_empty(0)

    @torch.no_grad()
    def take(self) -> None:
        """Gives the shards what the gathered module's weights are now: the same in all processes."""
        for whole, part in self._pairs():
            part.copy_(distribute_tensor(whole, part.device_mesh, part.placements, src_data_rank=None))

    def _pairs(self) -> list[tuple[Parameter, DTensor]]:
        return list(zip(self.plain.parameters(), self.module.parameters(), strict=True))


def _units(module: Module) -> list[FSDPModule]:
    """The modules in it whose weights are gathered together."""
    return [each for each in module.modules() if isinstance(each, FSDPModule)]


def unfit(found: str, remedy: str) -> ConfigError:
    """What to choose instead of what does not work here."""
    return ConfigError(
        "policy: hf trains with FSDP version 2, with DeepSpeed, or with a copy of all weights in each process, and "
        f"accelerate is configured for {found}; {remedy}"
    )
