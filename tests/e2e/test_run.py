"""A run from a warm start to its evaluation, with real parts: what is logged, kept and printed fits together."""

import json

import pytest
import transformers

from scribe_core.trajectories import parse_trajectory


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("run", ["sft", "grpo"])
def test_checkpoints_load_with_from_pretrained(unkilled, run):
    (checkpoint,) = (unkilled / "runs" / run / "checkpoints").iterdir()
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint / "policy")
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint / "policy")
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Spell a."}], tokenize=False, add_generation_prompt=True
    )
    logits = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits
    assert logits.isfinite().all()


def test_the_warm_start_taught_something(warm):
    losses = [e["loss"] for e in records(warm / "runs/sft/events.jsonl") if e["event"] == "step"]
    assert len(losses) == 80
    assert losses[-1] < 0.1 < 3 < losses[0]


def test_the_events_tell_the_run(unkilled):
    events = records(unkilled / "runs/grpo/events.jsonl")
    told = [(event["event"], event["step"]) for event in events]
    assert told[:4] == [("run_started", 0), ("step", 1), ("step", 2), ("checkpoint", 2)]
    assert told[4] == ("step", 3)
    assert told[-1] == ("run_finished", 3)
    assert {("checkpoint", 3), ("evaluation", 3)} <= {*told}
    for event in events:
        if event["event"] == "step":
            assert {"reward", "outcome", "process", "loss", "grad_norm", "advantage_max"} <= {*event}
            assert event["skipped"] == (event["advantage_max"] == 0)
    assert any(event.get("advantage_max", 0) > 0 for event in events), "there was something to learn"


def test_rollouts_are_logged_with_what_the_optimizer_needs(unkilled):
    played = [each["trajectory"] for each in records(unkilled / "runs/grpo/trajectories.jsonl")]
    trajectories = [parse_trajectory(each) for each in played]
    assert len({each.id for each in trajectories}) == len(trajectories) == 3 * 2 * 4
    assert {each.policy_version for each in trajectories} == {0, 1, 2}
    assert any(len(each.messages) > 2 for each in trajectories), "the tool was called"
    for trajectory in trajectories:
        for message in trajectory.messages:
            assert (message.sampled is not None) == (message.role == "assistant")
        assert 0 <= trajectory.outcome <= 1
        assert len(trajectory.tools) == 1


def test_score_gives_the_logged_rewards(unkilled, scribe, tmp_path):
    run = unkilled / "runs/grpo"
    lines = [json.dumps(each["trajectory"]) for each in records(run / "trajectories.jsonl")]
    (tmp_path / "played.jsonl").write_text("\n".join(lines))
    done = scribe("score", tmp_path / "played.jsonl", "--config", "base.toml", cwd=unkilled)
    assert (done.returncode, done.stderr) == (0, "")
    scored = [json.loads(line) for line in done.stdout.splitlines()]
    logged = {each["score"]["id"]: each["score"] for each in records(run / "scores.jsonl")}
    assert {each["id"]: each for each in scored} == logged
    assert len({each["reward"] for each in scored}) > 1
    assert {part["skill"] for each in scored for part in each["subgoals"]} == {"spell-a-letter", "general"}


def test_eval_gives_what_the_run_found_at_its_end(trained, scribe):
    run = trained / "runs/grpo"
    (event,) = [each for each in records(run / "events.jsonl") if each["event"] == "evaluation"]
    kept = run / "evaluations/step-000003-validation.jsonl"
    before = kept.read_text()
    kept.unlink()
    done = scribe("eval", "base.toml", "grpo.toml", "--run", "grpo", "--json", cwd=trained)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for key in ("split", "tasks", "outcome", "process", "skills"):
        assert told[key] == event[key], key
    assert kept.read_text() == before
    assert [each["event"] for each in records(run / "events.jsonl")][-2:] == ["run_finished", "evaluation"]


def test_eval_needs_no_run(workplace, scribe):
    done = scribe("eval", "base.toml", "--set", "evaluation.samples=2", cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "run      runs/base-eval\npolicy   as configured\nsplit    validation, 3 tasks\n" in done.stdout
    kept = records(workplace / "runs/base-eval/evaluations/validation.jsonl")
    assert [each["trajectory"]["sample"] for each in kept] == [0, 1] * 3


def test_a_finished_run_can_be_trained_further(trained, scribe, train):
    """Also after a resume that had nothing to do."""
    assert scribe(*train, "--resume", cwd=trained).returncode == 0
    done = scribe(*train, "--resume", "--set", "training.steps=4", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert "checkpoint: runs/grpo/checkpoints/step-000004\n" in done.stdout
    steps = [each["step"] for each in records(trained / "runs/grpo/events.jsonl") if each["event"] == "step"]
    assert steps == [1, 2, 3, 4]
