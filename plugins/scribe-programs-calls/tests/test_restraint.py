"""Copies of the request, calls that differ in nothing, and calls that nothing asks for."""

import pytest

REQUEST = "What is the weather in Oslo for the next 3 days, please?"


@pytest.mark.parametrize(
    ("request_text", "city", "expected"),
    [
        (REQUEST, "Oslo", "pass"),
        (REQUEST, REQUEST, "fail"),
        (REQUEST, REQUEST.upper().replace(" ", "_"), "fail"),
        (REQUEST, f"{REQUEST} And more of it, to hide behind.", "fail"),
        (REQUEST, "is the weather in Oslo for the next 3 days", "fail"),
        ("Translate 'Where is the nearest station, please?'", "Where is the nearest station, please?", "pass"),
        ("Echo: the sun sets late in June up here", "the sun sets late in June up here", "pass"),
        ("search for cheap flights to Rome", "cheap flights to Rome", "pass"),
        ("who is Park Ji Sung", "Park Ji Sung", "pass"),
        ("read https://a.org/the_long_road_to_rome/today_by_bus", "https://a.org/the_long_road_to_rome/today_by_bus", "pass"),
        ("Oslo weather", "Oslo weather", "not_applicable"),
    ],
)  # fmt: skip
def test_the_request_as_a_value(answer, request_text: str, city: str, expected: str) -> None:
    assert answer("request_not_copied", request_text, [("get_weather", {"city": city})]) == expected


def test_the_request_in_pieces(answer, tool) -> None:
    text = {"type": "string"}
    offered = [tool("book", ["a", "b"], a=text, b=text)]
    pieces = {"a": "What is the weather in", "b": "Oslo for the next 3 days, please?"}
    assert answer("request_not_copied", REQUEST, [("book", pieces)], tools=offered) == "fail"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"city": "Oslo"}, {"city": "Oslo "}, "fail"),
        ({"city": "Oslo"}, {"city": "'Oslo'."}, "fail"),
        ({"city": "Oslo"}, {"city": "Os\u200blo"}, "fail"),
        ({"city": "New York"}, {"city": "New\u00a0 York"}, "fail"),
        ({"city": "Oslo", "days": 3}, {"city": "Oslo", "days": 3.0}, "fail"),
        ({"city": "Oslo"}, {"city": "Oslo", "unit": "celsius"}, "fail"),
        ({"city": "Oslo"}, {"city": "oslo"}, "pass"),
        ({"city": "Oslo"}, {"city": "Oslo", "unit": "fahrenheit"}, "pass"),
        ({"city": "-5"}, {"city": "5"}, "pass"),
        ({"city": "?"}, {"city": "!"}, "pass"),
        ({"city": "Oslo", "days": 1}, {"city": "Oslo", "days": True}, "pass"),
    ],
)
def test_calls_that_differ_in_nothing(answer, one, other, expected: str) -> None:
    assert answer("no_repeated_call", REQUEST, [("get_weather", one), ("get_weather", other)]) == expected


def weather(*cities: str) -> list[tuple[str, dict[str, str]]]:
    return [("get_weather", {"city": city}) for city in cities]


@pytest.mark.parametrize(
    ("request_text", "cities", "expected"),
    [
        ("Weather in Oslo tomorrow", ("Oslo",), "not_applicable"),
        ("Weather in Oslo tomorrow", ("Oslo", "Bergen"), "fail"),
        ("Weather in Oslo tomorrow", ("Oslo", "tomorrow"), "fail"),
        ("Weather in Oslo, tomorrow if you can", ("Oslo", "can", "tomorrow"), "fail"),
        ("Weather in Oslo and Bergen", ("Oslo", "Bergen"), "pass"),
        ("Weather in Oslo, Rome, and Bergen", ("Bergen", "Rome", "Oslo"), "pass"),
        ("Weather in LA & NYC", ("Los Angeles", "New York"), "pass"),
        ("Weather in each capital of Scandinavia", ("Oslo", "Stockholm", "Copenhagen"), "not_applicable"),
        ("奥斯陆的天气", ("Oslo", "Bergen"), "not_applicable"),
    ],
)
def test_calls_that_the_request_does_not_tell_apart(answer, request_text, cities, expected: str) -> None:
    assert answer("no_call_too_many", request_text, weather(*cities)) == expected


def test_calls_after_a_result_may_follow_from_it(answer) -> None:
    looked_up = (weather("Oslo"), {"result": "nothing found"})
    assert (
        answer("no_call_too_many", "Weather in Oslo", *looked_up, weather("Oslo, Norway")) == "not_applicable"
    )
