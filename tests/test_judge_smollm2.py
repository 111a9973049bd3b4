"""The API judges with a real model: SmolLM2 behind a chat-completions server on loopback."""

import pytest
from scribe_judge_litellm import LiteLLMJudge
from scribe_judge_openai import OpenAIJudge
from scribe_policy_hf.builder import HF

from scribe_core import aio
from scribe_core.judging.calls import Limits
from scribe_core.protocols import JudgeRequest
from scribe_core.testing import sample_prototype, sample_subgoal, sample_trajectory
from scribe_core.testing.contracts.judging import check_verdict
from scribe_core.testing.servers import ChatServer
from scribe_core.types import Conversation, Message, Sampling, Span

REPLY_TOKENS = 16


@pytest.fixture(scope="module")
def server():
    policy = HF(model="smollm2-135m").build()

    def reply(request):
        messages = tuple(Message(role=each["role"], content=each["content"]) for each in request["messages"])
        sampling = Sampling(temperature=0.0, max_tokens=request["max_tokens"])
        (completion,) = policy.generate([Conversation(messages=messages)], sampling, [0])
        return completion.message.raw or ""

    with ChatServer(reply=reply) as server:
        yield server


@pytest.mark.parametrize(("judge", "mode"), [("openai", "checklist"), ("litellm", "direct")])
def test_every_verdict_is_one_that_the_protocol_knows(server, judge, mode, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    options = {"mode": mode, "reply_tokens": REPLY_TOKENS, "limits": Limits(timeout=3600.0)}
    if judge == "openai":
        builder = OpenAIJudge(model="smollm2", base_url=server.url, **options)
    else:
        builder = LiteLLMJudge(model="openai/smollm2", base_url=server.url, **options)
    before = server.requests
    subgoal = sample_subgoal(sample_trajectory(), span=Span((6, 0), (7, 0)))
    request = JudgeRequest(subgoal=subgoal, prototype=sample_prototype())
    (verdict,) = aio.run(builder.build().judge([request]))
    check_verdict(request, verdict)
    assert verdict.status in ("scored", "abstained"), verdict.reason
    assert verdict.usage.calls == server.requests - before
    assert verdict.usage.calls in (1, 2)
