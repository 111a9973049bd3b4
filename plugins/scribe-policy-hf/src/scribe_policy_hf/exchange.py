"""What the processes of a run say to each other, by accelerate's own means."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedType,
    InitProcessGroupKwargs,
    broadcast,
    broadcast_object_list,
    gather_object,
    reduce,
)
from torch.distributed import DistError

from scribe_core.errors import ConfigError, RunError
from scribe_policy_hf import sharding, zero

_PATIENCE = timedelta(days=1)
_KNOWN = (
    *(DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU),
    *(DistributedType.FSDP, DistributedType.DEEPSPEED),
)


def accelerator() -> Accelerator:
    """For one process, or for several with copies or shards of the weights. Raises ConfigError for anything else.

    The others wait while the first one plays: longer than torch's half an hour, if tools or judges are slow.
    """
    if not torch.cuda.is_available():
        # accelerate imports DeepSpeed wherever it is installed, and that tells stdout that it found no GPU.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    way = zero if zero.configured() else sharding
    way.check_launcher()
    made = (zero.EngineAccelerator if way is zero else Accelerator)(
        cpu=not torch.cuda.is_available(),
        mixed_precision="no",
        gradient_accumulation_steps=1,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )
    if made.distributed_type not in _KNOWN or made.parallelism_config:
        kind = "several kinds of parallelism" if made.parallelism_config else made.distributed_type.value
        raise ConfigError(
            f"policy: accelerate is configured for {kind}; choose FSDP version 2 (--use_fsdp --fsdp_version 2), or a "
            "copy of all weights in each process (--multi_gpu)"
        )
    if way.configured():
        way.enable(made)
    return made


class Exchange:
    """See `scribe_core.crew.Exchange`."""

    def __init__(self, made: Accelerator) -> None:
        self.index = made.process_index
        self.count = made.num_processes

    def tell(self, value: Any) -> Any:
        box = [value]
        with self.watch():
            broadcast_object_list(box)
        return box[0]

    def collect(self, value: Any) -> list[Any]:
        with self.watch():
            found: list[Any] = gather_object([value])
        return found

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        with self.watch():
            total: torch.Tensor = reduce(tensor, "sum")
        return total

    def equalise(self, module: torch.nn.Module) -> None:
        """Gives every process the weights of the first: what is drawn at random differs."""
        for weight in module.parameters():
            if weight.requires_grad:
                with self.watch(), torch.no_grad():
                    weight.copy_(broadcast(weight.detach().clone()))

    @contextmanager
    def watch(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            told = isinstance(error, RunError)
            if told or not (isinstance(error, DistError) or "gloo" in str(error)):
                raise
            first = str(error).strip().partition("\n")[0]
            raise RunError(
                f"another process of this run has ended or cannot be reached, and says why if it can ({first})"
            ) from error
