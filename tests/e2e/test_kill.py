"""A run may be killed at any moment: no finished rollout is lost or played twice, and the run goes on."""

import json
import os
import signal
import time

import pytest
from safetensors.torch import load_file

KILLED = -signal.SIGKILL

MOMENTS = {
    "the first rollout is on disk": ("scribe_core.runs:RunFolder.log_trajectory", 1),
    "some of a step's rollouts are on disk": ("scribe_core.runs:RunFolder.log_trajectory", 3),
    "the rest is being played": ("scribe_policy_hf.policy:HFPolicy.generate", 6),
    "half of the scores are on disk": ("scribe_core.runs:RunFolder.log_score", 4),
    "the weights have changed, and no event says so": ("scribe_grpo.grpo:GRPOOptimizer.step", 1),
    "a checkpoint has weights and no optimizer": ("scribe_policy_hf.policy:HFPolicy.save", 1),
    "a checkpoint is complete and not in its place": ("scribe_core.runs:write_json", 1),
    "a checkpoint is in its place, and an older one is not removed": ("pathlib:Path.rename", 2),
}
"""In this order: after which call of what, counted from the latest resume, the process dies."""


def complete_lines(path):
    return path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []


def trajectories(workplace):
    lines = complete_lines(workplace / "runs/grpo/trajectories.jsonl")
    return [json.loads(line)["trajectory"] for line in lines]


def by_id(workplace):
    played = trajectories(workplace)
    assert len({each["id"] for each in played}) == len(played), "a rollout was played twice"
    return {each["id"]: each for each in played}


def assert_same_result(workplace, unkilled):
    """To the last bit: weights, optimizer state, rollouts and scores."""
    (checkpoint,) = (workplace / "runs/grpo/checkpoints").iterdir()
    expected = unkilled / "runs/grpo/checkpoints" / checkpoint.name
    for file in ("policy/model.safetensors", "optimizer/optimizer.safetensors"):
        found, wanted = load_file(checkpoint / file), load_file(expected / file)
        assert found.keys() == wanted.keys()
        assert [name for name in wanted if not found[name].equal(wanted[name])] == [], file
    assert (checkpoint / "state.json").read_text() == (expected / "state.json").read_text()
    assert by_id(workplace) == by_id(unkilled)
    scores = [
        {json.loads(line)["score"]["id"]: line for line in complete_lines(each / "runs/grpo/scores.jsonl")}
        for each in (workplace, unkilled)
    ]
    assert scores[0] == scores[1]


def test_the_run_learns_at_all(warm, unkilled):
    before, after = (
        load_file(next((folder / "checkpoints").iterdir()) / "policy/model.safetensors")
        for folder in (warm / "runs/sft", unkilled / "runs/grpo")
    )
    assert any(not after[name].equal(before[name]) for name in before)


def test_killed_again_and_again_it_ends_as_if_it_never_was(workplace, unkilled, scribe, train):
    log = workplace / "runs/grpo/trajectories.jsonl"
    resume = ()
    for moment, kill in MOMENTS.items():
        before = complete_lines(log)
        done = scribe(*train, *resume, cwd=workplace, kill=kill)
        assert done.returncode == KILLED, f"not killed when {moment}: {done.stderr}"
        assert complete_lines(log)[: len(before)] == before, f"lost rollouts when {moment}"
        resume = ("--resume",)
    done = scribe(*train, *resume, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert_same_result(workplace, unkilled)


@pytest.mark.parametrize(
    ("function", "calls"),
    [("scribe_core.runs:RunFolder.checkpoint", 2), ("scribe_core.runs:RunFolder.write_evaluation", 1)],
    ids=["after the last checkpoint", "after the evaluation"],
)
def test_killed_at_its_end_it_still_evaluates(workplace, unkilled, scribe, train, function, calls):
    assert scribe(*train, cwd=workplace, kill=(function, calls)).returncode == KILLED
    done = scribe(*train, "--resume", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert_same_result(workplace, unkilled)
    lines = complete_lines(workplace / "runs/grpo/events.jsonl")
    events = [(event["event"], event["step"]) for event in map(json.loads, lines)]
    assert ("evaluation", 3) in events
    assert events[-1] == ("run_finished", 3)
    kept = "runs/grpo/evaluations/step-000003-validation.jsonl"
    assert (workplace / kept).read_text() == (unkilled / kept).read_text()


def test_killed_from_outside_while_it_writes(workplace, unkilled, scribe, train):
    """The command as a user starts it, which cannot end before; and the line that is being written is cut short."""
    log = workplace / "runs/grpo/trajectories.jsonl"
    process = scribe.started(*train, cwd=workplace, LAST_REWARD="12")
    while len(complete_lines(log)) < 10 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    _, told = process.communicate()
    assert process.returncode == KILLED, told
    kept = complete_lines(log)
    assert len(kept) >= 10
    for name in ("trajectories.jsonl", "scores.jsonl", "events.jsonl"):
        with (workplace / "runs/grpo" / name).open("ab") as file:
            file.write(b'{"step": 2, "trajectory": {"id": "\xc3')
    done = scribe(*train, "--resume", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert complete_lines(log)[: len(kept)] == kept
    assert_same_result(workplace, unkilled)


def test_without_determinism_what_was_played_is_never_played_again(workplace, scribe, train, tmp_path):
    free = ("--set", "training.deterministic=false", "--set", "rollout.concurrency=2")
    kill = ("scribe_core.runs:RunFolder.log_trajectory", 5)
    begun = [tmp_path / "first", tmp_path / "second"]
    done = scribe(*train, *free, cwd=workplace, kill=kill, episodes=begun[0])
    assert done.returncode == KILLED, done.stderr
    finished = by_id(workplace)
    assert len(finished) == 5
    done = scribe(*train, *free, "--resume", cwd=workplace, episodes=begun[1])
    assert done.returncode == 0, done.stderr
    played = by_id(workplace)
    assert len(played) == 3 * 2 * 4
    assert {name: played[name] for name in finished} == finished
    evaluated = 3
    assert len(begun[1].read_text().splitlines()) == len(played) - len(finished) + evaluated


@pytest.mark.skipif(os.name == "nt", reason="it needs file locks")
def test_two_processes_do_not_write_one_run(workplace, scribe, train):
    import fcntl

    assert scribe(*train, cwd=workplace, kill=MOMENTS["the first rollout is on disk"]).returncode == KILLED
    with (workplace / "runs/grpo/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = scribe(*train, "--resume", cwd=workplace)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "scribe: error: runs/grpo: another process is using this run; wait for it, or "
    )
