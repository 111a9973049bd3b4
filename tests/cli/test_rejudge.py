"""A run, judged once more: what is written, what is told, and that the run stays as it is."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest

PLUGINS = Path(__file__).parent.parent / "broken_plugin"

PARTS = '''
import random
from typing import ClassVar
from attrs import frozen
from scribe_core.types import Completion, Message

class Chatter:
    """Says now this and now that."""
    version = 0
    def generate(self, conversations, sampling, seeds):
        texts = ("no", "please", "hello", "please, hello")
        drawn = [random.Random(seed).choice(texts) for seed in seeds]
        return [Completion(message=Message(role="assistant", content=text)) for text in drawn]
    def save(self, folder): ...
    def load(self, folder): ...

@frozen
class Chatty:
    name: ClassVar[str] = "chatty"
    def build(self):
        return Chatter()
'''
TABLES = """
[policy]
use = "parts:Chatty"
[environment]
use = "greetings"
count = 8
[optimizer]
use = "scribe_core.testing:ScriptedOptimizer"
[rollout]
group_size = 4
[training]
steps = 2
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of 2 steps, with 4 groups of 4 in each."""
    folder = tmp_path_factory.mktemp("finished")
    library = json.dumps(str(PLUGINS / "skills"))
    (folder / "parts.py").write_text(PARTS)
    scorer = f'[scorer]\nlibraries = [{{use = "folder", path = {library}}}]\n'
    (folder / "run.toml").write_text(scorer + TABLES)
    command = [sys.executable, "-m", "scribe_core.cli.main", "train", "run.toml"]
    environment = os.environ | {"PYTHONPATH": str(PLUGINS / "works")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder / "runs/run"


@pytest.fixture
def played(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def lenient(tmp_path):
    """A library in which a rude greeting is worth 2, not 1."""
    folder = tmp_path / "lenient"
    folder.mkdir()
    text = (PLUGINS / "skills/general.yaml").read_text().replace("caps: 1", "caps: 2")
    (folder / "general.yaml").write_text(text)
    path = tmp_path / "lenient.toml"
    path.write_text(f'[scorer]\nlibraries = [{{use = "folder", path = {json.dumps(str(folder))}}}]\n')
    return path


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def state(folder):
    """What stands in a folder, but for what rejudging writes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "rejudged" not in path.relative_to(folder).parts
    }


def test_the_same_scorer_says_the_same(done, played):
    before = state(played)
    told = json.loads(done("rejudge", played, "--json"))
    assert state(played) == before
    assert told["file"] == str(played / "rejudged/programs.jsonl")
    again = records(played / "rejudged/programs.jsonl")
    logged = {
        each["score"]["id"]: {"step": each["step"], "library": each["library"], **each["score"]}
        for each in records(played / "scores.jsonl")
    }
    assert {each["id"]: each for each in again} == logged
    assert [each["id"] for each in again] == [
        each["trajectory"]["id"] for each in records(played / "trajectories.jsonl")
    ]
    assert (told["rollouts"], told["errors"], told["unscored_before"], told["largest"]) == (32, 0, 0, [])
    assert told["reward"]["before"] == told["reward"]["after"]
    assert told["scores"] == {"n": 32, "exact": 1.0, "within_1": 1.0}
    assert told["spans"] == {"both": 32, "only before": 0, "only after": 0, "rerouted": 0}
    assert (told["order"]["groups"], told["order"]["flipped"], told["order"]["tau"]) == (8, 0, 1.0)
    assert told["before"] == told["after"]


def test_another_library(done, played, lenient):
    told = json.loads(done("rejudge", played, "--config", lenient, "--json"))
    again = records(played / "rejudged/lenient.jsonl")
    assert {each["subgoals"][0]["score"] for each in again} == {2.0, 3.0}
    logged = [each["score"] for each in records(played / "scores.jsonl")]
    rude = [each for each in logged if each["subgoals"][0]["score"] == 1.0]
    assert 0 < len(rude) < 32
    (skill,) = told["skills"].values()
    assert skill == {
        "n": {"before": 32, "after": 32},
        "before": fmean(each["subgoals"][0]["score"] for each in logged),
        "after": fmean(each["subgoals"][0]["score"] for each in again),
        "changed": len(rude) / 32,
    }
    assert told["scores"] == {"n": 32, "exact": 1 - len(rude) / 32, "within_1": 1.0}
    assert told["process"]["after"] == pytest.approx(fmean(each["process"] for each in again))
    assert len(told["largest"]) == 10
    assert {each["id"] for each in told["largest"]} <= {each["id"] for each in rude}
    assert told["largest"][0]["after"] - told["largest"][0]["before"] == pytest.approx(0.1)


