import json
import re

import pytest

RUN = ["--set", "environment.use=greetings"]
TRAINING = [*RUN, "--set", "optimizer.use=scribe_core.testing:ScriptedOptimizer"]


def test_estimates_what_a_run_takes(done, config):
    options = [*TRAINING, "--set", "training.steps=10"]
    options += ["--set", "training.tasks_per_step=2"]
    options += [
        "--set",
        "evaluation.every=4",
        "--set",
        "evaluation.samples=2",
        "--set",
        "evaluation.limit=2",
    ]
    report = json.loads(done("validate", config, *options, "--json"))
    assert re.fullmatch("[0-9a-f]{64}", report.pop("library_digest"))
    assert report == {
        "skills": 1,
        "training_tasks": 3,
        "steps": 10,
        "rollouts_per_step": 16,
        "training_rollouts": 160,
        "evaluation_tasks": 2,
        "evaluations": 3,
        "evaluation_rollouts": 12,
        "judgements": {"least": 172, "most": 1376},
        "judge_calls": {"least": 0, "most": 0},
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "usd": 0,
        "serves": ["score"],
    }
    shown = done("validate", config, *options)
    assert re.search(r"^judgements +172 to 1,376$", shown, re.MULTILINE)
    assert re.search(r"^judge calls +0$", shown, re.MULTILINE)
    assert shown.endswith("serves               scribe score\nthe config is valid\n")  # it names no policy


def test_demonstrations_need_no_rollouts(refused, config):
    shown = refused("validate", config, *TRAINING, "--set", "optimizer.learns_from=demonstrations")
    assert (
        shown == "environment: the split 'train' has no tasks with demonstrations; "
        "choose another environment or optimizer"
    )


def test_refreshes_need_a_miner(refused, config):
    options = [*TRAINING, "--set", "training.tasks_per_step=2"]
    shown = refused("validate", config, *options, "--set", "training.refresh_every=5")
    assert shown.startswith("refresh.miner: missing; training.refresh_every needs one")


def test_a_scorer_alone_is_a_config(done, config):
    report = json.loads(done("validate", config, "--json"))
    assert set(report) == {"skills", "library_digest", "serves"}
    assert report["serves"] == ["score"]


def test_a_model_that_knows_its_price(done, config, tmp_path):
    """Its 8 validation rollouts have 1 to 8 turns, each asked about at most twice with and twice without its pleas."""
    (tmp_path / "mine.py").write_text(PRICED)
    options = [*RUN, "--set", "environment.count=8", "--set", "scorer.judge.use=mine:Priced"]
    report = json.loads(done("validate", config, *options, "--json", cwd=tmp_path))
    assert report["judge_calls"] == {"least": 8, "most": 256}
    assert (report["prompt_tokens"], report["completion_tokens"]) == (256_000, 25_600)
    assert report["usd"] == pytest.approx(256_000 * 1e-4 + 25_600 * 2e-4)
    shown = done("validate", config, *options, cwd=tmp_path)
    assert re.search(r"^judge calls +8 to 256$", shown, re.MULTILINE)
    assert re.search(r"^usd +at most 30.72$", shown, re.MULTILINE)


def test_the_price_of_another_judge_is_not_known(done, config):
    judge = ["--set", "scorer.judge=scribe_core.testing:ScriptedJudge"]
    assert json.loads(done("validate", config, *RUN, *judge, "--json"))["usd"] is None
    assert "usd                  unknown: it depends on the judge" in done("validate", config, *RUN, *judge)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.split=test", "environment 'greetings' has no split 'test'"),
        ("environment.count=0", "evaluation.split: 'validation' has no tasks"),
        (
            "environment.cuont=1",
            "environment.cuont: greetings has no option 'cuont'; did you mean 'count'?",
        ),
        ("tools.x.use=python", "tools.x.function: missing; python needs it (expected str)"),
        ("scorer.libraries=[]", "has no prototype 'general'"),
    ],
)
def test_what_is_wrong_is_told(refused, config, override, message):
    assert message in refused("validate", config, *RUN, "--set", override)


def test_a_program_that_is_not_installed_is_told(refused, config):
    shown = refused("validate", config, plugins=[])
    assert shown.startswith("scorer.libraries: no installed plugin offers 'polite' among its programs")


PRICED = """
from typing import ClassVar
from attrs import frozen
from scribe_core.judging import model_estimate

@frozen
class Priced:
    name: ClassVar[str] = "priced"
    def build(self):
        raise SystemExit("nothing is built to validate")
    def estimate(self, prototype):
        tokens = {"prompt_tokens": 1000, "reply_tokens": 100}
        return model_estimate(prototype, "checklist", **tokens, prices=(1e-4, 2e-4))
"""
