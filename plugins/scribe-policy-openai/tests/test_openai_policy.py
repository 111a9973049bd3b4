"""The policy `openai` against a server on loopback: what it sends, what it makes of replies, and how it fails."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from scribe_policy_openai import OpenAIPolicy
from scribe_policy_openai.messages import read_turn, told_messages
from scribe_policy_openai.policy import UnansweredError

from scribe_core import aio
from scribe_core.errors import ConfigError, RunError
from scribe_core.judging.calls import AttemptError, Limits
from scribe_core.protocols import Continuing
from scribe_core.testing import PolicyContract
from scribe_core.testing.samples import WEATHER
from scribe_core.testing.servers import ChatServer, Faults
from scribe_core.trajectories import dump_trajectory, parse_trajectory
from scribe_core.types import Completion, Conversation, Message, Sampling, ToolCall, ToolSpec, Trajectory

KEY = "sk-secret-0123456789abcdef"
QUICK = Limits(attempts=3, backoff=0.01, timeout=3600.0)
HELLO = Conversation(messages=(Message(role="user", content="Hello"),))
GREEDY = Sampling(temperature=0.0, max_tokens=9)
CALL = {"id": "a1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(reply=echo) as running:
        yield running


def echo(request: dict[str, Any]) -> str:
    return json.dumps([request["messages"][-1]["content"], request.get("seed")])


def made(server: ChatServer, **options: Any) -> Any:
    return OpenAIPolicy(model="m", base_url=server.url, **({"limits": QUICK} | options)).build()


def one(policy: Any, conversation: Conversation = HELLO, sampling: Sampling = GREEDY) -> Completion:
    (completion,) = policy.generate([conversation], sampling, [7])
    return completion  # type: ignore[no-any-return]


def answered(server: ChatServer, **message: Any) -> Completion:
    server.reply = lambda _: {"content": None, **message}
    return one(made(server))


class TestContract(PolicyContract):
    @pytest.fixture
    def builder(self, server: ChatServer) -> OpenAIPolicy:
        return OpenAIPolicy(model="m", base_url=server.url, extra={"top_p": 0.9})


def test_what_is_sent(server: ChatServer) -> None:
    asked = Conversation(messages=HELLO.messages, tools=(WEATHER,))
    one(made(server, extra={"top_p": 0.5}), asked, Sampling(temperature=0.5, max_tokens=9))
    sent = server.last
    assert {key: sent[key] for key in ("model", "max_tokens", "temperature", "top_p", "seed")} == {
        "model": "m",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.5,
        "seed": 7,
    }
    assert sent["tools"][0]["function"]["name"] == WEATHER.name
    one(made(server))
    assert not {"seed", "tools"} & server.last.keys()


def test_conversations_go_on_by_themselves(server: ChatServer) -> None:
    policy = made(server)
    assert isinstance(policy, Continuing)
    completion = aio.run(policy.continue_one(HELLO, Sampling(), 2**40 + 3))
    assert completion.message.content == '["Hello", 3]'
    server.together = 20
    policy.generate([HELLO] * 20, GREEDY, range(20))
    assert server.most_in_flight == 20


def test_calls_come_back_with_what_was_thought(server: ChatServer) -> None:
    completion = answered(server, tool_calls=[CALL], reasoning_content="hm", id="x", audio=None)
    assert completion.finish_reason == "stop"
    assert completion.message == Message(
        role="assistant",
        tool_calls=(ToolCall(id="a1", name="weather", arguments={"city": "Paris"}, extra={}),),
        extra={"reasoning_content": "hm"},
    )


def test_results_go_to_their_calls(server: ChatServer) -> None:
    message = answered(server, tool_calls=[CALL], reasoning="hm").message
    result = Message(role="tool", content="clear", tool_call_id="a1", name="weather")
    one(made(server), Conversation(messages=(*HELLO.messages, message, result)))
    call = {**CALL, "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    assert server.last["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None, "reasoning": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "clear", "name": "weather", "tool_call_id": "a1"},
    ]


def test_calls_without_ids_get_some() -> None:
    calls = tuple(ToolCall(name=name) for name in "ab")
    results = tuple(Message(role="tool", content=text) for text in "12")
    told = told_messages((Message(role="assistant", content="Now", tool_calls=calls), *results))
    assert [call["id"] for call in told[0]["tool_calls"]] == ["call_0", "call_1"]
    assert [message["tool_call_id"] for message in told[1:]] == ["call_0", "call_1"]


def test_names_that_some_servers_refuse_are_told_otherwise(server: ChatServer) -> None:
    names = ["math.add", "math add", "math_add", "x" * 70, "ü"]
    asked = Conversation(messages=HELLO.messages, tools=tuple(ToolSpec(name=name) for name in names))
    seen = []

    def call_all(request: dict[str, Any]) -> dict[str, Any]:
        told = [tool["function"]["name"] for tool in request["tools"]]
        seen.append(
            (told, [c["function"]["name"] for m in request["messages"] for c in m.get("tool_calls", ())])
        )
        return {
            "tool_calls": [{"function": {"name": name, "arguments": "{}"}} for name in (*told, "no.tool")]
        }

    server.reply = call_all
    policy = made(server)
    message = one(policy, asked).message
    assert [call.name for call in message.tool_calls] == [*names, "no.tool"]
    results = [
        Message(role="tool", content="1", tool_call_id=call.id, name=call.name) for call in message.tool_calls
    ]
    again = evolve(asked, messages=(*asked.messages, message, *results))
    assert [call.name for call in one(policy, again).message.tool_calls] == [*names, "no.tool"]
    (told, _), (told_again, called) = seen
    assert told == told_again
    assert called == [*told, "no_tool"]
    assert all(re.fullmatch(r"[\w-]{1,64}", name, re.ASCII) for name in (*called, *told))
    assert server.last["messages"][2]["name"] == told[0]


@pytest.mark.parametrize("ids", [("", ""), (None, 5), ("x", "x"), ("call_1", "")])
def test_ids_from_outside_are_told_apart(server: ChatServer, ids: Any) -> None:
    calls = answered(server, tool_calls=[{**CALL, "id": id_} for id_ in ids]).message.tool_calls
    assert len({call.id for call in calls}) == 2
    assert all(call.id for call in calls)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1', '{"a": 1'),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        ("[1]", "[1]"),
        ("\ud800", "?"),
        (5, "5"),
        ("[" * 200, "[" * 200),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (None, {}),
    ],
)
def test_arguments_that_are_no_object_stay_text(server: ChatServer, arguments: Any, kept: Any) -> None:
    message = answered(server, tool_calls=[{"function": {"name": "f", "arguments": arguments}}]).message
    assert message.tool_calls == (ToolCall(id="call_0", name="f", arguments=kept),)
    trajectory = Trajectory(id="t", messages=(message,))
    logged = json.loads(json.dumps(dump_trajectory(trajectory), ensure_ascii=False).encode())
    assert parse_trajectory(logged) == trajectory


def test_malformed_arguments_are_wrapped_where_the_server_wants_objects(server: ChatServer) -> None:
    asked = Conversation(
        messages=(
            *HELLO.messages,
            Message(role="assistant", tool_calls=(ToolCall(id="a", name="f", arguments='{"x'),)),
            Message(role="tool", content="no", tool_call_id="a"),
        )
    )

    def strict(request: dict[str, Any]) -> dict[str, Any]:
        try:
            json.loads(request["messages"][1]["tool_calls"][0]["function"]["arguments"])
        except ValueError:
            return {"error": (400, "bad arguments")}
        return {"content": "sorry"}

    server.reply = strict
    policy = made(server)
    assert one(policy, asked).message.content == "sorry"
    assert policy.usage.calls == server.requests == 2
    one(policy, asked)
    assert server.requests == 3
    server.reply = echo
    one(made(server), asked)
    assert server.last["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"x'


@pytest.mark.parametrize(
    ("finish", "ends"),
    [("length", "length"), ("content_filter", "stop"), ("stop", "stop"), (None, "stop"), (3, "stop")],
)
def test_how_a_turn_ends(server: ChatServer, finish: Any, ends: str) -> None:
    assert answered(server, content="x", finish_reason=finish).finish_reason == ends


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": "a"}, "a"),
        ({"content": None}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"refusal": "I can't"}, "I can't"),
        ({"content": "\ud83d\ude00 \ud83d"}, "\U0001f600 ?"),
        ({"content": "x", "raw": "y", "role": "system", "token_ids": [1]}, "x"),
    ],
)
def test_what_was_said(server: ChatServer, message: dict[str, Any], content: str) -> None:
    said = answered(server, **message).message
    assert (said.role, said.content, said.raw, said.sampled) == ("assistant", content, None, None)


@pytest.mark.parametrize("text", ["This model's maximum context length is 8 tokens", "exceed_context_size"])
def test_a_conversation_that_does_not_fit_is_cut(server: ChatServer, text: str) -> None:
    server.reply = lambda _: {"error": (400, text)}
    policy = made(server, limits=Limits(max_tokens=100_000))
    assert one(policy) == Completion(message=Message(role="assistant"), finish_reason="length")
    assert server.requests == 1
    assert policy.caller.budget.tokens == 0


@pytest.mark.parametrize("kind", ["reset", "rate", "error", "garbage", "half", "long", "type"])
def test_what_stays_broken_is_told(server: ChatServer, kind: str) -> None:
    server.faults = Faults(share=1.0, kinds=(kind,))
    policy = made(server)
    with pytest.raises(UnansweredError, match="after 3 attempts") as caught:
        one(policy)
    assert not isinstance(caught.value, RunError)
    assert policy.usage.calls == server.requests == 3


def test_what_passes_is_tried_again(server: ChatServer) -> None:
    server.faults = Faults(share=0.3, kinds=("reset", "rate", "error", "garbage", "half"))
    policy = made(server, limits=evolve(QUICK, attempts=12))
    asked = [Conversation(messages=(Message(role="user", content=str(n)),)) for n in range(60)]
    said = [json.loads(each.message.content)[0] for each in policy.generate(asked, GREEDY, range(60))]
    assert said == [str(n) for n in range(60)]
    assert server.served.total() > 60
    assert policy.usage.calls == server.requests


def test_one_that_fails_ends_no_other(server: ChatServer) -> None:
    def picky(request: dict[str, Any]) -> dict[str, Any]:
        bad = request["messages"][-1]["content"] == "bad"
        return {"error": (403, "not this")} if bad else {"content": "fine"}

    server.reply = picky
    policy = made(server)
    bad = Conversation(messages=(Message(role="user", content="bad"),))

    async def both() -> list[Any]:
        turns = (policy.continue_one(each, GREEDY, 0) for each in (bad, HELLO))
        return await asyncio.gather(*turns, return_exceptions=True)

    failed, fine = aio.run(both())
    assert isinstance(failed, UnansweredError)
    assert "answered 403: not this" in str(failed)
    assert fine.message.content == "fine"


def test_a_spent_budget_ends_the_run(server: ChatServer) -> None:
    prices = {"usd_per_million_prompt_tokens": 10.0, "usd_per_million_completion_tokens": 100.0}
    policy = made(server, limits=Limits(max_usd=0.02), **prices)
    asked = Conversation(messages=(Message(role="user", content="word " * 50),))
    with pytest.raises(RunError, match=r"max_usd = 0\.02"):
        policy.generate([asked] * 50, Sampling(max_tokens=30), range(50))
    assert 0 < policy.usage.usd <= 0.02
    assert policy.usage.calls == server.requests < 50
    assert (policy.usage.prompt_tokens, policy.usage.completion_tokens) == (
        100 * server.requests,
        20 * server.requests,
    )


@pytest.mark.parametrize(
    "message",
    [{"content": 3}, {"content": ["a"]}, {"tool_calls": [1]}, {"tool_calls": 5}, {"tool_calls": [{}]}],
)
def test_what_is_no_message_is_a_failed_attempt(message: dict[str, Any]) -> None:
    with pytest.raises(AttemptError, match="no chat completion"):
        read_turn(json.dumps({"choices": [{"message": message}]}).encode())


def test_the_key_is_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    call = {"function": {"name": "f", "arguments": json.dumps({KEY: [KEY]})}}
    with ChatServer(key=KEY, reply=lambda _: {"content": KEY, "tool_calls": [call]}) as server:
        policy = made(server, api_key_env="MY_KEY")
        spoken = one(policy)
        monkeypatch.setenv("MY_KEY", KEY + "x")
        with pytest.raises(UnansweredError, match="401") as refused:
            one(made(server, api_key_env="MY_KEY"))
    assert spoken.message.content == "***"
    assert spoken.message.tool_calls[0].arguments == {"***": ["***"]}
    out, err = capfd.readouterr()
    for text in (repr(spoken), repr(refused.value), repr(policy), out, err, caplog.text):
        assert KEY[:12].lower() not in text.lower()


def test_what_is_wrong_is_told_before_anything_is_sent(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigError, match="SOME_KEY is not set"):
        OpenAIPolicy(model="m", api_key_env="SOME_KEY").build()
    with pytest.raises(ConfigError, match="usd_per_million_prompt_tokens"):
        made(server, limits=Limits(max_usd=1.0))
    with pytest.raises(ValueError, match="'extra' cannot hold stream"):
        OpenAIPolicy(model="m", extra={"stream": True})
    assert server.requests == 0