def test_another_aggregator_changes_rewards_and_no_score(done, played):
    """Process alone, and little of it: what greeted without a please now lies behind what pleaded."""
    options = [
        "--set",
        "scorer.aggregator.process=9",
        "--set",
        "scorer.aggregator.outcome=1",
        "--name",
        "process",
    ]
    told = json.loads(done("rejudge", played, *options, "--json"))
    assert told["scores"]["exact"] == 1.0
    again = {each["id"]: each for each in records(played / "rejudged/process.jsonl")}
    groups = {}
    for each in records(played / "trajectories.jsonl"):
        groups.setdefault(each["trajectory"]["group_id"], []).append(each["trajectory"]["id"])
    logged = {each["score"]["id"]: each["score"]["reward"] for each in records(played / "scores.jsonl")}
    pairs = [
        (logged[a] - logged[b]) * (again[a]["reward"] - again[b]["reward"])
        for group in groups.values()
        for a, b in combinations(group, 2)
    ]
    assert (told["order"]["kept"], told["order"]["flipped"]) == (
        sum(p > 0 for p in pairs),
        sum(p < 0 for p in pairs),
    )
    assert told["order"]["flipped"] > 0
    assert -1 <= told["order"]["tau"] < 1
    assert all(
        each["reward"] == pytest.approx(0.9 * each["process"] + 0.1 * each["outcome"])
        for each in again.values()
    )


def test_another_judge_drops_the_options_of_the_old_one(done, played):
    options = ["--set", "scorer.judge=scribe_core.testing:ScriptedJudge", "--set", "scorer.judge.script=0.5"]
    shown = done("rejudge", played, *options)
    assert "scripted-judge.jsonl" in shown
    assert "before    32 scored, 0 abstained, 0 failed\n" in shown
    assert "general  32 -> 32  " in shown
    again = records(played / "rejudged/scripted-judge.jsonl")
    assert {each["subgoals"][0]["score"] for each in again} == {0.5}


ASKED = """
from typing import ClassVar
from attrs import frozen
from scribe_core.judging import CallError, ModelJudge, Reply
from scribe_core.testing import ScriptedEndpoint
from scribe_core.types import Usage

def reply(prompt, sample):
    step = prompt.user.rpartition("# The step")[2]
    if "| no" in step:
        raise CallError("gone", Usage(calls=1))
    cold = "absent" if "hello" in step else "present"
    text = '{"cold": {"answer": "%s", "quote": "please"}, "rude": "absent"}' % cold
    return Reply(text=text, usage=Usage(calls=1, prompt_tokens=10, completion_tokens=1, usd=0.5))

@frozen
class Asked:
    name: ClassVar[str] = "asked"
    def build(self):
        return ModelJudge(endpoint=ScriptedEndpoint(reply))
"""


def test_a_model_is_asked_once(scribe, played, tmp_path):
    """What it failed on is asked again, and nothing else; what it said is judged alike."""
    (tmp_path / "mine.py").write_text(ASKED)
    options = ["--set", 'scorer.judge={use = "cached", path = "replies", judge = "mine:Asked"}', "--json"]
    told, files = [], []
    for _ in range(2):
        result = scribe("rejudge", played, *options, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        told.append(json.loads(result.stdout))
        files.append(records(played / "rejudged/cached.jsonl"))
    first, second = (each["after"] for each in told)
    failed = first["failed"]
    assert failed == sum(row["reward"] is None for row in files[0])
    assert 0 < failed < 32
    assert (second["calls"], second["usd"], second["failed"]) == (failed, None, failed)
    assert second["cached"] == first["scored"] + first["abstained"] == 32 - failed
    assert first["calls"] == failed + (first["usd"] / 0.5)
    for one, other in zip(*files, strict=True):
        for row in (one, other):
            del row["usage"], row["subgoals"][0]["cached"]
        assert one == other
    assert told[0]["reward"]["n"] == 32 - failed


def test_an_evaluation(done, refused, played):
    (kept,) = (played / "evaluations").iterdir()
    told = json.loads(done("rejudge", played, "--evaluation", kept.stem, "--json"))
    assert (told["rollouts"], told["scores"]["exact"]) == (8, 1.0)
    again = records(played / f"rejudged/programs-{kept.stem}.jsonl")
    (library,) = told["libraries"]
    assert [{"step": 2, "library": library, **each["score"]} for each in records(kept)] == again
    assert "did you mean 'step-000002-validation'" in refused(
        "rejudge", played, "--evaluation", "step-00002-validation"
    )


def test_a_killed_run(done, played):
    """Half a line at the end of both logs, and a rollout that has no score yet."""
    for name, keep in (("trajectories.jsonl", 9), ("scores.jsonl", 8)):
        log = played / name
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:keep]) + lines[keep][:40])
    before = state(played)
    told = json.loads(done("rejudge", played, "--json"))
    assert (told["rollouts"], told["reward"]["n"]) == (9, 9 - told["unscored_before"])
    assert told["unscored_before"] >= 1
    assert state(played) == before


