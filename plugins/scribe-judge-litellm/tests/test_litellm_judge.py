"""The judge `litellm` against a real server on loopback, through litellm's provider for servers of one's own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from scribe_judge_litellm import LiteLLMJudge

from scribe_core import aio
from scribe_core.errors import ConfigError
from scribe_core.judging.calls import Limits
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.testing import JudgeContract, sample_crowded_subgoal, sample_prototype, sample_subgoal
from scribe_core.testing.servers import ChatServer, Faults, roomy
from scribe_core.types import Verdict

KEY = "sk-secret-0123456789abcdef"
QUICK = Limits(attempts=3, backoff=0.01, timeout=3600.0)

# litellm leaves connections and loops of its own behind, and its replies break the rules of their own models.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


def judged(judge: Judge, *samples: int) -> list[Verdict]:
    requests = [
        JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype(), sample=sample)
        for sample in samples or (0,)
    ]

    async def run() -> list[Verdict]:
        return await judge.judge(requests)

    return aio.run(run())


def made(server: ChatServer, **options: Any) -> Judge:
    options = {"limits": QUICK, "model": "openai/served"} | options
    return LiteLLMJudge(base_url=server.url, **options).build()


class TestContract(JudgeContract):
    @pytest.fixture
    def builder(self, server: ChatServer) -> LiteLLMJudge:
        return LiteLLMJudge(model="openai/served", base_url=server.url)


@pytest.mark.parametrize("mode", ["checklist", "holistic", "direct"])
def test_a_verdict_in_each_mode(server: ChatServer, mode: Any) -> None:
    (verdict,) = judged(made(server, mode=mode))
    assert verdict.status == "scored", verdict.reason
    assert verdict.usage.calls == server.requests == 1
    assert verdict.usage.prompt_tokens == 100
    assert server.last["response_format"]["json_schema"]["strict"] is True


def test_draws_differ_by_their_seed(server: ChatServer) -> None:
    seeds = []

    def reply(request: dict[str, Any]) -> str:
        seeds.append(request["seed"])
        return "{}"

    server.reply = reply
    judged(made(server, temperature=0.7), 0, 1, 2)
    assert set(seeds) == {0, 1, 2}


def test_a_server_without_schemas_is_asked_without(server: ChatServer) -> None:
    server.structured = False
    server.reply = lambda request: "right-tool: pass\narguments-grounded: pass\ndefault-filled: absent"
    judge = made(server)
    (first,) = judged(judge)
    assert first.score == 3, first.reason
    assert first.usage.calls == server.requests == 2
    (second,) = judged(judge)
    assert second.usage.calls == 1


def test_a_refusal_abstains(server: ChatServer) -> None:
    server.faults = Faults(share=1.0, kinds=("refusal",))
    (verdict,) = judged(made(server))
    assert verdict.status == "abstained"


@pytest.mark.parametrize("kind", ["reset", "rate", "error"])
def test_what_stays_broken_fails_with_its_cause(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    (verdict,) = judged(made(server))
    assert verdict.status == "failed"
    assert verdict.usage.calls == server.requests == 3, verdict.reason


@pytest.mark.parametrize("kind", ["timeout", "stall"])
def test_what_never_ends_is_given_up(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    (verdict,) = judged(made(server, limits=Limits(attempts=2, backoff=0.01, timeout=0.3)))
    assert verdict.status == "failed"


@pytest.mark.parametrize("kind", ["garbage", "half", "type"])
def test_a_reply_that_is_none_has_no_number(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    (verdict,) = judged(made(server))
    assert verdict.status == "failed"
    assert verdict.score is None


def test_cost_is_that_of_the_price_list(server: ChatServer) -> None:
    (verdict,) = judged(made(server, model="openai/gpt-4o-mini"))
    assert verdict.usage.usd == pytest.approx(100 * 0.15e-6 + 20 * 0.6e-6)


def test_a_budget_stops_cleanly(server: ChatServer) -> None:
    verdicts = judged(made(server, limits=evolve(QUICK, max_tokens=10_000, concurrency=4)), *range(100))
    spent = sum(verdict.usage.prompt_tokens + verdict.usage.completion_tokens for verdict in verdicts)
    failed = [verdict for verdict in verdicts if verdict.status == "failed"]
    assert 0 < spent <= 10_000
    assert len(failed) + server.requests == 100
    assert all("max_tokens" in verdict.reason for verdict in failed)


def test_the_key_is_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with ChatServer(key=KEY) as server:
        judge = made(server, api_key_env="MY_KEY")
        (spoken,) = judged(judge)
        monkeypatch.setenv("MY_KEY", KEY + "x")
        (refused,) = judged(made(server, api_key_env="MY_KEY"))
    assert spoken.status == "scored"
    assert refused.status == "failed"
    endpoint = judge.endpoint  # type: ignore[attr-defined]
    for text in (
        repr(spoken),
        repr(refused),
        json.dumps(endpoint.identity),
        repr(judge),
        *capfd.readouterr(),
    ):
        assert KEY[:12].lower() not in text.lower()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "no-such-model"}, "knows no provider"),
        ({"model": "openai/x", "api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY is not set"),
        ({"model": "anthropic/claude-x"}, "ANTHROPIC_API_KEY"),
        (
            {"model": "openai/x", "base_url": "http://localhost:1/v1", "limits": Limits(max_usd=1.0)},
            "no price",
        ),
    ],
)
def test_what_is_wrong_shows_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], text: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=text):
        LiteLLMJudge(**options).build()


def test_a_prompt_with_more_tokens_than_the_model_has_room_for_is_asked_again_with_less(
    server: ChatServer,
) -> None:
    """A policy could write text of many tokens; what it wrote before the span gives way, and nothing is a failure."""
    server.reply = roomy(12_000)
    request = JudgeRequest(subgoal=sample_crowded_subgoal(), prototype=sample_prototype())

    async def run() -> list[Verdict]:
        return await made(server).judge([request])

    (verdict,) = aio.run(run())
    assert verdict.status == "scored", verdict.reason
    assert verdict.usage.calls == server.requests > 1
