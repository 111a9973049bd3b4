import json
import re

import pytest

TINY = '''
from pathlib import Path
from typing import ClassVar
from attrs import evolve, frozen
from scribe_core.types import Completion, Message

class TinyPolicy:
    """Learns one word, the first time that it is updated."""
    def __init__(self):
        self.version = 0
    def generate(self, conversations, sampling, seeds):
        text = "please, hello" if self.version else "no"
        return [Completion(message=Message(role="assistant", content=text)) for _ in conversations]
    def save(self, folder):
        (folder / "version").write_text(str(self.version))
    def load(self, folder):
        self.version = int((folder / "version").read_text())

@frozen
class Tiny:
    name: ClassVar[str] = "tiny"
    which: str = "newest"
    def pinned(self):
        return evolve(self, which=Path("newest").read_text()) if self.which == "newest" else self
    def build(self):
        with Path("builds").open("a") as builds:
            print(self.which, file=builds)
        if self.which == "broken":
            raise RuntimeError("no weights")
        return TinyPolicy()

class Watching:
    def log(self, event): ...
    def close(self):
        Path("closed").touch()

@frozen
class Watch:
    """Says that it was closed."""
    name: ClassVar[str] = "watch"
    def build(self):
        return Watching()
'''


@pytest.fixture
def workplace(tmp_path, config):
    """A folder with a module, and a config that trains with it."""
    (tmp_path / "tiny_parts.py").write_text(TINY)
    tables = """
[policy]
use = "tiny_parts:Tiny"
[environment]
use = "greetings"
count = 8
[optimizer]
use = "scribe_core.testing:ScriptedOptimizer"
metrics = {loss = 0.5}
[rollout]
group_size = 2
[training]
steps = 2
"""
    (tmp_path / "my run.toml").write_text(config.read_text() + tables)
    (tmp_path / "newest").write_text("first")
    return tmp_path


def test_what_a_policy_stood_for_is_kept_with_the_run(done, refused, workplace):
    inside = {"cwd": workplace}
    done("train", "my run.toml", **inside)
    manifest = json.loads((workplace / "runs/my-run/manifest.json").read_text())
    assert manifest["config"]["policy"] == {"use": "tiny_parts:Tiny", "which": "newest"}
    assert manifest["policy"] == {"use": "tiny_parts:Tiny", "which": "first"}
    (workplace / "newest").write_text("second")
    done("train", "my run.toml", "--resume", "--set", "training.steps=3", **inside)
    done("eval", "my run.toml", "--run", "my-run", **inside)
    done("train", "my run.toml", "--run", "other", **inside)
    assert (workplace / "builds").read_text().split() == ["first", "first", "first", "second"]


def test_a_policy_that_cannot_be_built_leaves_nothing_open_and_no_run(refused, workplace):
    broken = ["--set", "policy.which=broken", "--set", 'trackers=["tiny_parts:Watch"]']
    assert "no weights" in refused("train", "my run.toml", *broken, cwd=workplace)
    assert (workplace / "closed").exists()
    assert not (workplace / "runs").exists()


def test_a_run_that_exists_is_refused_before_the_policy_is_built(done, refused, workplace):
    inside = {"cwd": workplace}
    done("train", "my run.toml", **inside)
    (workplace / "builds").unlink()
    assert "this run exists" in refused("train", "my run.toml", **inside)
    assert not (workplace / "builds").exists()


def test_a_run_from_start_to_evaluation(done, refused, workplace):
    inside = {"cwd": workplace}
    shown = done("train", "my run.toml", **inside)
    assert shown == "run: runs/my-run\ncheckpoint: runs/my-run/checkpoints/step-000002\n"
    manifest = json.loads((workplace / "runs/my-run/manifest.json").read_text())
    assert manifest["config"]["policy"]["use"] == "tiny_parts:Tiny"
    assert manifest["config"]["training"]["steps"] == 2

    events = [json.loads(line) for line in (workplace / "runs/my-run/events.jsonl").read_text().splitlines()]
    assert [event["judging"] for event in events if event["event"] == "step"] == 2 * [
        {"scored": 8, "abstained": 0, "failed": 0, "cached": 0}
        | {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "usd": None}
    ]

    shown = refused("train", "my run.toml", **inside)
    assert "runs/my-run: this run exists; pass --resume" in shown
    more = ["--set", "training.steps=3"]
    assert "step-000003" in done("train", "my run.toml", *more, "--resume", **inside)
    assert "runs/other" in done("train", "my run.toml", "--run", "other", **inside)

    before = json.loads(done("eval", "my run.toml", "--json", **inside))
    after = json.loads(done("eval", "my run.toml", "--json", "--run", "my-run", "--split", "train", **inside))
    assert (before["split"], before["tasks"], before["outcome"], before["skills"]) == (
        "validation", 8, 0.0, {"general": 1.0},
    )  # fmt: skip
    assert (after["split"], after["tasks"], after["outcome"], after["skills"]) == (
        "train", 8, 1.0, {"general": 3.0},
    )  # fmt: skip
    assert before["outcome_interval"] == pytest.approx([0.0, 0.324], abs=1e-3)
    assert (before["run"], before["checkpoint"]) == ("runs/my-run-eval", None)
    assert (after["run"], after["checkpoint"]) == ("runs/my-run", "runs/my-run/checkpoints/step-000003")


