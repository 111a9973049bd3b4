import io
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core import strict_json, trajectories
from scribe_core.errors import DataError
from scribe_core.testing import sample_trajectory
from scribe_core.trajectories import (
    ROLES,
    LineError,
    dump_trajectory,
    iterate_trajectories,
    parse_trajectory,
    read_trajectories,
)
from scribe_core.types import Message, Sampled, ToolCall, ToolSpec, Trajectory


def line(**changes: Any) -> dict[str, Any]:
    return {"id": "t", "messages": [{"role": "user", "content": "Hi"}], **changes}


def message(**fields: Any) -> dict[str, Any]:
    return line(messages=[{"role": "assistant", **fields}])


def parsed(value: Any) -> Message:
    return parse_trajectory(value).messages[0]


def read(data: bytes) -> list[tuple[int, Trajectory | LineError]]:
    return list(iterate_trajectories(io.BytesIO(data)))


def test_only_id_and_messages_are_needed() -> None:
    expected = Trajectory(id="t", messages=(Message(role="user", content="Hi"),))
    assert parse_trajectory(line()) == expected
    defaults = ("schema_version", "task_id", "group_id", "sample", "tools", "outcome", "status", "metadata")
    assert parse_trajectory(line(**dict.fromkeys([*defaults, "policy_version"]))) == expected


def test_all_fields() -> None:
    trajectory = parse_trajectory(
        line(
            schema_version=1, task_id="task", group_id="g", sample=2, outcome=1, status="truncated",
            policy_version=7, metadata={"seed": 1}, tools=[{"name": "f"}],
        )
    )  # fmt: skip
    assert trajectory == Trajectory(
        id="t",
        messages=(Message(role="user", content="Hi"),),
        task_id="task",
        group_id="g",
        sample=2,
        tools=(ToolSpec(name="f"),),
        outcome=1.0,
        status="truncated",
        policy_version=7,
        metadata={"seed": 1},
    )


def test_content_may_be_null_or_text_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parsed(message(content=parts)).content == "ab"
    assert parsed(message(content=None)).content == parsed(message()).content == ""


@pytest.mark.parametrize(
    "call",
    [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "1", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "1", "name": "f", "arguments": {"x": 1}},
        {"id": "1", "type": "function", "name": "f", "arguments": ' {"x": 1} '},
    ],
)
def test_calls_in_their_usual_forms(call: dict[str, Any]) -> None:
    assert parsed(message(tool_calls=[call])).tool_calls == (ToolCall(name="f", arguments={"x": 1}, id="1"),)


@pytest.mark.parametrize(
    "text", ['{"x": ', "[1]", "", "null", '{"x": NaN}', '{"x": 1, "x": 2}', "[" * 100_000]
)
def test_arguments_that_are_no_object_stay_text(text: str) -> None:
    assert parsed(message(tool_calls=[{"name": "f", "arguments": text}])).tool_calls[0].arguments == text


def test_absent_arguments_are_none_given() -> None:
    assert parsed(message(tool_calls=[{"name": "f"}])).tool_calls[0].arguments == {}


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"name": "f", "description": "d", "parameters": {"type": "object"}},
    ],
)
def test_tools_in_their_usual_forms(tool: dict[str, Any]) -> None:
    expected = ToolSpec(name="f", description="d", parameters={"type": "object"})
    assert parse_trajectory(line(tools=[tool])).tools == (expected,)


def test_unknown_keys_survive_at_every_level() -> None:
    value = {
        "id": "t",
        "top": [1],
        "messages": [
            {
                "role": "assistant",
                "refusal": None,
                "tool_calls": [
                    {
                        "index": 0,
                        "type": "function",
                        "function": {"name": "f", "arguments": {}, "strict": True},
                    }
                ],
            }
        ],
        "tools": [{"type": "function", "cache": {}, "function": {"name": "f", "strict": True}}],
    }
    dumped = dump_trajectory(parse_trajectory(value))
    assert dumped["top"] == [1]
    assert dumped["messages"][0]["refusal"] is None
    call, tool = dumped["messages"][0]["tool_calls"][0], dumped["tools"][0]
    assert (call["index"], call["function"]["strict"]) == (0, True)
    assert (tool["cache"], tool["function"]["strict"]) == ({}, True)


