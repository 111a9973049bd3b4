"""GRPO that notes how much of each tensor its process holds."""

import json
from pathlib import Path

from attrs import frozen
from scribe_grpo.builders import GRPO
from scribe_grpo.engine import EngineAdamW
from scribe_grpo.grpo import GRPOOptimizer

from scribe_core import crew


@frozen(kw_only=True)
class Noting(GRPO):
    def build(self):
        return _Noting(self)


class _Noting(GRPOOptimizer):
    def step(self, policy, groups):
        metrics = super().step(policy, groups)
        adam = self._updater._adam
        Path(f"held-{crew.index()}.json").write_text(json.dumps(sharded(policy, adam)))
        return metrics


def sharded(policy, adam):
    """(elements, elements here) of the tensors that are shared out."""
    if isinstance(adam, EngineAdamW):
        states = adam._engine.basic_optimizer.state.values()
        trained = sum(getattr(each, "ds_numel", each.numel()) for each in adam._named.values())
        weights = [each for each in policy.module.parameters() if hasattr(each, "ds_tensor")]
        # The engine lays a moment of all weights out as one tensor.
        moment = (trained, sum(state["exp_avg"].numel() for state in states))
        return [moment, *((each.ds_numel, each.ds_tensor.numel() + each.numel()) for each in weights)]
    moments = [value for state in adam._adam.state.values() for value in state.values() if value.dim()]
    held = [*policy.module.parameters(), *adam._masters, *moments]
    return [(each.numel(), each.to_local().numel()) for each in held if hasattr(each, "to_local")]
