"""What accelerate may not be configured for is refused before any process waits; training is tested end to end."""

import sys

import pytest
from scribe_policy_hf import exchange, zero

from scribe_core.errors import ConfigError, RunError

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (FSDP | {"FSDP_VERSION": "1"}, "FSDP version 1; choose version 2: --fsdp_version 2"),
        (FSDP | {"FSDP_OFFLOAD_PARAMS": "true"}, "host's memory; choose --fsdp_offload_params false"),
        (FSDP | {"WORLD_SIZE": "1"}, "FSDP in one process; choose --num_processes 2 or more, or no FSDP"),
    ],
)
def test_what_does_not_work_is_refused_with_what_does(monkeypatch, environment, message):
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"policy: hf trains with FSDP version 2, .*{message}$"):
        exchange.accelerator()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"zero_optimization": {"stage": 0}}, "ZeRO stage 0; choose --zero_stage 1, 2 or 3"),
        (
            {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
            "offload_optimizer to 'cpu'; choose --offload_optimizer_device none",
        ),
        (
            {"zero_optimization": {"stage": 1}, "optimizer": {"type": "AdamW"}},
            r"DeepSpeed's own optimizer; leave it out: the table \[optimizer\] says it",
        ),
    ],
)
def test_of_deepspeed_what_does_not_work_is_refused_with_what_does(config, message):
    with pytest.raises(ConfigError, match=f"policy: hf trains with .* configured for {message}$"):
        zero.check(config)


def test_deepspeed_wants_several_processes(monkeypatch):
    pytest.importorskip("deepspeed")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(ConfigError, match=r"DeepSpeed in one process; choose --num_processes 2 or more"):
        exchange.accelerator()


def test_where_deepspeed_is_not_installed_that_is_told(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(ConfigError, match=r"not installed; run `pip install deepspeed`, or choose FSDP"):
        exchange.accelerator()


@pytest.fixture
def watch():
    class Lonely:
        process_index, num_processes = 0, 2

    return exchange.Exchange(Lonely()).watch


def test_that_another_process_has_ended_is_told_once(watch):
    with (
        pytest.raises(RunError, match=r"^another process of this run has ended [^(]*\([^(]*\)$"),
        watch(),
        watch(),
    ):
        raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer")


def test_an_error_of_this_process_stays_what_it_is(watch):
    with pytest.raises(RunError, match=r"^runs/gloomy: not finite$"), watch():
        raise RunError("runs/gloomy: not finite")
