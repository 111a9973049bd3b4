"""GRPO that notes how much of each tensor its process holds."""

import json
from pathlib import Path

from attrs import frozen
from scribe_grpo.builders import GRPO
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
        moments = [value for state in adam._adam.state.values() for value in state.values() if value.dim()]
        held = [*policy.module.parameters(), *adam._masters, *moments]
        sizes = [(each.numel(), each.to_local().numel()) for each in held if hasattr(each, "to_local")]
        Path(f"held-{crew.index()}.json").write_text(json.dumps(sizes))
        return metrics