def test_eval_tells_the_outcome_apart(done, workplace):
    environment = 'environment={use = "stockroom", size = 6, hardest = 2}'
    shown = done(
        "eval", "my run.toml", "--set", environment, "--set", "evaluation.by=difficulty", cwd=workplace
    )
    assert re.search(r"^  difficulty 1 +0\.000  3 tasks\n  difficulty 2 +0\.000  3 tasks$", shown, re.M)


@pytest.mark.parametrize("command", ["train", "validate"])
def test_greedy_rollouts_are_nothing_to_learn_from(refused, workplace, command):
    greedy = ["--set", "rollout.temperature=0"]
    assert "rollout.temperature: 0 plays" in refused(command, "my run.toml", *greedy, cwd=workplace)


def test_an_evaluation_is_shown_and_kept(done, workplace):
    inside = {"cwd": workplace}
    done("train", "my run.toml", **inside)
    shown = done("eval", "my run.toml", "--run", "my-run", **inside)
    library = json.loads((workplace / "runs/my-run/manifest.json").read_text())["library_digest"]
    assert shown == (
        "run      runs/my-run\n"
        "policy   runs/my-run/checkpoints/step-000002\n"
        "split    validation, 8 tasks\n"
        "outcome  1.000  (95 % interval 0.676 to 1.000)\n"
        "process  1.000\n"
        f"library  {library[:12]}\n"
        "skills\n"
        "  general  3.00 of 3  8 judged\n"
    )
    assert "policy   as configured\n" in done("eval", "my run.toml", "--as", "before", **inside)
    assert "runs/other" in done("eval", "my run.toml", "--run", "my-run", "--as", "other", **inside)
    for name, file, step in [
        ("my-run", "step-000002-validation", 2),
        ("before", "validation", 0),
        ("other", "step-000002-validation", 2),
    ]:
        folder = workplace / "runs" / name
        kept = [json.loads(line) for line in (folder / f"evaluations/{file}.jsonl").read_text().splitlines()]
        assert [each["score"]["outcome"] for each in kept] == [float(step > 0)] * 8
        assert {each["trajectory"]["id"] for each in kept} == {
            f"validation/validation-{n}/0" for n in range(8)
        }
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        assert (events[-1]["event"], events[-1]["step"], events[-1]["tasks"]) == ("evaluation", step, 8)


def test_evaluations_that_do_not_compare_do_not_share_a_folder(done, refused, workplace):
    inside = {"cwd": workplace}
    done("eval", "my run.toml", "--split", "train", **inside)
    done("eval", "my run.toml", "--set", "evaluation.limit=2", **inside)
    assert len(list((workplace / "runs/my-run-eval/evaluations").iterdir())) == 2
    shown = refused("eval", "my run.toml", "--set", "environment.count=3", **inside)
    assert (
        "runs/my-run-eval: this run began with another config; changed: environment.count; undo that, "
        in shown
    )
    assert shown.endswith("--as NAME to evaluate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "scorer.toml"], '[policy]: missing; add it, for example [policy] use = "hf"'),
        (["eval", "scorer.toml"], "[environment]: missing"),
        (["eval", "my run.toml", "--run", "none"], "runs/none: no checkpoint"),
        (["eval", "my run.toml", "--split", "tset"], "has no split 'tset'"),
        (["eval", "my run.toml", "--as", "../x"], "--as '../x': a name is made of letters"),
        (["train", "my run.toml", "--run", "../x"], "--run '../x': a name is made of letters"),
        (["train", "my run.toml", "--run", ""], "--run '': a name is made of letters"),
    ],
)
def test_what_is_wrong_is_told(refused, workplace, arguments, message):
    assert message in refused(*arguments, cwd=workplace)
    assert not (workplace / "runs").exists()


def test_an_evaluation_in_which_every_rollout_breaks_has_failed(scribe, workplace):
    result = scribe("eval", "my run.toml", "--set", "environment.broken=true", cwd=workplace)
    assert (result.returncode, result.stdout) == (1, "")
    *logged, last = result.stderr.splitlines()
    assert last == "scribe: error: all 8 rollouts failed; the first: TimeoutError('the greeter is away')"
    assert len(logged) == 8
    assert all("episode failed" in line for line in logged)
    assert not (workplace / "runs").exists()


