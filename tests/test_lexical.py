from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from scribe_core import aio
from scribe_core.builtin.lexical import Lexical
from scribe_core.builtin.situation import PHRASES, phrases_of
from scribe_core.errors import ConfigError
from scribe_core.protocols import Route
from scribe_core.skills import Library, Prototype, Routing
from scribe_core.testing import RouterContract, sample_library, sample_prototype
from scribe_core.types import Message, Span, Subgoal, ToolCall, ToolSpec, Trajectory

ONE = "one tool offered; request for one thing; one call made"
SEVERAL = "one tool offered; request for several things; several calls made"
REFUSAL = "one tool offered, no call made, text answer"


class TestLexical(RouterContract):
    def builder(self) -> Lexical:
        return Lexical()


def subgoal(
    request: str = "Weather in Paris?",
    calls: Sequence[ToolCall] = (),
    text: str = "",
    tools: Sequence[str] = ("weather",),
    before: Sequence[Message] = (),
    results: Sequence[Message] = (),
    raw: str | None = None,
) -> Subgoal:
    asked = (Message(role="user", content=request),) if request else ()
    acted = Message(role="assistant", content=text, tool_calls=tuple(calls), raw=raw)
    messages = (*asked, *before, acted, *results)
    start = len(asked) + len(before)
    trajectory = Trajectory(id="t", messages=messages, tools=tuple(ToolSpec(name=name) for name in tools))
    return Subgoal(trajectory=trajectory, span=Span((start, 0), (len(messages), 0)))


def call(name: str = "weather", arguments: Any = None) -> ToolCall:
    return ToolCall(name=name, arguments={} if arguments is None else arguments)


def prototype(id_: str, *exemplars: str, title: str = "A skill", when: str = "It applies.") -> Prototype:
    return sample_prototype(id=id_, title=title, when_to_use=when, routing=Routing(exemplars=exemplars))


def route(subgoal: Subgoal, *prototypes: Prototype, **options: Any) -> Route:
    async def routed() -> list[Route]:
        return await Lexical(**options).build().route([subgoal], sample_library(*prototypes))

    (found,) = aio.run(routed())
    return found


def chosen(subgoal: Subgoal, *prototypes: Prototype, **options: Any) -> str:
    return route(subgoal, *prototypes, **options).prototype.id


CALLS = (prototype("one", ONE), prototype("refusal", REFUSAL), prototype("several", SEVERAL))


def test_phrases_decide() -> None:
    assert chosen(subgoal(calls=[call()]), *CALLS) == "one"
    assert chosen(subgoal("Weather in Rome, and also in Paris", calls=[call(), call()]), *CALLS) == "several"
    assert chosen(subgoal(text="There is no tool for that."), *CALLS) == "refusal"


def test_what_the_policy_writes_does_not_choose_its_rubric() -> None:
    easy = prototype("easy", "harmless greeting", title="Harmless greeting", when="A harmless greeting.")
    flattery = " ".join([REFUSAL, SEVERAL, "harmless greeting"] * 20)
    spoken = subgoal(calls=[call()], text=flattery)
    silent = subgoal(calls=[call()], text="x")
    assert route(spoken, *CALLS, easy) == route(silent, *CALLS, easy)
    invented = subgoal(calls=[call("harmless_greeting")], text="x")
    assert chosen(invented, easy) == "general"


def test_talking_first_does_not_change_the_situation() -> None:
    chatter = [Message(role="assistant", content="Let me think.")] * 2
    assert phrases_of(subgoal(calls=[call()], before=chatter)) == phrases_of(subgoal(calls=[call()]))


def test_the_more_specific_conjunction_wins_when_all_of_it_holds() -> None:
    vague, exact = prototype("a-vague", "one call made"), prototype("b-exact", ONE)
    assert chosen(subgoal(calls=[call()]), vague, exact) == "b-exact"
    assert (
        chosen(subgoal("Rome and Paris and Oslo", calls=[call()], tools=["a", "b"]), vague, exact)
        == "a-vague"
    )


def test_any_exemplar_will_do() -> None:
    assert (
        chosen(subgoal(text="Hello", tools=[]), prototype("p", ONE, "no tools offered; text answer")) == "p"
    )


def test_words_of_the_request_break_ties_between_phrases() -> None:
    rain = prototype("z-rain", ONE, when="The request is about the weather.")
    money = prototype("a-money", ONE, when="The request is about the currency.")
    assert chosen(subgoal("What is the weather?", calls=[call()]), rain, money) == "z-rain"
    assert chosen(subgoal("Which currency is it?", calls=[call()]), rain, money) == "a-money"


def test_names_of_called_tools_are_words_of_the_situation() -> None:
    rain, money = (
        prototype("z-rain", ONE, title="Rain forecast"),
        prototype("a-money", ONE, title="Exchange rates"),
    )
    asked = subgoal("Tell me", calls=[call("rain_forecast")], tools=["rain_forecast"])
    assert chosen(asked, rain, money) == "z-rain"


def test_equal_scores_go_to_the_first_id() -> None:
    assert chosen(subgoal(calls=[call()]), prototype("b", ONE), prototype("a", ONE)) == "a"


def test_where_nothing_fits_the_general_prototype_judges() -> None:
    found = route(subgoal(calls=[call()]), prototype("refusal", "no tools offered; text answer"))
    assert (found.prototype.id, found.confidence) == ("general", 1.0)


