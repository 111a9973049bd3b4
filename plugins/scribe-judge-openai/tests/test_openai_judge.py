"""The judge `openai` against a real server on loopback: what it sends, what it makes of replies, and what it keeps secret."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from scribe_judge_openai import OpenAIJudge
from scribe_judge_openai.completions import pause_asked_for, read_completion

from scribe_core import aio
from scribe_core.errors import ConfigError
from scribe_core.judging.calls import AttemptError, Limits
from scribe_core.protocols import Judge, JudgeRequest
from scribe_core.testing import JudgeContract, sample_crowded_subgoal, sample_prototype, sample_subgoal
from scribe_core.testing.servers import ChatServer, Faults, roomy
from scribe_core.types import Verdict

KEY = "sk-secret-0123456789abcdef"
QUICK = Limits(attempts=3, backoff=0.01, timeout=3600.0)


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
    options = {"limits": QUICK} | options
    return OpenAIJudge(model="m", base_url=server.url, **options).build()


class TestContract(JudgeContract):
    @pytest.fixture
    def builder(self, server: ChatServer) -> OpenAIJudge:
        return OpenAIJudge(model="m", base_url=server.url)


@pytest.mark.parametrize("mode", ["checklist", "holistic", "direct"])
def test_a_verdict_in_each_mode(server: ChatServer, mode: Any) -> None:
    (verdict,) = judged(made(server, mode=mode))
    assert verdict.status == "scored", verdict.reason
    assert verdict.usage.calls == 1
    assert verdict.usage.prompt_tokens == 100
    assert server.last["response_format"]["json_schema"]["strict"] is True
    assert server.last["temperature"] == 0.0
    assert "seed" not in server.last


def test_draws_differ_by_their_seed(server: ChatServer) -> None:
    seeds = []

    def reply(request: dict[str, Any]) -> str:
        seeds.append(request["seed"])
        return "{}"

    server.reply = reply
    judged(made(server, temperature=0.7, seed=10), 0, 1, 2)
    assert set(seeds) == {10, 11, 12}


def test_a_server_without_schemas_is_asked_without(server: ChatServer) -> None:
    server.structured = False
    server.reply = lambda request: "right-tool: pass\narguments-grounded: pass\ndefault-filled: absent"
    judge = made(server)
    (first,) = judged(judge)
    assert first.score == 3
    assert first.usage.calls == server.requests == 2
    (second,) = judged(judge)
    assert second.usage.calls == 1
    assert "response_format" not in server.last


def test_a_refusal_abstains(server: ChatServer) -> None:
    server.faults = Faults(share=1.0, kinds=("refusal",))
    (verdict,) = judged(made(server))
    assert verdict.status == "abstained"
    assert "would not answer" in verdict.reason


@pytest.mark.parametrize("kind", ["reset", "rate", "error", "garbage", "half", "long", "type"])
def test_what_stays_broken_fails_with_its_cause(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    (verdict,) = judged(made(server))
    assert verdict.status == "failed"
    assert verdict.score is None
    assert "after 3 attempts" in verdict.reason
    assert verdict.usage.calls == server.requests == 3


@pytest.mark.parametrize("kind", ["timeout", "stall"])
def test_what_never_ends_is_given_up(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    (verdict,) = judged(made(server, limits=Limits(attempts=2, backoff=0.01, timeout=0.2)))
    assert verdict.status == "failed"
    assert "no reply within 0.2 s" in verdict.reason


def test_a_server_that_is_not_there() -> None:
    with ChatServer() as server:
        judge = made(server)
    (verdict,) = judged(judge)
    assert verdict.status == "failed"
    assert "cannot be reached" in verdict.reason
    assert verdict.usage.calls == 0


def test_the_key_is_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    with ChatServer(key=KEY, reply=lambda _: f"your key is {KEY}") as server:
        judge = made(server, api_key_env="MY_KEY")
        (spoken,) = judged(judge)
        monkeypatch.setenv("MY_KEY", KEY + "x")
        wrong = made(server, api_key_env="MY_KEY")
        (refused,) = judged(wrong)
    assert server.served == {"reply": 2, "key": 1}
    assert spoken.status == "abstained"
    assert refused.status == "failed"
    assert "401" in refused.reason
    out, err = capfd.readouterr()
    endpoint = judge.endpoint  # type: ignore[attr-defined]
    texts = [repr(spoken), repr(refused), json.dumps(endpoint.identity), repr(judge), out, err, caplog.text]
    for text in texts:
        assert KEY[:12].lower() not in text.lower()


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigError, match="SOME_KEY is not set"):
        OpenAIJudge(model="m", api_key_env="SOME_KEY").build()


def test_a_budget_in_money_needs_prices(server: ChatServer) -> None:
    with pytest.raises(ConfigError, match="usd_per_million_prompt_tokens"):
        made(server, limits=Limits(max_usd=1.0))


def test_a_budget_is_never_exceeded_and_stops_cleanly(server: ChatServer) -> None:
    prices = {"usd_per_million_prompt_tokens": 10.0, "usd_per_million_completion_tokens": 100.0}
    verdicts = judged(made(server, limits=Limits(max_usd=0.2, concurrency=8), **prices), *range(200))
    spent = sum(verdict.usage.usd or 0 for verdict in verdicts)
    assert 0 < spent <= 0.2
    failed = [verdict for verdict in verdicts if verdict.status == "failed"]
    assert failed
    assert len(failed) + server.requests == 200
    assert {verdict.usage.calls for verdict in failed} == {0}
    assert all("max_usd" in verdict.reason for verdict in failed)


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "http://", "https://user:pass@host/v1", "https://h/v1?key=1", "h"]
)
def test_a_base_url_is_a_plain_url(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAIJudge(model="m", base_url=url)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b"null", b"[" * 100_000, b"1" * 10_000, b'{"choices": []}', b'{"choices": [7]}'),
        *(b'{"choices": [{"message": 1}]}', b'{"choices": [{"message": {"content": 3}}]}'),
    ],
)
def test_what_is_no_completion_is_a_failed_attempt(raw: bytes) -> None:
    with pytest.raises(AttemptError, match="no chat completion"):
        read_completion(raw)


@pytest.mark.parametrize("tokens", [-5, "7", None, 1e300, True, [1]])
def test_token_counts_from_outside(tokens: Any) -> None:
    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": tokens}}
    reply = read_completion(json.dumps(body).encode())
    assert reply.usage.prompt_tokens in (0, 1)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "7"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({}, None),
    ],
)
def test_the_pause_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert pause_asked_for(headers) == seconds


def test_options_survive_evolution(server: ChatServer) -> None:
    builder = OpenAIJudge(model="m", base_url=server.url)
    assert attrs.evolve(builder, mode="direct").build().mode == "direct"  # type: ignore[attr-defined]


def test_what_it_takes_is_bounded_before_it_is_built() -> None:
    prices = {"usd_per_million_prompt_tokens": 1.0, "usd_per_million_completion_tokens": 4.0}
    bounds = OpenAIJudge(model="m", prompt_tokens=2000, reply_tokens=500, **prices).estimate(
        sample_prototype()
    )
    assert (bounds.least, bounds.most, bounds.prompt_tokens, bounds.completion_tokens) == (1, 4, 8000, 2000)
    assert bounds.usd == pytest.approx((8000 * 1.0 + 2000 * 4.0) / 1e6)
    assert OpenAIJudge(model="m").estimate(sample_prototype()).usd is None


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
