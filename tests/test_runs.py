"""A run's folder: what is written can be read, whatever it is and whenever the process died."""

import json
from datetime import date
from pathlib import Path

import pytest

from scribe_core.errors import ConfigError, DataError
from scribe_core.evaluation import unscored
from scribe_core.runs import Checkpoint, RunFolder, checkpoints, make_manifest
from scribe_core.testing import sample_trajectory

CONFIG = {"training": {"steps": 2, "seed": 0}, "policy": {"use": "hf"}}


def save(folder: Path) -> None:
    """A policy and an optimizer."""
    for part in ("policy", "optimizer"):
        (folder / part / "it").write_text("saved")


def opened(path: Path, config=CONFIG, digest="abc", **options) -> RunFolder:
    return RunFolder(path, make_manifest(config, digest), **{"resume": True, **options})


@pytest.fixture
def run(tmp_path):
    folder = opened(tmp_path / "run")
    yield folder
    folder.close()


def events(run: RunFolder) -> list[dict]:
    return [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]


def test_the_manifest_says_what_the_run_is_made_of(run):
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["config"] == CONFIG
    assert manifest["library_digest"] == "abc"
    assert {"scribe-core"} <= manifest["versions"].keys()


def test_events_are_appended(run):
    run.log({"event": "one"})
    again = {key: value for key, value in run.log({"event": "two"}).items() if key != "time"}
    assert [event["event"] for event in events(run)] == ["one", "two"]
    assert again == {"event": "two", "elapsed": events(run)[1]["elapsed"]}


def test_what_json_cannot_hold_ends_no_run(run):
    run.log(
        {"event": "x", "loss": float("nan"), "seconds": {"a": [float("inf"), 1.0]}, "day": date(2020, 1, 2)}
    )
    assert events(run)[0]["loss"] is None
    assert events(run)[0]["seconds"] == {"a": [None, 1.0]}
    assert events(run)[0]["day"] == "2020-01-02"
    run.log_trajectory(1, sample_trajectory(metadata={("a", 1): "\ud800"}))
    rollouts, _ = run.replay(after=0)
    assert rollouts[1]["sample"].metadata == {"('a', 1)": "?"}


def test_replay_gives_the_steps_after(run):
    for step, name in ((1, "a"), (2, "b"), (2, "c")):
        run.log_trajectory(step, sample_trajectory(id=name))
        run.log_score(step, unscored(sample_trajectory(id=name)), "0123abcd")
    rollouts, scores = run.replay(after=1)
    assert {step: [*found] for step, found in rollouts.items()} == {2: ["b", "c"]}
    assert rollouts[2]["b"] == sample_trajectory(id="b")
    assert scores == {name: unscored(sample_trajectory(id=name)) for name in "bc"}


@pytest.mark.parametrize("rest", [b"", b"{", b'{"step": 2, "traj', b"\xff" * 200_000, b"\x00"])
def test_half_a_line_is_dropped(run, rest):
    run.log_trajectory(1, sample_trajectory())
    run.close()
    log = run.path / "trajectories.jsonl"
    complete = log.read_bytes()
    log.write_bytes(complete + rest)
    opened(run.path).close()
    assert log.read_bytes() == complete
    log.write_bytes(rest)
    opened(run.path).close()
    assert log.read_bytes() == b""


def test_a_run_is_not_begun_twice(run):
    run.close()
    with pytest.raises(ConfigError, match=r"run: this run exists; pass --resume"):
        opened(run.path, resume=False)


def test_a_run_is_open_once(run):
    with pytest.raises(ConfigError, match="another process is using this run"):
        opened(run.path)


def test_only_so_much_of_a_config_may_change(run):
    run.close()
    opened(run.path, {**CONFIG, "training": {"steps": 9, "seed": 0}}).close()
    opened(run.path, {**CONFIG, "policy": {"use": "x"}}, may_change=("policy",)).close()
    with pytest.raises(ConfigError, match=r"changed: policy\.model, training\.seed;"):
        opened(run.path, {"training": {"steps": 2, "seed": 1}, "policy": {"use": "hf", "model": "m"}})
    with pytest.raises(ConfigError, match="the skill library has changed"):
        opened(run.path, digest="abd")


def test_a_config_equals_itself_whatever_its_values(tmp_path):
    config = {"prompts": ({"due": date(2020, 1, 2)}, {"x": float("nan")})}
    for _ in range(2):
        opened(tmp_path / "run", config).close()


def test_the_newest_checkpoint_stays(run):
    for step in (3, 20, 1_000_000, 999_999):
        run.checkpoint(step, 7, save)
    assert [path.name for path in checkpoints(run.path)] == ["step-1000000"]
    assert run.last_checkpoint() == Checkpoint(
        path=run.path / "checkpoints/step-1000000", step=1_000_000, policy_version=7
    )


def test_a_checkpoint_is_written_once(run):
    """An optimizer that has made no step since the run went on has less to save than it was given."""
    path = run.checkpoint(3, 7, save)
    (path / "optimizer/it").write_text("first")
    assert run.checkpoint(3, 7, save) == path
    assert (path / "optimizer/it").read_text() == "first"


def test_half_a_checkpoint_is_dropped(run):
    run.checkpoint(3, 7, save)
    (run.path / "checkpoints/draft-000004/policy").mkdir(parents=True)
    (run.path / "checkpoints/step-garbage").mkdir()
    run.close()
    again = opened(run.path)
    assert [path.name for path in again.checkpoints()] == ["step-000003"]
    assert again.checkpoint(4, 7, save).name == "step-000004"
    assert [path.name for path in again.checkpoints()] == ["step-000004"]
    again.close()


@pytest.mark.parametrize("name", ["a/b", "../../x", "\x00", "ünï", "a b"])
def test_an_evaluation_stays_in_the_folder(run, name):
    path = run.write_evaluation(name, [unscored(sample_trajectory())])
    assert path.parent == run.path / "evaluations"
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["trajectory"]["id"] == "sample"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_log_that_no_run_wrote_is_told(run):
    (run.path / "trajectories.jsonl").write_text('{"step": 1, "trajectory": {"id": "x"}}\n')
    with pytest.raises(DataError, match=r"trajectories\.jsonl:1: trajectory: messages: expected a list"):
        run.replay(after=0)


def test_nothing_is_replayed_of_an_empty_run(run):
    assert run.replay(after=0) == ({}, {})
    assert run.last_checkpoint() is None
