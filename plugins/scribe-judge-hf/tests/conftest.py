"""A tiny random model, an endpoint with it, and prompts that share a prototype."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from scribe_judge_hf.builder import HFJudge
from scribe_judge_hf.endpoint import HFEndpoint
from scribe_policy_hf.testing import tiny_model

from scribe_core.judging import Prompt, Question

_QUESTIONS = (
    Question(id="right-tool", text="Is it the right tool?", answers=("pass", "fail", "not_applicable")),
    Question(id="slip", text="Is this mistake in it: a slip?", answers=("none", "none-at-all", "non")),
)


def _prompt(
    material: str, questions: Sequence[Question] = _QUESTIONS, fence: str = "f00d" * 4, system: str = ""
) -> Prompt:
    return Prompt(
        system=system or f"You grade. The material stands between two marks {fence}.",
        user=f"# Questions\nAnswer them.\n[begin {fence}]\n| {material}\n[end {fence}]\nGrade it.",
        questions=tuple(questions),
        schema={},
        template="test-1",
        fence=fence,
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def endpoint_of(folder: Path) -> Callable[..., HFEndpoint]:
    def build(**options: Any) -> HFEndpoint:
        given = {"model": str(folder), "dtype": "float32", "device": "cpu"} | options
        return HFEndpoint(HFJudge(**given))

    return build


@pytest.fixture(scope="session")
def endpoint(endpoint_of: Callable[..., HFEndpoint]) -> HFEndpoint:
    return endpoint_of()


@pytest.fixture(scope="session")
def make_prompt() -> Callable[..., Prompt]:
    """A prompt around some material, by default with two questions, `right-tool` and `slip`."""
    return _prompt


@pytest.fixture(scope="session")
def prompts() -> list[Prompt]:
    """Of different lengths, and two of them equal."""
    return [_prompt("Rome is sunny. " * times + str(times)) for times in (1, 30, 2, 9, 2)]
