"""Rollouts that others saved, recognised and read."""

import io
import json
import zipfile
from typing import Any

import pytest

from scribe_core.readers import read
from scribe_core.trajectories import LineError
from scribe_core.types import Trajectory

ASKED = {"role": "user", "content": "a"}
SAID = {"role": "assistant", "content": "b"}
SAMPLE = {"id": 1, "epoch": 2, "input": "a", "target": "x", "messages": [ASKED, SAID]}
SAMPLE |= {"scores": {"match": {"value": "C"}}}
RECORDS: dict[str, tuple[Any, float | None]] = {
    "trl": ({"step": 1, "prompt": [ASKED], "completion": [SAID], "acc": 1.0, "advantage": 0.3}, 1.0),
    "verifiers": ({"example_id": 3, "prompt": [ASKED], "completion": [SAID], "reward": 0.5}, 0.5),
    "verl": ({"input": "a", "output": "b", "gts": "x", "score": 1.0, "step": 3}, 1.0),
    "openai": ({"request": {"messages": [ASKED]}, "response": {"choices": [{"message": SAID}]}}, None),
    "langsmith": (
        {"id": "r", "run_type": "llm", "inputs": {"messages": [ASKED]}, "outputs": {"choices": [{"message": SAID}]}},
        None,
    ),
    "inspect_ai": (SAMPLE, 1.0),
    "scribe": ({"id": "s", "messages": [ASKED, SAID], "outcome": 0.25}, 0.25),
}  # fmt: skip


def reads(data: bytes, *options: str | None) -> list[Any]:
    return [found for _, found in read(io.BufferedReader(io.BytesIO(data)), *options)]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_recognised_and_read(name: str) -> None:
    record, outcome = RECORDS[name]
    line = json.dumps(record).encode()
    for found in (*reads(line), *reads(line, name)):
        assert isinstance(found, Trajectory)
        assert [(m.role, m.content) for m in found.messages] == [("user", "a"), ("assistant", "b")]
        assert found.outcome == outcome


@pytest.mark.parametrize("reward", [2, -1, "x"])
def test_a_reward_that_is_no_outcome_is_an_error_of_its_line(reward: Any) -> None:
    bad = {"prompt": "a", "completion": "b", "reward": reward}
    good = {"prompt": "a", "completion": "b", "reward": 1}
    first, second = reads(f"{json.dumps(good)}\n{json.dumps(bad)}".encode())
    assert first.outcome == 1
    assert (isinstance(second, LineError) and "--outcome" in str(second)) or second.outcome is None
    assert reads(json.dumps(bad).encode(), None, "none")[0].outcome is None


def test_a_log_in_a_zip_is_read_in_bounds() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        archive.writestr("samples/1_epoch_2.json", json.dumps(SAMPLE))
        archive.writestr("samples/2_epoch_1.json", b" " * (64 * 1024 * 1024 + 1))
    first, second = reads(packed.getvalue())
    assert first.id == "1_epoch_2"
    assert "more than" in str(second)
