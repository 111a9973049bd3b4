"""What an event of a step tells: every component of the reward, and what is missing from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen

from scribe_core.config import Config
from scribe_core.records import read_jsonl
from scribe_core.scorer import ScorerBuilder
from scribe_core.settings import EvaluationSettings, RolloutSettings, TrainingSettings
from scribe_core.skills import Check, Library
from scribe_core.testing import FixedLibrary, ScriptedJudge, ScriptedOptimizer, TinyPolicy, sample_prototype
from scribe_core.training import train
from scribe_core.types import Message, Task, ToolSpec

pytest.importorskip("torch", reason="the tiny policy needs torch")

OUTCOMES = {"good": 1.0, "poor": 0.25}


CHECKS = (Check(id="plain", question="Is it plain?", caps=0),)
GENERAL = FixedLibrary(Library([sample_prototype(id="general", checks=CHECKS, failure_modes=())]))


@frozen(kw_only=True)
class Desk:
    """One question a task; nobody answers the one that breaks."""

    name: ClassVar[str] = "desk"

    def build(self) -> "Desk":
        return self

    def tasks(self, split: str) -> Sequence[Task]:
        return [
            Task(id=each, messages=(Message(role="user", content=each),)) for each in (*OUTCOMES, "breaks")
        ]

    def open(self, task: Task) -> "_Question":
        return _Question(OUTCOMES[task.id])


@frozen
class _Question:
    worth: float
    tools: Sequence[ToolSpec] = ()

    async def respond(self, message: Message) -> Sequence[Message]:
        return ()

    async def outcome(self, messages: Sequence[Message]) -> float:
        return self.worth


def test_components_and_what_broke(tmp_path: Path) -> None:
    config = Config(
        policy=TinyPolicy(),
        environment=Desk(),
        optimizer=ScriptedOptimizer(),
        scorer=ScorerBuilder(libraries=(GENERAL,), judge=ScriptedJudge(2.0)),
        rollout=RolloutSettings(group_size=2, max_tokens=3, max_turns=1),
        training=TrainingSettings(steps=1, tasks_per_step=3),
        evaluation=EvaluationSettings(split="train"),
        trackers=(),
    )
    train(config, tmp_path / "run")
    (step,) = [e for _, e in read_jsonl(tmp_path / "run/events.jsonl") if e["event"] == "step"]
    assert step["failed_rollouts"] == 2
    assert step["outcome"] == pytest.approx((1.0 + 0.25) / 2)
    assert step["process"] == pytest.approx(2 / 3)
    assert step["reward"] == pytest.approx(0.7 * step["outcome"] + 0.3 * step["process"])
    assert (step["judging"]["scored"], step["judging"]["failed"]) == (4, 0)
    assert step["skills"] == {"general": 2.0}
