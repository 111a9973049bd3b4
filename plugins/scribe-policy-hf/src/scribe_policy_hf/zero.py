"""DeepSpeed's ZeRO: its engine shares out optimizer state (stage 1), gradients (2) and weights (3) over the processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin, PartialState
from accelerate.utils import DistributedType, is_deepspeed_available, parse_flag_from_env
from attrs import frozen
from torch.nn import Module, Parameter

from scribe_core.errors import ConfigError
from scribe_policy_hf.sharding import hollow, unfit

_NEEDED = "managed_gradient_accumulation"
"""The engine's setting that leaves it to its user when a step ends; DeepSpeed 0.19.4 brought it."""


class EngineAccelerator(Accelerator):  # type: ignore[misc]
    """Its backward passes add to the engine's gradient, the sum over all processes, until the engine's step."""

    def backward(self, loss: torch.Tensor, **options: Any) -> None:
        # The engine averages over the processes.
        self.deepspeed_engine_wrapped.engine.backward(
            loss * self.num_processes, scale_wrt_gas=False, **options
        )


def configured() -> bool:
    """Whether accelerate's launcher was told to use DeepSpeed."""
    return bool(parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"))


def check_launcher() -> None:
    """Raises ConfigError where DeepSpeed is wanted and cannot be used."""
    if not is_deepspeed_available():
        raise ConfigError(
            "policy: accelerate is configured for DeepSpeed, which is not installed; run `pip install deepspeed`, or "
            "choose FSDP instead: --use_fsdp --fsdp_version 2"
        )
    if int(os.environ.get("WORLD_SIZE") or 1) < 2:
        raise unfit("DeepSpeed in one process", "choose --num_processes 2 or more, or no DeepSpeed")


def enable(made: Accelerator) -> None:
    """Turns DeepSpeed on where accelerate leaves it out, on CPUs."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    if made.distributed_type == DistributedType.MULTI_CPU:
        plugin = DeepSpeedPlugin()
        # Whoever asks for accelerate's state later gets what PartialState has.
        made.state.distributed_type = PartialState().distributed_type = DistributedType.DEEPSPEED
        made.state.deepspeed_plugins = {"default": plugin}
        plugin.select(_from_accelerator_state=True)
    # transformers would share weights out while it loads them, before adapters are merged.
    unset_hf_deepspeed_config()
    check(_config(made))


def check(config: dict[str, Any]) -> None:
    """Raises ConfigError for what of DeepSpeed's config does not work here."""
    zero = config["zero_optimization"]
    if zero.get("stage") not in (1, 2, 3):
        raise unfit(f"ZeRO stage {zero.get('stage', 0)}", "choose --zero_stage 1, 2 or 3")
    for name in ("offload_optimizer", "offload_param"):
        device = (zero.get(name) or {}).get("device") or "none"
        if device != "none":
            raise unfit(f"{name} to {device!r}", f"choose --{name}_device none")
    for name in ("optimizer", "scheduler"):
        if name in config:
            raise unfit(f"DeepSpeed's own {name}", "leave it out: the table [optimizer] says it")


@frozen
class Engine:
    """A module in DeepSpeed's engine, which has its float32 masters; `plain` is the module with all weights, while it is used."""

    module: Any
    plain: Any

    @classmethod
    def of(cls, module: Module, accelerator: Accelerator) -> "Engine":
        config = _config(accelerator)
        split = config["zero_optimization"]["stage"] == 3
        half = any(weight.dtype == torch.bfloat16 for weight in module.parameters())
        module = module.to(torch.bfloat16) if half else module  # the engine wants one dtype
        plain = hollow(module, accelerator.device) if split else module
        config |= {
            "train_batch_size": "auto",
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            _NEEDED: False,
            "gradient_clipping": 0.0,  # the optimizer's to do, as are rate and decay
            "communication_data_type": "fp32",
            "data_types": {"grad_accum_dtype": "fp32"},
            "bf16": {"enabled": half},
            "fp16": {"enabled": False},
        }
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        engine, _ = accelerator.prepare(module, torch.optim.AdamW(trained, lr=0.0))
        if not hasattr(engine, _NEEDED):
            raise ConfigError("policy: this DeepSpeed is too old; run `pip install 'deepspeed>=0.19.4'`")
        return cls(engine, plain)

    @contextmanager
    def gathered(self) -> Iterator[Any]:
        """The plain module with all weights; every process enters, and then needs none of the others."""
        from deepspeed.runtime.zero import GatheredParameters

        try:
            for whole, part in self._pairs():
                with GatheredParameters([part]):
                    whole.data = part.detach().clone()
            yield self.plain
        finally:
            for whole, _ in self._pairs():
                whole.data = whole.new_empty(0)

    @torch.no_grad()
    def take(self) -> None:
        """Gives the engine what the gathered module's weights are now: the same in all processes."""
        from deepspeed.runtime.zero import GatheredParameters

        for whole, part in self._pairs():
            with GatheredParameters([part], modifier_rank=0):
                part.copy_(whole)

    def _pairs(self) -> list[tuple[Parameter, Parameter]]:
        """The plain module's weights and the engine's, where they are not the same."""
        pairs = zip(self.plain.parameters(), self.module.parameters(), strict=True)
        return [(whole, part) for whole, part in pairs if whole is not part]


def _config(accelerator: Accelerator) -> dict[str, Any]:
    config: dict[str, Any] = accelerator.state.deepspeed_plugin.deepspeed_config
    return config
