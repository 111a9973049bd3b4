"""What accelerate may not be configured for is refused before any process waits; training under FSDP is tested end to end."""

import pytest
from scribe_policy_hf import exchange

from scribe_core.errors import ConfigError, RunError

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed; choose FSDP instead: --use_fsdp --fsdp_version 2"),
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
