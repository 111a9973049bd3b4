"""Two processes that share weights, gradients and optimizer state out (FSDP) train like one that has them all."""

import json
import shutil
import signal

import pytest
import torch
import transformers
from safetensors.torch import load_file

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_ACTIVATION_CHECKPOINTING": "true",
}
"""What `accelerate launch` sets."""

KINDS = {"weights": (), "adapters": ("--set", "policy.lora={rank=4}")}
LONGER = ("--resume", "--set", "training.steps=3")
METRICS = ("loss", "kl", "grad_norm", "clip_fraction", "skipped", "reward", "entropy")


def checkpoint(run):
    (found,) = (run / "checkpoints").iterdir()
    return found


def state(run):
    """Weights and optimizer state of the last checkpoint."""
    (weights,) = (checkpoint(run) / "policy").glob("*.safetensors")
    return load_file(weights) | load_file(checkpoint(run) / "optimizer/optimizer.safetensors")


def steps(run):
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [e[name] for e in events if e["event"] == "step" for name in METRICS]


def check_alike(ours, theirs):
    """The same metrics, weights and optimizer state, up to the order in which floats are added."""
    assert steps(ours) == pytest.approx(steps(theirs), rel=1e-4, abs=1e-6)
    found, expected = state(ours), state(theirs)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-6), name


@pytest.fixture(scope="module", params=KINDS)
def played(request, tmp_path_factory, warm, scribe):
    """(folder, command); runs/one is by one process, runs/two by two."""
    folder = shutil.copytree(warm, tmp_path_factory.mktemp("fsdp") / "workplace")
    command = ("train", "base.toml", "fsdp.toml", *KINDS[request.param], "--run")
    alone = scribe(*command, "one", cwd=folder)
    assert alone.returncode == 0, alone.stderr
    together = scribe.together(*command, "two", cwd=folder, launcher=FSDP)
    assert [code for code, *_ in together] == [0, 0], together
    return folder, command


@pytest.fixture(scope="module")
def further(played, scribe, tmp_path_factory):
    """A copy of `played` in which the one process has gone on for a step."""
    folder = shutil.copytree(played[0], tmp_path_factory.mktemp("further") / "workplace")
    done = scribe(*played[1], "one", *LONGER, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_reach_the_loss_the_weights_and_the_moments_of_one(played):
    folder, _ = played
    check_alike(folder / "runs/two", folder / "runs/one")
    assert all(each.any() for name, each in state(folder / "runs/one").items() if "exp_avg." in name)


def test_each_process_holds_a_share_of_every_tensor(played):
    folder, _ = played
    first, second = (json.loads((folder / f"held-{index}.json").read_text()) for index in (0, 1))
    learnt = sum(name.startswith("master.") for name in state(folder / "runs/two"))
    assert len(first) == len(second) >= 4 * learnt > 0
    for (whole, own), (_, other) in zip(first, second, strict=True):
        assert own + other == whole
        assert 0 < own < whole


@pytest.mark.parametrize("played", ["weights"], indirect=True)
def test_a_checkpoint_loads_with_from_pretrained(played):
    saved = checkpoint(played[0] / "runs/two") / "policy"
    module, report = transformers.AutoModelForCausalLM.from_pretrained(saved, output_loading_info=True)
    assert not any(report.values()), report
    assert module.config.architectures == ["LlamaForCausalLM"]


@pytest.mark.parametrize(("begun", "processes"), [("two", 1), ("one", 2)])
def test_either_goes_on_from_a_checkpoint_of_the_other(played, further, scribe, tmp_path, begun, processes):
    folder, command = shutil.copytree(played[0], tmp_path / "workplace"), played[1]
    launcher = FSDP if processes == 2 else {}
    ended = scribe.together(*command, begun, *LONGER, cwd=folder, processes=processes, launcher=launcher)
    assert [code for code, *_ in ended] == [0] * processes, ended
    check_alike(folder / "runs" / begun, further / "runs/one")


def test_when_one_dies_in_a_pass_the_other_ends(workplace, scribe):
    kill = ("scribe_policy_hf.policy:HFPolicy.logprobs", 2)
    command = ("train", "base.toml", "fsdp.toml")
    (code, _, told), (killed, _, _) = scribe.together(*command, cwd=workplace, kill=kill, launcher=FSDP)
    assert (code, killed) == (1, -signal.SIGKILL)
    assert told.startswith("scribe: error: another process of this run has ended"), told
