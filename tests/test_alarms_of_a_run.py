"""A run says its alarms in its log and in its events, once, also when it was interrupted between."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from attrs import evolve

from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.config import Config
from scribe_core.records import read_jsonl
from scribe_core.scorer import ScorerBuilder
from scribe_core.settings import RolloutSettings, TrainingSettings
from scribe_core.skills import Check, Library
from scribe_core.testing import FixedLibrary, ScriptedOptimizer, TinyPolicy, sample_prototype
from scribe_core.training import train

pytest.importorskip("torch", reason="the tiny policy needs torch")


CHECKS = (Check(id="plain", question="Is it plain?", caps=0),)
GENERAL = FixedLibrary(Library([sample_prototype(id="general", checks=CHECKS, failure_modes=())]))
LONGER = ScriptedOptimizer(lambda version: {"completion_tokens": 4.0 if version <= 10 else 40.0})
"""Under it, rollouts get longer from the 11th step on."""


def test_an_alarm_is_logged_once(tmp_path: Path) -> None:
    config = Config(
        policy=TinyPolicy(),
        environment=Stockroom(size=4),
        optimizer=LONGER,
        scorer=ScorerBuilder(libraries=(GENERAL,)),
        rollout=RolloutSettings(group_size=1, max_tokens=1, max_turns=1),
        training=TrainingSettings(steps=19, tasks_per_step=1, checkpoint_every=5),
        trackers=(),
    )
    with structlog.testing.capture_logs() as logs:
        train(config, tmp_path / "run")
        assert alarms(tmp_path) == []
        longer = evolve(config, training=evolve(config.training, steps=25))
        train(longer, tmp_path / "run", resume=True)
        assert [(each["step"], each["alarm"]) for each in alarms(tmp_path)] == [
            (20, "completion_tokens_inflated")
        ]
        train(evolve(longer, training=evolve(config.training, steps=30)), tmp_path / "run", resume=True)
    assert len(alarms(tmp_path)) == 1
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == [
        "tokens per rollout have grown from 4.0 to 40.0"
    ]


def alarms(folder: Path) -> list[dict[str, Any]]:
    return [event for _, event in read_jsonl(folder / "run/events.jsonl") if event.get("event") == "alarm"]
