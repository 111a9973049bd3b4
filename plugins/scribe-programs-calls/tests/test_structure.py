import math
from typing import Any

import pytest

from scribe_core.types import Message, ToolCall

REQUEST = "What is the weather in Oslo for the next 3 days?"
GOOD = [("get_weather", {"city": "Oslo", "days": 3})]
STRUCTURE = (
    "call_parses",
    "tool_exists",
    "required_arguments_given",
    "no_invented_arguments",
    "argument_types_match",
)


@pytest.mark.parametrize("program", STRUCTURE)
def test_a_good_call_passes(answer, program: str) -> None:
    assert answer(program, REQUEST, GOOD) == "pass"


@pytest.mark.parametrize("program", [*STRUCTURE, "enum_values_match", "no_repeated_call"])
def test_without_a_call_nothing_applies(answer, program: str) -> None:
    assert answer(program, REQUEST, "I do not know.") == "not_applicable"


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"',
        '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
        '```json\n{"name": "get_weather", "parameters": {"city": "Oslo"}}\n```',
        "[TOOL_CALLS] get_weather",
        "<function_call> get_weather",
        "[get_weather(city='Oslo')]",
        "The call is get_weather(city=Oslo).",
    ],
)
def test_text_that_tries_to_be_a_call(answer, text: str) -> None:
    assert answer("call_parses", REQUEST, text) == "fail"
    assert answer("call_parses", REQUEST, Message(role="assistant", content="", raw=text)) == "fail"


@pytest.mark.parametrize(
    "text", ["The weather is fine.", 'It says {"sky": "clear"}.', "Use the tool get_weather.", "f(x) = 3"]
)
def test_plain_text_is_no_call(answer, text: str) -> None:
    assert answer("call_parses", REQUEST, text) == "not_applicable"


def test_a_broken_block_beside_a_good_call(answer) -> None:
    made = (ToolCall(name="get_weather", arguments={"city": "Oslo"}),)
    raw = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    assert answer("call_parses", REQUEST, Message(role="assistant", raw=raw, tool_calls=made)) == "pass"
    left = Message(role="assistant", content="<tool_call>{broken", raw=raw, tool_calls=made)
    assert answer("call_parses", REQUEST, left) == "fail"


@pytest.mark.parametrize("arguments", ["", "city=Oslo", '{"city": ', "[1, 2]"])
def test_arguments_that_are_no_object(answer, arguments: str) -> None:
    assert answer("call_parses", REQUEST, [("get_weather", arguments)]) == "fail"


@pytest.mark.parametrize("name", ["getWeather", "get_weather ", "weather", "", "get.weather"])
def test_tools_that_are_not_offered(answer, name: str) -> None:
    assert answer("tool_exists", REQUEST, [*GOOD, (name, {"city": "Oslo"})]) == "fail"


def test_required_arguments(answer) -> None:
    assert answer("required_arguments_given", REQUEST, [("get_weather", {"days": 3})]) == "fail"
    assert answer("required_arguments_given", REQUEST, [*GOOD, ("triangle_area", {"base": 1})]) == "fail"
    assert answer("required_arguments_given", REQUEST, [("get_weather", {"city": None})]) == "pass"


def test_required_fields_of_objects_inside_lists(answer, tool) -> None:
    item = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["id"],
    }
    order = tool("order", ["items"], items={"type": "array", "items": item})
    assert (
        answer("required_arguments_given", "", [("order", {"items": [{"id": "a"}]})], tools=[order]) == "pass"
    )
    assert (
        answer("required_arguments_given", "", [("order", {"items": [{"id": "a"}, {"n": 1}]})], tools=[order])
        == "fail"
    )
    assert (
        answer("no_invented_arguments", "", [("order", {"items": [{"id": "a", "x": 1}]})], tools=[order])
        == "fail"
    )
    assert (
        answer("argument_types_match", "", [("order", {"items": [{"id": "a", "n": "1"}]})], tools=[order])
        == "fail"
    )


def test_invented_arguments(answer, tool) -> None:
    assert answer("no_invented_arguments", REQUEST, [("get_weather", {"city": "Oslo", "hours": 1})]) == "fail"
    none = tool("ping", [])
    assert answer("no_invented_arguments", "", [("ping", {})], tools=[none]) == "pass"
    assert answer("no_invented_arguments", "", [("ping", {"host": "a"})], tools=[none]) == "fail"


