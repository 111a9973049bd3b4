"""What every tracker keeps: it takes any event, and never stops a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scribe_core.testing.contracts.builders import BuilderContract

EVENTS: tuple[Mapping[str, Any], ...] = (
    {"event": "run_started", "run": "demo", "steps": 2},
    {"event": "step", "step": 1, "steps": 2, "reward": 0.5, "outcome": None, "process": 0.25, "seconds": 1.5},
    {
        "event": "step",
        "step": 2,
        "steps": 2,
        "reward": float("nan"),
        "loss": float("inf"),
        "seconds": float("nan"),
    },
    {"event": "evaluation", "step": 2, "split": "validation", "tasks": 3, "outcome": 1.0},
    {"event": "checkpoint", "step": 2, "path": Path("checkpoints/2")},
    {
        "event": "an event that nobody knows",
        "text": "[bold]\n\x1b[31m\u2028\U0001f600",
        "": 1,
        "nested": {"a": [1]},
    },
    {"event": "step"},
    {},
    {"event": "run_finished", "step": 2},
)


class TrackerContract(BuilderContract):
    """Takes every event that a run may send, in any order, and can be closed."""

    kind = "trackers"

    @pytest.fixture
    def tracker(self, given: Any) -> Any:
        return given.build()

    def test_takes_every_event(self, tracker: Any) -> None:
        for event in EVENTS:
            tracker.log(event)
        tracker.close()

    def test_leaves_events_as_they_are(self, tracker: Any) -> None:
        event = {"event": "step", "step": 1, "nested": {"reward": float("nan")}}
        before = repr(event)
        tracker.log(event)
        tracker.close()
        assert repr(event) == before

    def test_can_be_closed_at_once(self, tracker: Any) -> None:
        tracker.close()