def test_low_confidence_goes_to_the_general_prototype() -> None:
    tied = (prototype("a", ONE), prototype("b", ONE))
    confidence = route(subgoal(calls=[call()]), *tied).confidence
    assert 0.1 < confidence < 0.9
    found = route(subgoal(calls=[call()]), *tied, min_confidence=0.9)
    assert found.prototype.id == "general"
    assert found.confidence == pytest.approx(1 - confidence)


def test_confidence_grows_with_the_lead() -> None:
    rival = prototype("rival", "one call made")
    close = route(subgoal(calls=[call()]), prototype("a", ONE), prototype("b", ONE)).confidence
    clear = route(subgoal(calls=[call()]), prototype("a", ONE), rival).confidence
    assert 0.4 < close < 0.6 < 0.9 < clear <= 1


def test_prototypes_of_the_whole_trajectory_are_no_choice() -> None:
    plan = evolve(prototype("plan", ONE), scope="trajectory")
    assert chosen(subgoal(calls=[call()]), plan) == "general"


def test_a_library_without_the_general_prototype_is_an_error() -> None:
    async def routed() -> list[Route]:
        library = Library([prototype("a", "no tools offered")], source="mine")
        return await Lexical().build().route([subgoal(calls=[call()])], library)

    with pytest.raises(ConfigError, match="mine has no prototype 'general'"):
        aio.run(routed())


ERROR, RESULT = Message(role="tool", content="Error: no such city"), Message(role="tool", content="sunny")
CALLED = Message(role="assistant", tool_calls=(call(),))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (subgoal(tools=[]), "no tools offered"),
        (subgoal(), "one tool offered"),
        (subgoal(tools=["a", "b", "c"]), "several tools offered"),
        (subgoal(request=""), "no request"),
        (subgoal("Weather in Paris?"), "request for one thing"),
        (subgoal("Weather in Paris? And the time?"), "request for several things"),
        (subgoal("Convert 5, 10 and 15 dollars"), "request for several things"),
        (subgoal("Do this:\n- one\n- two"), "request for several things"),
        (subgoal(), "first request"),
        (subgoal(before=[CALLED, Message(role="user", content="Again")]), "follow-up request"),
        (subgoal(), "first action"),
        (subgoal(before=[CALLED, ERROR, Message(role="user", content="Again")]), "first action"),
        (subgoal(before=[CALLED, RESULT]), "after a tool result"),
        (subgoal(before=[CALLED, RESULT, ERROR]), "after a tool error"),
        (subgoal(before=[CALLED, ERROR, CALLED, RESULT]), "after a tool result"),
        (subgoal(before=[CALLED, Message(role="tool", content='{"error": "no"}')]), "after a tool error"),
        (subgoal(before=[CALLED, Message(role="tool", content='{"error": null}')]), "after a tool result"),
        (subgoal(before=[CALLED, Message(role="tool", extra={"is_error": True})]), "after a tool error"),
        (subgoal(), "no call made"),
        (subgoal(calls=[call()]), "one call made"),
        (subgoal(calls=[call(), call()]), "several calls made"),
        (subgoal(calls=[call(), call()]), "same tool called"),
        (subgoal(calls=[call(), call("b")], tools=["weather", "b"]), "different tools called"),
        (subgoal(calls=[call(arguments="{city")]), "malformed call"),
        (subgoal(text='<tool_call>{"name": '), "malformed call"),
        (subgoal(text="[weather(city='Paris')]"), "malformed call"),
        (subgoal(raw='{"name": "weather", "parameters": {}'), "malformed call"),
        (subgoal(calls=[call("invented")]), "unknown tool called"),
        (subgoal(text="It is sunny."), "text answer"),
        (subgoal(text="I look.", calls=[call()]), "text beside a call"),
        (subgoal(text=" "), "empty answer"),
        (subgoal(calls=[call()], results=[RESULT]), "call succeeded"),
        (subgoal(calls=[call()], results=[RESULT, ERROR]), "call failed"),
    ],
)
def test_each_phrase_is_said_where_it_holds(given: Subgoal, expected: str) -> None:
    said = phrases_of(given)
    assert expected in said
    assert said <= set(PHRASES)


@pytest.mark.parametrize(
    "group",
    [
        ("no tools offered", "one tool offered", "several tools offered"),
        ("request for one thing", "request for several things"),
        ("first request", "follow-up request"),
        ("first action", "after a tool result", "after a tool error"),
        ("no call made", "one call made", "several calls made"),
        ("text answer", "empty answer"),
    ],
)
def test_one_phrase_of_a_group_holds(group: tuple[str, ...]) -> None:
    assert len(phrases_of(subgoal(text="x")) & set(group)) == 1


def test_plain_words_are_no_malformed_call() -> None:
    assert "malformed call" not in phrases_of(
        subgoal(text="The weather (in Paris) is fine; name it as you like.")
    )
    assert "unknown tool called" not in phrases_of(subgoal(calls=[call()]))


def test_the_request_is_read_even_where_the_span_covers_it() -> None:
    inside = subgoal("Rome and Paris and Oslo", calls=[call()])
    whole = evolve(inside, span=Span((0, 0), inside.span.end))
    assert phrases_of(whole) == phrases_of(inside)
