"""The library as a Python user meets it, and as the README shows it."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from scribe_grpo.builders import GRPO, SFT
from scribe_policy_hf.builder import HF
from scribe_policy_hf.testing import tiny_model
from scribe_skills.library import ScribeSkills

from scribe_core import Scorer, ScorerBuilder
from scribe_core.builtin.functions import FunctionEnvironment
from scribe_core.builtin.weighted import Weighted
from scribe_core.config import Config
from scribe_core.evaluation import evaluate
from scribe_core.settings import EvaluationSettings, RolloutSettings, TrainingSettings
from scribe_core.testing import RecordingTracker
from scribe_core.training import train
from scribe_core.types import Conversation, Message, Sampling, ToolCall, ToolSpec, Trajectory

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return ScorerBuilder(libraries=(ScribeSkills(),)).build()


def asked_for_the_weather(**arguments) -> Trajectory:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return Trajectory(
        id="weather",
        messages=(
            Message(role="user", content="What is the weather in Paris?"),
            Message(role="assistant", tool_calls=(ToolCall(name="weather", arguments=arguments),)),
        ),
        tools=(ToolSpec(name="weather", description="The weather in a city.", parameters=city),),
        outcome=1.0,
    )


def test_score_one_trajectory(scorer):
    (right,) = scorer.score([asked_for_the_weather(city="Paris")])
    (wrong,) = scorer.score([asked_for_the_weather(town="Rome")])
    assert right.reward.process == 1.0
    assert right.reward.value == 1.0
    assert wrong.reward.process < 0.5
    assert wrong.reward.value == pytest.approx(0.7 + 0.3 * wrong.reward.process)
    (judgement,) = wrong.judgements
    assert judgement.verdict.status == "scored"
    assert judgement.verdict.failed_checks
    assert judgement.verdict.reason


def test_other_weights(scorer):
    outcome_alone = ScorerBuilder(
        libraries=(ScribeSkills(),), aggregator=Weighted(process=0.0, outcome=1.0)
    ).build()
    assert outcome_alone.score([asked_for_the_weather(town="Rome")])[0].reward.value == 1.0


def spell(letter: str) -> str:
    """Spells a letter out."""
    return {"a": "ay", "b": "bee"}[letter]


def has_vowels(completion: str) -> float:
    return min(1.0, sum(letter in "aeiou" for letter in completion) / 4)


def test_train_two_steps_and_use_what_was_learnt(tmp_path):
    tracker = RecordingTracker()
    prompts = [
        {"prompt": f"Spell {letter}.", "split": split}
        for split in ("train", "validation")
        for letter in "abc"
    ]
    config = Config(
        policy=HF(model=str(tiny_model(tmp_path / "tiny")), dtype="float32"),
        environment=FunctionEnvironment(prompts=prompts, reward=has_vowels, tools=(spell,)),
        optimizer=GRPO(learning_rate=1e-3),
        scorer=ScorerBuilder(libraries=(ScribeSkills(),)),
        rollout=RolloutSettings(group_size=4, max_tokens=12),
        training=TrainingSettings(steps=2, tasks_per_step=2, deterministic=True),
        evaluation=EvaluationSettings(every=1),
        trackers=(tracker,),
    )
    checkpoint = train(config, tmp_path / "run")
    assert checkpoint == tmp_path / "run/checkpoints/step-000002"
    named = [(event["event"], event["step"]) for event in tracker.events]
    assert [step for name, step in named if name == "step"] == [1, 2]
    assert [step for name, step in named if name == "evaluation"] == [1, 2]
    assert tracker.closed == [True]
    learnt = HF(model=str(tmp_path / "run"), dtype="float32").build()
    asked = Conversation(messages=(Message(role="user", content="Spell a."),))
    (completion,) = learnt.generate([asked], Sampling(max_tokens=4), [0])
    assert completion.message.role == "assistant"
    environment = config.environment.build()
    found = evaluate(
        learnt, environment, config.scorer.build(), config.evaluation, config.rollout, waves=True
    )
    (last,) = [event for event in tracker.events if event["event"] == "evaluation" and event["step"] == 2]
    assert found.summary()["outcome"] == last["outcome"]


def test_the_same_config_from_its_manifest(tmp_path):
    """What a run writes down is enough to repeat it, with functions by their names."""
    config = Config(
        policy=HF(model=str(tiny_model(tmp_path / "tiny")), dtype="float32"),
        environment=FunctionEnvironment(
            prompts=({"prompt": "Spell a.", "demonstration": "ay", "split": "train"},), reward="builtins:len"
        ),
        optimizer=SFT(),
        scorer=ScorerBuilder(libraries=(ScribeSkills(),)),
    )
    table = json.loads(json.dumps(config.to_table()))
    assert Config.from_table(table) == config


def code(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_scores(capsys, monkeypatch):
    (block,) = [each for each in code("python") if "scorer.score(" in each]
    monkeypatch.chdir(ROOT)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed
    assert all("'" in line for line in printed), "each line names skills"


def test_the_readme_configures():
    (block,) = [each for each in code("toml") if "[scorer]" in each]
    config = Config.from_table(tomllib.loads(block))
    assert config.optimizer == GRPO(learning_rate=4e-5, noise_floor=0.05)
