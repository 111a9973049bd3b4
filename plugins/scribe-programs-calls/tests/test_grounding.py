from typing import Any

import pytest
from scribe_programs_calls.arguments import Node
from scribe_programs_calls.grounding import support
from scribe_programs_calls.source import read_source

from scribe_core.types import Message

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("request_text", "value"),
    [
        ("Area of a triangle with base 10 and height 5", 10),
        ("A rate of 5% for 2 years", 0.05),
        ("A family of four", 4),
        ("It weighs two and a half tons: 2,500 kg", 2500),
        ("The loss was $1000", -1000),
        ("From 2018 to 2021", 3),
        ("Plan it for the next week", 7),
        ("Directions from Sydney to Melbourne", "Sydney"),
        ("Hotels in NYC", "New York, NY"),
        ("Weather in Boston", "Boston, MA"),
        ("The capital gains tax in California", "CA"),
        ("Convert 200 US dollars to British Pounds", "USD"),
        ("Meet me on March 10, 2022", "2022-03-10"),
        ("Meet me on the 10th of March", "2022-03-10"),
        ("Play it at 7:30 pm", "19:30"),
        ("See you next Friday", "2024-05-03"),
        ("Find Italian restaurants", "italian"),
        ("two mile run", "miles"),
        ("the user's id is `AB-12`", "ab 12"),
        ("integrate x^2", "x**2"),
        ("Lawsuits of Pacific Gas and Electric", "PG&E"),
        ("Weather in Chcicago", "Chicago"),
        ("price of 5%", "5%"),
        ("anything", None),
        ("anything", True),
        ("anything", "dontcare"),
        ("join them by , and sort", ","),
        ("rows whose age is '>' 5", ">"),
        ("one ticket, no changes: 0", 0),
        ("one ticket, no changes: 0", 1),
    ],
)
def test_values_with_a_source(request_text: str, value: Any) -> None:
    assert support(Node(("x",), value, TEXT), read_source(request_text)) in ("stated", "given", "derived")


@pytest.mark.parametrize(
    ("request_text", "value"),
    [
        ("Area of a triangle with base 10 and height 5", 7),
        ("A rate of 5% for 2 years", 0.07),
        ("b = -3", 3),
        ("Directions from Sydney to Melbourne", "Perth"),
        ("Hotels in NYC", "Los Angeles, CA"),
        ("Meet me on March 10, 2022", "2022-04-11"),
        ("Find Italian restaurants", "sushi bar"),
        ("anything", float("nan")),
        ("anything", float("inf")),
        ("anything", 10**400),
        ("", "Paris"),
        ("anything", ""),
        ("anything", "  "),
        ("anything", "\u200b"),
        ("anything", "?!"),
        ("well-known, or not?", "-"),
        ("anything", 0),
        ("anything", 1.0),
        ("anything", "默认值"),
        ("anything", "значение"),
    ],
)
def test_values_from_nowhere(request_text: str, value: Any) -> None:
    assert support(Node(("x",), value, TEXT), read_source(request_text)) == "nowhere"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "enum": ["fastest", "scenic"]}, "scenic"),
        ({"type": "string", "default": "en"}, "en"),
        ({"type": "string", "description": "Unit, such as 'kilometers' or 'miles'."}, "kilometers"),
        ({"type": "number", "description": "Gravity; default is 9.81 m/s^2."}, 9.81),
        ({"type": "integer", "default": 25}, 25),
    ],
)
def test_values_that_the_schema_gives(schema: dict[str, Any], value: Any) -> None:
    assert support(Node(("x",), value, schema), read_source("Go from Oslo to Rome")) == "given"


def test_other_scripts_cannot_be_compared() -> None:
    assert support(Node(("x",), "Beijing", TEXT), read_source("北京的天气怎么样")) == "unknown"
    assert support(Node(("x",), "你好吗", TEXT), read_source("Say 你好 to them")) == "unknown"


REQUEST = "What is the weather in Oslo for the next 3 days?"


def test_calls_with_and_without_a_source(answer) -> None:
    assert answer("values_grounded", REQUEST, [("get_weather", {"city": "Oslo", "days": 3})]) == "pass"
    assert answer("values_grounded", REQUEST, [("get_weather", {"city": "Rome", "days": 3})]) == "fail"
    assert answer("values_grounded", REQUEST, [("get_weather", {"city": "Oslo", "days": 8})]) == "fail"
    assert answer("values_grounded", REQUEST, "No call.") == "not_applicable"