SAMPLED = {"raw": "héy", "context_ids": [9], "token_ids": [1, 2], "logprobs": [-0.5, 0], "offsets": [0, 1]}


def test_sampled_tokens() -> None:
    found = parsed(message(**SAMPLED))
    assert found.raw == "héy"
    assert found.sampled == Sampled(context_ids=(9,), token_ids=(1, 2), logprobs=(-0.5, 0.0), offsets=(0, 1))
    assert parsed(message(raw="hey")).sampled is None
    cooler = parsed(message(**SAMPLED, temperature=0.5))
    assert (cooler.sampled, cooler.extra) == (evolve(found.sampled, temperature=0.5), {})
    assert parsed(message(temperature="hot")).extra == {"temperature": "hot"}


BAD = [
    ([], "the trajectory: expected a JSON object, got []"),
    ({"messages": []}, "id: expected text that is not empty, got None"),
    (line(id=""), "id: expected text"),
    (line(id=5), "id: expected text that is not empty, got 5"),
    ({"id": "t"}, "messages: expected a list, got None"),
    (line(messages={}), "messages: expected a list, got {}"),
    (line(messages=["hi"]), "messages[0]: expected a chat message object, got 'hi'"),
    (line(messages=[{"content": "x"}]), "messages[0].role: expected text"),
    (
        line(messages=[{"role": "asistant"}]),
        "messages[0].role: 'asistant' is no role; did you mean 'assistant'?",
    ),
    (message(content=5), "messages[0].content: expected text, null or a list of text parts, got 5"),
    (message(content=[{"type": "image_url"}]), "messages[0].content[0]: expected a part"),
    (message(name=1), "messages[0].name: expected text, got 1"),
    (message(tool_calls={}), "messages[0].tool_calls: expected a list"),
    (message(tool_calls=[None]), "messages[0].tool_calls[0]: expected an object, got None"),
    (message(tool_calls=[{}]), "messages[0].tool_calls[0].name: expected the name of a tool, got None"),
    (message(tool_calls=[{"function": 1}]), "messages[0].tool_calls[0].function: expected an object, got 1"),
    (
        message(tool_calls=[{"function": {"name": "f", "arguments": [1]}}]),
        "messages[0].tool_calls[0].function.arguments: expected an object or a string, got [1]",
    ),
    (line(tools=[{"name": ""}]), "tools[0].name: expected text that is not empty, got ''"),
    (line(tools=[{"name": "f", "parameters": []}]), "tools[0].parameters: expected an object, got []"),
    (line(outcome=True), "outcome: expected a number in [0, 1] or null, got True"),
    (line(outcome=1.5), "outcome: expected a number in [0, 1] or null, got 1.5"),
    (line(outcome=math.nan), "outcome: expected a number in [0, 1] or null, got nan"),
    (line(outcome="1"), "outcome: expected a number in [0, 1] or null, got '1'"),
    (line(status="ok"), "status: 'ok' is no status"),
    (line(status=[]), "status: [] is no status"),
    (line(sample=-1), "sample: expected an integer from 0, got -1"),
    (line(sample=True), "sample: expected an integer from 0, got True"),
    (line(sample=10**30), "sample: expected an integer from 0"),
    (line(policy_version=1.0), "policy_version: expected an integer from 0, got 1.0"),
    (line(metadata=[]), "metadata: expected an object, got []"),
    (line(schema_version=2), "schema_version: 2 is newer than 1"),
    (line(schema_version=0), "schema_version: expected 1, got 0"),
    (line(schema_version=True), "schema_version: expected 1, got True"),
    (message(token_ids=[1]), "messages[0]: it has token_ids but not raw, context_ids, logprobs, offsets"),
    (message(**{**SAMPLED, "raw": None}), "but not raw; give all or none"),
    (message(**{**SAMPLED, "logprobs": [0]}), "need one length, got 2, 1 and 2"),
    (
        message(**{**SAMPLED, "token_ids": [1, True]}),
        "messages[0].token_ids[1]: expected an integer from 0, got True",
    ),
    (
        message(**{**SAMPLED, "token_ids": [1, -2]}),
        "messages[0].token_ids[1]: expected an integer from 0, got -2",
    ),
    (
        message(**{**SAMPLED, "logprobs": [0, -math.inf]}),
        "messages[0].logprobs[1]: expected a finite number, got -inf",
    ),
    (
        message(**{**SAMPLED, "logprobs": [0, -(10**400)]}),
        "messages[0].logprobs[1]: expected a finite number",
    ),
    (
        message(**{**SAMPLED, "logprobs": [0, "0"]}),
        "messages[0].logprobs[1]: expected a finite number, got '0'",
    ),
    (message(**SAMPLED, temperature="hot"), "messages[0].temperature: expected a finite number above 0"),
    (message(**SAMPLED, temperature=0), "messages[0].temperature: expected a finite number above 0, got 0"),
    (message(**{**SAMPLED, "offsets": [1, 0]}), "messages[0].offsets: expected ascending characters"),
    (
        message(**{**SAMPLED, "offsets": [0, 4]}),
        "messages[0].offsets: expected ascending characters of raw, up to 3",
    ),
]