SERVED = '''
import os, signal
from pathlib import Path
from typing import ClassVar
from attrs import frozen
from scribe_core.errors import RunError
from scribe_core.types import Completion, Message, Usage

class Served:
    """Says hello for a price, and fails at one call."""
    def __init__(self):
        self.usage = Usage()
        self.fault, self.at = os.environ["FAULT"].split()
    def generate(self, conversations, sampling, seeds):
        raise AssertionError("each conversation is continued by itself")
    async def continue_one(self, conversation, sampling, seed):
        self.usage += Usage(calls=1, prompt_tokens=10, completion_tokens=2, usd=0.5)
        if self.usage.calls == int(self.at):
            match self.fault:
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "breaks":
                    raise TimeoutError("no answer")
                case "spent":
                    raise RunError("the budget is spent")
        return Completion(message=Message(role="assistant", content="please, hello"))

@frozen
class Rented:
    name: ClassVar[str] = "rented"
    def build(self):
        return Served()
'''


@pytest.fixture
def rented(scribe, workplace):
    """Evaluates 8 tasks, one at a time, with a policy that costs something and fails as told."""
    (workplace / "rented.py").write_text(SERVED)
    options = ["--set", 'policy={use="rented:Rented"}', "--set", "rollout.concurrency=1", "--as", "served"]

    def evaluated(fault, *more):
        return scribe("eval", "my run.toml", *options, *more, cwd=workplace, FAULT=fault)

    return evaluated


def unfinished(workplace):
    return workplace / "runs/served/evaluations/validation.unfinished"


@pytest.mark.parametrize(
    ("fault", "code", "kept"), [("dies 4", -9, 3), ("spent 4", 1, 3), ("breaks 4", 0, 7)]
)
def test_an_evaluation_plays_only_what_is_missing(rented, workplace, fault, code, kept):
    first = rented(fault)
    assert first.returncode == code, first.stderr
    assert len(unfinished(workplace).read_text().splitlines()) == kept
    if kept == 3:
        with unfinished(workplace).open("a") as log:
            log.write('{"of": "half a li')
    second = rented("none 0", "--json")
    assert second.returncode == 0, second.stderr
    assert f"an unfinished evaluation goes on evaluation=validation finished={kept}" in second.stderr
    result = json.loads(second.stdout)
    assert (result["tasks"], result["outcome"], result["failed_rollouts"]) == (8, 1.0, 0)
    assert result["skills"] == {"general": 3.0}
    paid = 3 + 5 if kept == 3 else 8 + 1
    if fault == "breaks 4":
        assert "1 of 8 rollouts, which are left out; the same command plays them again" in first.stdout
        assert "8 calls, 80 + 16 tokens, 4.0000 USD" in first.stdout
    assert result["usage"] == {
        "calls": paid, "prompt_tokens": 10 * paid, "completion_tokens": 2 * paid, "usd": 0.5 * paid,
    }  # fmt: skip
    assert not unfinished(workplace).exists()
    again = json.loads(rented("none 0", "--json").stdout)
    assert again["usage"]["calls"] == 8, "what is complete is played anew"


def test_what_was_played_in_another_way_is_no_part_of_it(rented, workplace):
    assert rented("dies 4").returncode == -9
    other = rented("none 0", "--json", "--set", "evaluation.temperature=0.5")
    assert json.loads(other.stdout)["usage"]["calls"] == 8
    assert other.stderr == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}x", "not a JSON line"),
        ('{"of": "OF", "trajectory": 3}', "trajectory: "),
        ('{"of": "OF"}', "usage: needs"),
    ],
)
def test_a_log_of_rollouts_that_is_damaged_is_named(rented, workplace, line, message):
    assert rented("dies 4").returncode == -9
    lines = unfinished(workplace).read_text().splitlines()
    record = json.loads(lines[0])
    line = line.replace("OF", record["of"])
    if message.startswith("usage"):
        line = json.dumps({**record, "usage": {"calls": "many"}})
    unfinished(workplace).write_text("\n".join([lines[1], line, ""]))
    result = rented("none 0")
    assert (result.returncode, result.stdout) == (2, "")
    assert f"validation.unfinished:2: {message}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_policy_without_weights_is_not_trained(scribe, rented, workplace):
    policy = ["--set", 'policy={use="rented:Rented"}']
    result = scribe("train", "my run.toml", *policy, cwd=workplace, FAULT="none 0")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert "policy.use: 'rented' has no weights that could be trained; `scribe eval`" in line
    assert not (workplace / "runs").exists()