def test_a_rollout_that_broke_is_left_out_and_one_is_scored_once(done, played):
    log = played / "trajectories.jsonl"
    first, second, *rest = records(log)
    broken = {**second, "trajectory": {**second["trajectory"], "status": "error"}}
    log.write_text("".join(json.dumps(each) + "\n" for each in (first, broken, first, *rest)))
    assert json.loads(done("rejudge", played, "--json"))["rollouts"] == 31


def test_a_group_that_mixes_outcomes_is_told_and_the_rest_is_scored(done, played):
    log = played / "trajectories.jsonl"
    lines = records(log)
    lines[5]["trajectory"]["outcome"] = None
    log.write_text("".join(json.dumps(each) + "\n" for each in lines))
    told = json.loads(done("rejudge", played, "--json", code=1))
    assert (told["rollouts"], told["errors"]) == (31, 1)
    (bad,) = [each for each in records(played / "rejudged/programs.jsonl") if "error" in each]
    assert (bad["id"], bad["line"], bad["step"]) == (lines[5]["trajectory"]["id"], 6, 1)


def test_a_failure_leaves_an_earlier_result_alone(done, refused, played):
    done("rejudge", played)
    earlier = (played / "rejudged/programs.jsonl").read_bytes()
    log = played / "trajectories.jsonl"
    log.write_text(log.read_text() + '{"step": 3}\n')
    assert "trajectories.jsonl:33: trajectory: " in refused("rejudge", played)
    assert (played / "rejudged/programs.jsonl").read_bytes() == earlier
    assert [path.name for path in (played / "rejudged").iterdir()] == ["programs.jsonl"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("trajectories.jsonl", "", "logged no finished rollouts"),
        ("trajectories.jsonl", None, "or choose with --evaluation: step-000002-validation"),
        ("trajectories.jsonl", "[]\n", "trajectories.jsonl:1: expected an object"),
        ("trajectories.jsonl", '{"step": "1"}\n', "trajectories.jsonl:1: needs step, an integer"),
        ("scores.jsonl", '{"score": {"id": "x"}}\n', "scores.jsonl:1: score: not as a run writes it"),
        ("scores.jsonl", '{"score": 7}\n', "scores.jsonl:1: score: not as a run writes it"),
        ("manifest.json", '{"config": {"scorer": 7}}', "expected an object with config.scorer"),
        ("manifest.json", "{", "not a readable JSON file"),
    ],
)
def test_logs_that_no_run_wrote_are_told(refused, played, file, text, message):
    if text is None:
        (played / file).unlink()
    else:
        (played / file).write_text(text)
    assert message in refused("rejudge", played)
    assert not (played / "rejudged").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "scorer.libraries=[]"], "has no prototype 'general'"),
        (["--set", "scorer.judge=none"], "scorer.judge"),
        (["--set", "scorer.jugde=programs"], "did you mean 'judge'"),
        (["--config", "missing.toml"], "missing.toml: cannot be read"),
        (["--name", "../x"], "--name '../x': a name is made of letters"),
        (["--evaluation", "../scores"], "--evaluation '../scores'"),
    ],
)
def test_what_is_wrong_is_told(refused, played, options, message):
    assert message in refused("rejudge", played, *options)
    assert not list(played.glob("rejudged/*"))


def test_no_such_run(refused):
    assert "RUN 'never': no run's folder, and no run in runs/" in refused("rejudge", "never")
