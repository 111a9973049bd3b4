"""SCRIBE: reward per subgoal, judged with reusable skill prototypes.

A trajectory goes in; a score per subgoal and one reward come out; an optimizer learns from them.
Importing this package imports no plugin and nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("scribe_core")
"""Marks a plugin's hook implementation (see `scribe_core.hookspecs`)."""

if TYPE_CHECKING:
    from scribe_core.scorer import Scorer as Scorer
    from scribe_core.scorer import ScorerBuilder as ScorerBuilder
    from scribe_core.trajectories import read_trajectories as read_trajectories
    from scribe_core.types import Trajectory as Trajectory

_LAZY = {
    "Scorer": "scribe_core.scorer",
    "ScorerBuilder": "scribe_core.scorer",
    "Trajectory": "scribe_core.types",
    "read_trajectories": "scribe_core.trajectories",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'scribe_core' has no attribute {name!r}")
