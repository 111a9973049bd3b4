"""What every part of a kind keeps, as tests: subclass a contract and say which builder it is about."""

import pytest

_MODULES = ("builders", "environments", "judging", "optimizers", "policies", "scoring", "tools", "trackers")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from scribe_core.testing.contracts.builders import BuilderContract  # noqa: E402
from scribe_core.testing.contracts.environments import EnvironmentContract  # noqa: E402
from scribe_core.testing.contracts.judging import JudgeContract, ProgramContract  # noqa: E402
from scribe_core.testing.contracts.optimizers import OptimizerContract  # noqa: E402
from scribe_core.testing.contracts.policies import PolicyContract, TrainablePolicyContract  # noqa: E402
from scribe_core.testing.contracts.scoring import (  # noqa: E402
    AggregatorContract,
    LibraryContract,
    MinerContract,
    RouterContract,
    SegmenterContract,
)
from scribe_core.testing.contracts.tools import ToolContract  # noqa: E402
from scribe_core.testing.contracts.trackers import TrackerContract  # noqa: E402

__all__ = [
    "AggregatorContract",
    "BuilderContract",
    "EnvironmentContract",
    "JudgeContract",
    "LibraryContract",
    "MinerContract",
    "OptimizerContract",
    "PolicyContract",
    "ProgramContract",
    "RouterContract",
    "SegmenterContract",
    "ToolContract",
    "TrackerContract",
    "TrainablePolicyContract",
]
