"""Two processes that share weights, gradients and optimizer state out (FSDP, DeepSpeed) train like one that has them all."""

import json
import shutil
import signal

import pytest
import torch
import transformers
from safetensors.torch import load_file

LAUNCHERS = {
    "fsdp": {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_ACTIVATION_CHECKPOINTING": "true",
    },
    "zero-1": {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"},
    "zero-2": {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"},
    # A file, for the smallest weights too to be shared out; batch size and clipping are not DeepSpeed's to say.
    "zero-3": {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "zero-3.json"},
}
"""What `accelerate launch` sets."""

KINDS = {"weights": (), "adapters": ("--set", "policy.lora={rank=4}")}
CASES = [
    *(("fsdp", "weights"), ("fsdp", "adapters")),
    *(("zero-1", "adapters"), ("zero-2", "weights"), ("zero-3", "weights"), ("zero-3", "adapters")),
]
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


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def played(request, tmp_path_factory, warm, scribe):
    """(folder, command, launcher); runs/one is by one process, runs/two by two."""
    launcher, kind = launched(request.param[0]), request.param[1]
    folder = shutil.copytree(warm, tmp_path_factory.mktemp("sharded") / "workplace")
    command = ("train", "base.toml", "sharded.toml", *KINDS[kind], "--run")
    alone = scribe(*command, "one", cwd=folder)
    assert alone.returncode == 0, alone.stderr
    together = scribe.together(*command, "two", cwd=folder, launcher=launcher)
    assert [code for code, *_ in together] == [0, 0], together
    return folder, command, launcher


def launched(name):
    if name.startswith("zero"):
        pytest.importorskip("deepspeed")
        if not shutil.which("g++"):
            pytest.skip("on CPUs, DeepSpeed compiles how its processes speak")
    return LAUNCHERS[name]


@pytest.fixture(scope="module")
def further(played, scribe, tmp_path_factory):
    """A copy of `played` in which the one process has gone on for a step."""
    folder = shutil.copytree(played[0], tmp_path_factory.mktemp("further") / "workplace")
    done = scribe(*played[1], "one", *LONGER, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_reach_the_loss_the_weights_and_the_moments_of_one(played):
    folder, *_ = played
    check_alike(folder / "runs/two", folder / "runs/one")
    assert all(each.any() for name, each in state(folder / "runs/one").items() if "exp_avg." in name)


def test_each_process_holds_a_share_of_every_tensor(played):
    folder, _, launcher = played
    first, second = (json.loads((folder / f"held-{index}.json").read_text()) for index in (0, 1))
    learnt = sum(name.startswith("master.") for name in state(folder / "runs/two"))
    fewest = {"fsdp": 4 * learnt, "zero-1": 1, "zero-2": 1, "zero-3": 1 + learnt}
    assert len(first) == len(second) >= next(fewest[name] for name in fewest if LAUNCHERS[name] == launcher)
    for (whole, own), (_, other) in zip(first, second, strict=True):
        assert own + other == whole
        assert 0 < own < whole


@pytest.mark.parametrize("played", [case for case in CASES if "weights" in case], indirect=True, ids="-".join)
def test_a_checkpoint_loads_with_from_pretrained(played):
    saved = checkpoint(played[0] / "runs/two") / "policy"
    module, report = transformers.AutoModelForCausalLM.from_pretrained(saved, output_loading_info=True)
    assert not any(report.values()), report
    assert module.config.architectures == ["LlamaForCausalLM"]


@pytest.mark.parametrize(("begun", "processes"), [("two", 1), ("one", 2)])
def test_either_goes_on_from_a_checkpoint_of_the_other(played, further, scribe, tmp_path, begun, processes):
    folder, command = shutil.copytree(played[0], tmp_path / "workplace"), played[1]
    launcher = played[2] if processes == 2 else {}
    ended = scribe.together(*command, begun, *LONGER, cwd=folder, processes=processes, launcher=launcher)
    assert [code for code, *_ in ended] == [0] * processes, ended
    check_alike(folder / "runs" / begun, further / "runs/one")


def test_an_exploded_gradient_changes_nothing_in_the_engine(workplace, scribe):
    before = load_file(checkpoint(workplace / "runs/sft") / "policy/model.safetensors")
    command = ("train", "base.toml", "sharded.toml", "--set", "optimizer.skip_grad_norm=0.01", "--run", "two")
    together = scribe.together(*command, cwd=workplace, launcher=launched("zero-3"))
    assert [code for code, *_ in together] == [0, 0], together
    found = state(workplace / "runs/two")
    assert found["steps"] == 0
    assert all(
        found[name].equal(before[name]) and found[f"master.{name}"].equal(before[name]) for name in before
    )


@pytest.mark.parametrize("name", ["fsdp", "zero-3"])
def test_when_one_dies_in_a_pass_the_other_ends(workplace, scribe, name):
    kill = ("scribe_policy_hf.policy:HFPolicy.logprobs", 2)
    command, launcher = ("train", "base.toml", "sharded.toml"), launched(name)
    (code, _, told), (killed, _, _) = scribe.together(*command, cwd=workplace, kill=kill, launcher=launcher)
    assert (code, killed) == (1, -signal.SIGKILL)
    # Before that, DeepSpeed warns of names in torch.
    told = told if name == "fsdp" else told[told.find("scribe: error:") :]
    assert told.startswith("scribe: error: another process of this run has ended"), told
