"""The judge keeps the contract."""

from pathlib import Path
from typing import Any

import pytest
from scribe_judge_hf.builder import HFJudge
from scribe_policy_hf.testing import tiny_model

from scribe_core import aio
from scribe_core.protocols import JudgeRequest
from scribe_core.testing import JudgeContract, sample_prototype, sample_subgoal
from scribe_core.testing.contracts.judging import check_verdict


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


class TestHFJudge(JudgeContract):
    @pytest.fixture
    def builder(self, folder: Path) -> HFJudge:
        return HFJudge(model=str(folder), dtype="float32", prompt_tokens=1000)


@pytest.mark.parametrize("mode", ["holistic", "direct"])
def test_levels(folder: Path, mode: Any) -> None:
    judge = HFJudge(model=str(folder), mode=mode).build()
    request = JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype())
    (verdict,) = aio.run(judge.judge([request]))
    check_verdict(request, verdict)
    assert verdict.outside > 0.5, "random weights answer nothing"
    assert verdict.status == "abstained"


def test_a_prompt_is_capped_by_the_context(folder: Path) -> None:
    built: Any = HFJudge(model=str(folder), prompt_tokens=8000).build()
    assert built.prompt_tokens == built.endpoint.longest_prompt < 4096


def test_what_it_takes_is_known_before_any_weight_loads() -> None:
    bounds = HFJudge(model="no/such", prompt_tokens=2000).estimate(sample_prototype())
    assert (bounds.least, bounds.most, bounds.prompt_tokens, bounds.usd) == (1, 2, 4000, 0)