def test_objects_without_declared_fields_are_open(answer, tool) -> None:
    post = tool("post", [], headers={"type": "object"}, body={"type": "object", "properties": {"a": {}}})
    assert answer("no_invented_arguments", "", [("post", {"headers": {"X": "1"}})], tools=[post]) == "pass"
    assert answer("no_invented_arguments", "", [("post", {"body": {"b": 1}})], tools=[post]) == "fail"
    free = tool("post", [], body={"type": "object", "properties": {"a": {}}, "additionalProperties": True})
    assert answer("no_invented_arguments", "", [("post", {"body": {"b": 1}})], tools=[free]) == "pass"


@pytest.mark.parametrize(
    ("declared", "right", "wrong"),
    [
        ("integer", [0, -3, 5.0], ["5", 5.5, True, None, [5]]),
        ("number", [0, 2.5], ["2.5", False, math.nan, math.inf]),
        ("string", ["", "x"], [1, True, ["x"], {}]),
        ("boolean", [True, False], [0, 1, "true"]),
        ("array", [[], [1, "a"]], ["a", {}, 1]),
        ("object", [{}], [[], "x"]),
        ("dict", [{}], [[]]),
        ("float", [1, 1.5], ["1"]),
        ("tuple", [[1]], [1]),
        ("list", [[1]], ["1"]),
        (["integer", "null"], [1, None], ["1"]),
        ("any", [1, "x", None, []], []),
        (None, [1, "x", None, []], []),
        ("no such type", [1, "x"], []),
    ],
)
def test_types(answer, tool, declared: Any, right: list[Any], wrong: list[Any]) -> None:
    offered = [tool("t", ["x"], x={} if declared is None else {"type": declared})]
    for value in right:
        assert answer("argument_types_match", "", [("t", {"x": value})], tools=offered) == "pass", value
    for value in wrong:
        assert answer("argument_types_match", "", [("t", {"x": value})], tools=offered) == "fail", value


def test_null_for_what_may_be_left_out(answer, tool) -> None:
    offered = [tool("t", [], x={"type": "string"}, y={"type": "string", "default": None})]
    assert answer("argument_types_match", "", [("t", {"x": None, "y": None})], tools=offered) == "pass"


def test_any_of(answer, tool) -> None:
    offered = [tool("t", ["x"], x={"anyOf": [{"type": "integer"}, {"type": "string"}]})]
    assert answer("argument_types_match", "", [("t", {"x": "a"})], tools=offered) == "pass"
    assert answer("argument_types_match", "", [("t", {"x": [1]})], tools=offered) == "fail"


def test_items_of_lists(answer, tool) -> None:
    offered = [tool("t", ["x"], x={"type": "array", "items": {"type": "number"}})]
    assert answer("argument_types_match", "", [("t", {"x": [1, 2.5]})], tools=offered) == "pass"
    assert answer("argument_types_match", "", [("t", {"x": [1, "2"]})], tools=offered) == "fail"


@pytest.mark.parametrize(
    ("value", "expected"), [("celsius", "pass"), ("Celsius", "pass"), ("kelvin", "fail"), (7, "fail")]
)
def test_listed_values(answer, value: Any, expected: str) -> None:
    assert (
        answer("enum_values_match", REQUEST, [("get_weather", {"city": "Oslo", "unit": value})]) == expected
    )


def test_listed_values_in_lists_and_defaults(answer, tool) -> None:
    listed = tool(
        "t", [], x={"type": "array", "items": {"enum": ["a", "b"]}}, y={"enum": ["c"], "default": "any"}
    )
    assert answer("enum_values_match", "", [("t", {"x": ["a", "b"], "y": "any"})], tools=[listed]) == "pass"
    assert answer("enum_values_match", "", [("t", {"x": ["a", "c"]})], tools=[listed]) == "fail"
    outside = tool("t", [], x={"type": "array", "enum": ["a", "b"]})
    assert answer("enum_values_match", "", [("t", {"x": ["a", "b"]})], tools=[outside]) == "pass"
    assert answer("enum_values_match", "", [("t", {"x": ["z"]})], tools=[outside]) == "fail"


def test_the_reason_names_the_place_and_the_evidence_is_a_quote(programs, subgoal) -> None:
    finding = programs["argument_types_match"](
        subgoal(REQUEST, [("get_weather", {"city": "Oslo", "days": "three"})])
    )
    assert "days" in finding.reason
    assert finding.evidence == ("three",)
