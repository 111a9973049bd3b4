"""What a remembered reply depends on, what may be configured, and a real model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scribe_judge_hf.builder import HFJudge
from scribe_judge_hf.endpoint import HFEndpoint
from scribe_judge_hf.weights import revision
from scribe_policy_hf.testing import tiny_model

from scribe_core import aio
from scribe_core.errors import ConfigError
from scribe_core.protocols import JudgeRequest
from scribe_core.testing import sample_prototype, sample_subgoal


def test_one_changed_byte_is_another_revision(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    first = revision(str(folder))
    assert revision(str(folder)) == first
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert revision(str(folder)) != first


def test_the_identity_says_all_that_a_reply_depends_on(endpoint_of: Callable[..., HFEndpoint]) -> None:
    one, other = endpoint_of(), endpoint_of(dtype="bfloat16")
    assert one.identity == endpoint_of(batch_tokens=256).identity
    assert {key for key in one.identity if one.identity[key] != other.identity[key]} == {"dtype"}
    assert set(one.identity) == {"judge", "model", "revision", "dtype", "layout"}


def test_errors_name_the_judges_keys(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"judge\.model: '/nowhere' is neither"):
        HFJudge(model="/nowhere").build()
    with pytest.raises(ConfigError, match=r"judge\.device: .* cannot be put on 'cuda:99'"):
        HFJudge(model=str(folder), device="cuda:99").build()


def test_a_sliding_window_is_refused(tmp_path: Path) -> None:
    import transformers

    folder = tiny_model(tmp_path)
    config = transformers.AutoConfig.from_pretrained(folder).to_dict()
    config = {key: value for key, value in config.items() if key not in ("model_type", "architectures")}
    sliding = transformers.MistralConfig(**config | {"sliding_window": 64})
    transformers.MistralForCausalLM(sliding).save_pretrained(folder)
    with pytest.raises(ConfigError, match="sliding window"):
        HFJudge(model=str(folder)).build()


def test_nothing_heavy_is_imported_before_build() -> None:
    code = "import scribe_judge_hf.plugin, scribe_judge_hf.builder, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_smollm2_judges_a_step() -> None:
    """Most of its probability is on the answers, for what it is asked of an ordinary step."""
    judge = HFJudge(prompt_tokens=2000, mode="direct").build()
    request = JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype())

    async def twice() -> list[object]:
        return [(await judge.judge([request, request]))[i] for i in (0, 1)]

    one, other = aio.run(twice())
    assert one == other
    assert one.status == "scored"  # type: ignore[attr-defined]
    assert 0 < one.outside < 0.5  # type: ignore[attr-defined]