def test_values_of_results_and_of_the_system_are_known(answer) -> None:
    looked_up = ([("get_local_time", {"city": "Oslo"})], {"result": '{"twin": "Windhoek"}'})
    assert answer("values_grounded", REQUEST, *looked_up, [("get_weather", {"city": "Windhoek"})]) == "pass"
    assert answer("values_grounded", REQUEST, [("get_weather", {"city": "Windhoek"})], looked_up[1]) == "fail"
    system = Message(role="system", content="The user lives in Bergen.")
    assert answer("values_grounded", REQUEST, system, [("get_weather", {"city": "Bergen"})]) == "pass"


def test_what_the_policy_said_itself_is_no_source(answer) -> None:
    own = "I could look up Nairobi."
    assert answer("values_grounded", REQUEST, own, [("get_weather", {"city": "Nairobi"})]) == "fail"


def test_the_finding_says_where(programs, subgoal) -> None:
    finding = programs["values_grounded"](subgoal(REQUEST, [("get_weather", {"city": "Rome", "days": 9})]))
    assert finding.reason == "no source for city, days"
    assert finding.evidence == ("Rome", "9")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"base": 10, "height": 5}, "pass"),
        ({"base": 5, "height": 5}, "fail"),
        ({"base": 10, "height": 10}, "fail"),
        ({"base": 4, "height": 5}, "pass"),
    ],
)
def test_one_number_for_two_arguments(answer, arguments: dict[str, Any], expected: str) -> None:
    request = "Area of a triangle with a base of 10 and a height of 5?"
    assert answer("values_in_their_places", request, [("triangle_area", arguments)]) == expected


def test_a_number_that_the_request_names_for_another_argument(answer, tool) -> None:
    loan = tool(
        "loan",
        ["amount", "years"],
        amount={"type": "number", "description": "How much is lent."},
        years={"type": "integer", "description": "How many years it runs."},
    )
    request = "A loan of 20 thousand, it runs 12 years and costs 3 percent"
    assert (
        answer("values_in_their_places", request, [("loan", {"amount": 20, "years": 12})], tools=[loan])
        == "pass"
    )
    assert (
        answer("values_in_their_places", request, [("loan", {"amount": 20, "years": 3})], tools=[loan])
        == "fail"
    )


def test_text_that_is_a_part_of_another_value(answer, tool) -> None:
    player = tool("rating", ["player"], player=TEXT, variant=TEXT)
    request = "What is the chess classical rating of Magnus Carlsen?"
    good, bad = (
        {"player": "Magnus Carlsen", "variant": "classical"},
        {"player": "Magnus Carlsen", "variant": "Magnus"},
    )
    assert answer("values_in_their_places", request, [("rating", good)], tools=[player]) == "pass"
    assert answer("values_in_their_places", request, [("rating", bad)], tools=[player]) == "fail"


def test_values_that_the_request_names_twice_may_be_given_twice(answer, tool) -> None:
    trip = tool("trip", ["start", "end"], start=TEXT, end=TEXT)
    assert (
        answer(
            "values_in_their_places",
            "From Rome back to Rome",
            [("trip", {"start": "Rome", "end": "Rome"})],
            tools=[trip],
        )
        == "pass"
    )


def test_lists_may_repeat_numbers(answer, tool) -> None:
    mean = tool("mean", ["data"], data={"type": "array", "items": {"type": "number"}})
    assert (
        answer("values_in_their_places", "Mean of 3 and 3 again", [("mean", {"data": [3, 3]})], tools=[mean])
        == "pass"
    )


def test_one_value_for_different_arguments_of_two_calls(answer) -> None:
    request = "Area of triangles with base 10 and height 5, then with base 10 and height 7?"
    right = [("triangle_area", {"base": 10, "height": 5}), ("triangle_area", {"base": 10, "height": 7})]
    wrong = [("triangle_area", {"base": 10, "height": 5}), ("triangle_area", {"base": 5, "height": 7})]
    assert answer("values_in_their_places", request, right) == "pass"
    assert answer("values_in_their_places", request, wrong) == "fail"


def test_several_doubts(answer) -> None:
    assert answer("few_doubtful_values", REQUEST, [("get_weather", {"city": "Oslo", "days": 3})]) == "pass"
    assert (
        answer("few_doubtful_values", REQUEST, [("get_weather", {"city": "Oslo", "days": 3, "unit": "x"})])
        == "pass"
    )
    assert answer("few_doubtful_values", REQUEST, [("get_weather", {"city": "Rome", "days": 8})]) == "fail"
    assert answer("few_doubtful_values", REQUEST, "No call.") == "not_applicable"
