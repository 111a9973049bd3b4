"""For tests of plugins: a contract class per kind of part, fakes, a tiny trainable policy and sample data.

    from scribe_core.testing import JudgeContract

    class TestMyJudge(JudgeContract):
        def builder(self):
            return MyJudge(strict=True)

Every test of the contract then runs for that judge. `builder` may also be a pytest fixture. The contracts need
pytest, the tiny policy needs torch; nothing here is imported when scribe runs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scribe_core.testing.contracts import *  # noqa: F403
    from scribe_core.testing.fakes import *  # noqa: F403
    from scribe_core.testing.samples import *  # noqa: F403
    from scribe_core.testing.tiny import TinyPolicy as TinyPolicy

CONTRACTS = (
    *("AggregatorContract", "BuilderContract", "EnvironmentContract", "JudgeContract", "LibraryContract"),
    *(
        "MinerContract",
        "OptimizerContract",
        "PolicyContract",
        "ProgramContract",
        "RouterContract",
        "SegmenterContract",
    ),
    *("ToolContract", "TrackerContract", "TrainablePolicyContract"),
)
FAKES = (
    *("FixedLibrary", "FixedSegmenter", "RecordingTracker"),
    *("ScriptedEndpoint", "ScriptedJudge", "ScriptedModel", "ScriptedOptimizer", "ScriptedPolicy"),
)
SAMPLES = (
    *(
        "awkward_trajectories",
        "sample_crowded_subgoal",
        "sample_judgement",
        "sample_library",
        "sample_prototype",
        "sample_subgoal",
    ),
    "sample_trajectory",
)
_MODULES = {
    **dict.fromkeys(CONTRACTS, "contracts"),
    **dict.fromkeys(FAKES, "fakes"),
    **dict.fromkeys(SAMPLES, "samples"),
    "TinyPolicy": "tiny",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
