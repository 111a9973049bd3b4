import pytest

DECLINE = "None of the tools can do this."


@pytest.mark.parametrize(
    "request_text",
    [
        "What is the weather in Oslo?",
        "Calculate the area of a triangle with base 3 and height 4.",
        "Local time in Lima?",
    ],
)
def test_a_call_is_owed_where_a_tool_plainly_fits(answer, request_text: str) -> None:
    for text in (DECLINE, "", "Hello! Which city?", "I already did it."):
        assert answer("no_call_owed", request_text, text) == "fail"
    assert answer("no_call_missed", request_text, DECLINE) == "fail"


@pytest.mark.parametrize(
    "request_text", ["Who painted the Mona Lisa?", "Translate 'hello' to French.", "Tell me a joke"]
)
def test_no_call_is_owed_where_no_tool_fits(answer, request_text: str) -> None:
    assert answer("no_call_owed", request_text, DECLINE) == "pass"
    assert answer("no_call_missed", request_text, DECLINE) == "pass"


def test_a_question_for_missing_numbers(answer) -> None:
    request = "Calculate the area of a triangle."
    assert answer("no_call_owed", request, "What are its base and height?") == "pass"
    assert answer("no_call_missed", request, "What are its base and height?") == "pass"
    assert answer("no_call_missed", request, DECLINE) == "fail"
    assert (
        answer("no_call_owed", f"{request} The base is 3, the height 4.", "What are its base and height?")
        == "fail"
    )


def test_other_scripts_are_left_open(answer) -> None:
    assert answer("no_call_owed", "北京的天气怎么样", DECLINE) == "undecided"
    assert answer("no_call_missed", "北京的天气怎么样", DECLINE) == "not_applicable"


def test_nothing_is_owed_without_tools_or_after_results(answer) -> None:
    call = [("get_weather", {"city": "Oslo"})]
    assert answer("no_call_owed", "Weather in Oslo?", DECLINE, tools=()) == "not_applicable"
    assert answer("no_call_owed", "Weather in Oslo?", call) == "not_applicable"
    assert (
        answer("no_call_owed", "Weather in Oslo?", call, {"result": "clear"}, "It is clear.")
        == "not_applicable"
    )
    assert answer("no_call_owed", "", DECLINE) == "not_applicable"


def test_talk_before_a_call_that_was_owed(programs, subgoal) -> None:
    later = subgoal("Weather in Oslo?", "Let me think.", [("get_weather", {"city": "Oslo"})], whole=True)
    talk = type(later)(trajectory=later.trajectory, span=type(later.span)((1, 0), (2, 0)))
    assert programs["no_call_owed"](talk).answer == "fail"


def test_the_tool_that_was_asked_for(answer) -> None:
    request = "What is the local time in Lima?"
    assert answer("asked_tools_called", request, [("get_local_time", {"city": "Lima"})]) == "pass"
    assert answer("asked_tools_called", request, [("get_weather", {"city": "Lima"})]) == "fail"
    assert answer("asked_tools_called", request, DECLINE) == "not_applicable"


def test_one_tool_leaves_no_choice(answer, tool) -> None:
    only = [tool("get_weather", ["city"], city={"type": "string"})]
    assert (
        answer("asked_tools_called", "Local time in Lima?", [("get_weather", {"city": "Lima"})], tools=only)
        == "not_applicable"
    )


def test_each_of_two_tools(answer) -> None:
    both = [("get_local_time", {"city": "Lima"}), ("get_weather", {"city": "Oslo"})]
    assert answer("asked_tools_called", "Local time in Lima? Weather in Oslo?", both) == "pass"
    assert answer("asked_tools_called", "Local time in Lima? Weather in Oslo?", both[1:]) == "fail"
    assert answer("every_call_adds", "Local time in Lima? Weather in Oslo?", both) == "pass"


def test_a_call_too_many(answer) -> None:
    both = [("get_weather", {"city": "Oslo"}), ("get_local_time", {"city": "Oslo"})]
    assert answer("every_call_adds", "Weather forecast of Oslo?", both) == "fail"
    assert answer("every_call_adds", "Weather forecast of Oslo?", both[:1]) == "not_applicable"
    assert answer("every_call_adds", "Weather forecast and local time of Oslo?", both) == "pass"


def test_calls_without_a_word_in_common(answer) -> None:
    assert answer("called_tools_relate", "Weather in Oslo?", [("get_weather", {"city": "Oslo"})]) == "pass"
    assert (
        answer("called_tools_relate", "Who painted the Mona Lisa?", [("get_weather", {"city": "Mona"})])
        == "fail"
    )
    assert answer("called_tools_relate", "Hi", [("get_weather", {"city": "Oslo"})]) == "fail"
    assert answer("called_tools_relate", "Is it?", [("get_weather", {"city": "Oslo"})]) == "not_applicable"
    assert answer("called_tools_relate", "Weather in Oslo?", [("unknown", {})]) == "not_applicable"