@pytest.mark.parametrize(("value", "expected"), BAD, ids=[expected for _, expected in BAD])
def test_a_bad_value_is_named(value: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_trajectory(value)
    assert expected in str(caught.value)


def as_line(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_lines_are_read_one_by_one_and_numbered() -> None:
    data = (
        b"\xef\xbb\xbf"
        + as_line(line(id="a"))
        + b"\r\n\n  \n"
        + as_line(line(id=3))
        + b"\n"
        + as_line(line(id="c"))
    )
    first, second, third = read(data)
    assert (first[0], getattr(first[1], "id", None)) == (1, "a")
    assert second[0] == 4
    assert isinstance(second[1], LineError)
    assert second[1].id is None
    assert (third[0], getattr(third[1], "id", None)) == (5, "c")


def test_a_bad_line_keeps_its_id() -> None:
    ((_, found),) = read(as_line(line(outcome=2)))
    assert isinstance(found, LineError)
    assert found.id == "t"
    assert str(found).startswith("outcome: ")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{", "not JSON"),
        (b"[1", "not JSON"),
        (b"\xff{}", "byte 0 of the line is not UTF-8"),
        (as_line(line()).decode().encode("utf-16"), "is not UTF-8"),
        (b'{"id": "t", "id": "u", "messages": []}', "the key 'id' appears twice"),
        (b'{"id": "t", "messages": [], "x": NaN}', "NaN is not a JSON number"),
        (b'{"id": "t", "messages": [], "x": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"id": "t", "messages": [], "x": 1e999}', "1e999 is not a JSON number"),
        (b'{"id": "t", "messages": [], "x": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"id": "\\ud800", "messages": []}', "half a surrogate pair"),
        (b'{"id": "t", "messages": ' + b"[" * 200_000, "nested too deeply"),
        (
            b'{"id": "t", "messages": [], "x": ' + b"[" * 150 + b"]" * 150 + b"}",
            "nested more than 100 levels",
        ),
        (b'"text"', "expected a JSON object, got 'text'"),
        (b"null", "expected a JSON object, got None"),
    ],
)
def test_hostile_lines_are_one_clear_error(data: bytes, expected: str) -> None:
    good = as_line(line())
    (number, found), (after, following) = read(data.replace(b"\n", b"") + b"\n" + good)
    assert isinstance(found, LineError)
    assert expected in str(found)
    assert (number, after) == (1, 2)
    assert isinstance(following, Trajectory)


def test_characters_beyond_the_basic_plane_are_read() -> None:
    ((_, found),) = read(b'{"id": "\\ud83d\\ude00", "messages": []}')
    assert isinstance(found, Trajectory)
    assert found.id == "\U0001f600"


def test_an_overlong_line_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    good = as_line(line())
    monkeypatch.setattr(strict_json, "MAX_LINE_BYTES", len(good) + 1)
    monkeypatch.setattr(trajectories, "MAX_LINE_BYTES", len(good) + 1)
    found = read(good + b"\n" + b"x" * 10_000 + b"\n" + good + b"\n" + b"y" * 10_000)
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert [isinstance(each, Trajectory) for _, each in found] == [True, False, True, False]
    assert "longer than" in str(found[1][1])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for _, found in read(data + b"\n" + as_line(line())):
        assert isinstance(found, (Trajectory, LineError))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "x"]), inner)
    ),
    max_leaves=5,
)
fields = st.sampled_from(
    ["id", "messages", "tools", "outcome", "status", "sample", "metadata", "schema_version"]
)
message_fields = st.sampled_from([*SAMPLED, "role", "content", "tool_calls"])
rough_messages = st.lists(st.dictionaries(message_fields, json_values, max_size=4), max_size=2)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(fields, json_values, max_size=4), rough_messages)
def test_no_values_break_the_parser(value: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    for changes in (value, {"id": "t", "messages": messages}, {**value, "id": "t", "messages": messages}):
        with suppress(DataError):
            assert isinstance(parse_trajectory(changes), Trajectory)


def test_a_file_is_read_or_its_bad_line_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(as_line(line(id="a")) + b"\n" + as_line(line(id="b")))
    assert [trajectory.id for trajectory in read_trajectories(path)] == ["a", "b"]
    path.write_bytes(as_line(line(id="a")) + b"\n{}\n")
    with pytest.raises(DataError, match=r"t.jsonl, line 2: messages: expected a list"):
        read_trajectories(path)
    with pytest.raises(DataError, match="no-such-file: cannot be read: No such file"):
        read_trajectories(tmp_path / "no-such-file")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_trajectories(tmp_path)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text("abc_", min_size=1, max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(names, plain, max_size=2)
extras = st.dictionaries(names.map("x_".__add__), plain, max_size=2)
malformed = texts.map("{".__add__)
nested_extras = st.builds(
    lambda outer, inner: {**outer, "function": inner} if inner else outer, extras, extras
)
calls = st.builds(ToolCall, name=texts, arguments=objects | malformed, id=texts, extra=nested_extras)
specs = st.builds(ToolSpec, name=names, description=texts, parameters=objects, extra=nested_extras)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    raw = draw(st.none() | texts)
    sampled = None
    if raw is not None and draw(st.booleans()):
        offsets = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=4)))
        tokens = [draw(st.integers(0, 2**31)) for _ in offsets]
        logprobs = [draw(st.floats(-1e6, 0)) for _ in offsets]
        context = draw(st.lists(st.integers(0, 2**31), max_size=3))
        sampled = Sampled(
            context_ids=tuple(context),
            token_ids=tuple(tokens),
            logprobs=tuple(logprobs),
            offsets=tuple(offsets),
            temperature=draw(st.floats(0.1, 2)),
        )
    return Message(
        role=draw(st.sampled_from(ROLES)),
        content=draw(texts),
        tool_calls=tuple(draw(st.lists(calls, max_size=2))),
        tool_call_id=draw(st.none() | texts),
        name=draw(st.none() | texts),
        raw=raw,
        sampled=sampled,
        extra=draw(extras),
    )


all_trajectories = st.builds(
    Trajectory,
    id=names,
    messages=st.lists(messages(), max_size=3).map(tuple),
    task_id=texts,
    group_id=texts,
    sample=st.integers(0, 100),
    tools=st.lists(specs, max_size=2).map(tuple),
    outcome=st.none() | st.floats(0, 1),
    status=st.sampled_from(["done", "truncated", "error"]),
    policy_version=st.none() | st.integers(0, 100),
    metadata=objects,
    extra=extras,
)


@settings(deadline=None)
@given(all_trajectories)
def test_a_round_trip_loses_nothing(trajectory: Trajectory) -> None:
    text = json.dumps(dump_trajectory(trajectory), allow_nan=False)
    ((number, found),) = read(text.encode() + b"\n")
    assert (number, found) == (1, trajectory)


def test_a_round_trip_of_the_sample() -> None:
    assert parse_trajectory(dump_trajectory(sample_trajectory())) == sample_trajectory()
