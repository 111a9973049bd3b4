"""Whatever a policy writes: an answer, the same every time, and work that does not run away."""

import sys
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scribe_programs_calls import dates, numbers
from scribe_programs_calls.mentions import mentions
from scribe_programs_calls.plugin import scribe_programs
from scribe_programs_calls.source import read_source
from scribe_programs_calls.words import stem, words

from scribe_core.spans import span_text
from scribe_core.types import Answer, Finding, Message, Span, Subgoal, ToolCall, ToolSpec, Trajectory

PROGRAMS = {builder.name: builder().build() for builder in scribe_programs()}
TEXT = st.text(max_size=60) | st.sampled_from(
    [
        "Weather in Oslo and Rome?",
        "base 10, height 5",
        "on March 3, 2022 at 5 pm",
        "error: no",
        '{"error": "x"}',
        "5%",
        "''",
        "²",
    ]
)
KEYS = st.text(max_size=8) | st.sampled_from(
    ["city", "days", "type", "properties", "required", "items", "enum", "default"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CALLS = st.builds(
    ToolCall,
    name=st.sampled_from(["get_weather", "x", ""]) | TEXT,
    arguments=TEXT | st.dictionaries(KEYS, VALUES, max_size=4),
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool", "function", "?"]),
    content=TEXT,
    tool_calls=st.lists(CALLS, max_size=3).map(tuple),
    raw=st.none() | TEXT,
)
TOOLS = st.builds(
    ToolSpec,
    name=st.sampled_from(["get_weather", "x"]) | TEXT,
    description=TEXT,
    parameters=st.dictionaries(KEYS, VALUES, max_size=4)
    | st.fixed_dictionaries(
        {
            "properties": st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3),
            "required": VALUES,
        }
    ),
)


@st.composite
def subgoals(draw: Any) -> Subgoal:
    messages = tuple(draw(st.lists(MESSAGES, max_size=6)))
    first = draw(st.integers(0, len(messages)))
    last = draw(st.integers(first, len(messages)))
    trajectory = Trajectory(id="t", messages=messages, tools=tuple(draw(st.lists(TOOLS, max_size=3))))
    return Subgoal(
        trajectory=trajectory, span=Span((first, draw(st.integers(0, 2))), (last, draw(st.integers(0, 3))))
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(subgoals())
def test_every_program_answers_the_same_for_any_subgoal(subgoal: Subgoal) -> None:
    for name, program in PROGRAMS.items():
        finding = program(subgoal)
        assert isinstance(finding, Finding), name
        assert finding.answer in get_args(Answer)
        assert all(quote in span_text(subgoal) for quote in finding.evidence), name
        assert program(subgoal) == finding, name


@given(st.text(max_size=300))
def test_reading_any_text(text: str) -> None:
    assert read_source(text) == read_source.__wrapped__(text)
    starts = [mention.start for mention in numbers.mentions(text)]
    assert starts == sorted(starts)
    spans = [(mention.start, mention.end) for mention in mentions(text)]
    assert all(0 <= start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans)), "mentions do not overlap"
    assert all(
        stem(stem(word)) == stem(word) for word in words(text) if len(word) < 20 and stem(word)[-1:] != "s"
    )
    dates.dates(text)


SIZE = 20_000
HUGE = {
    "digits": "9" * SIZE,
    "commas": "1,234," * (SIZE // 6),
    "list": "aaa, " * (SIZE // 5),
    "words": "in " * (SIZE // 3),
    "endings": "ing" * (SIZE // 3),
    "capitals": "Ab " * (SIZE // 3),
    "quotes": "'a " * (SIZE // 3),
    "blanks": " " * SIZE + "5" + "\n" * SIZE,
    "dashes": "-" * SIZE + "1",
    "dates": "1/1/2022 " * (SIZE // 9),
    "this": "this " * (SIZE // 5),
    "brackets": "{[(" * (SIZE // 3),
    "calls": "<tool_call>" * (SIZE // 11),
    "marks": "́" * SIZE,
    "ands": "and or " * (SIZE // 7),
}


def _steps(program: Any, subgoal: Subgoal) -> int:
    """Lines of our own code that a program runs: unlike time, the same on every machine."""
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        count += 1
        return trace if "scribe_programs_calls" in frame.f_code.co_filename else None

    sys.settrace(trace)
    try:
        program(subgoal)
    finally:
        sys.settrace(None)
    return count


def _huge_subgoal(text: str) -> Subgoal:
    tool = ToolSpec(
        name="t", description=text, parameters={"properties": {"x": {"description": text}}, "required": ["x"]}
    )
    call = Message(
        role="assistant", tool_calls=(ToolCall(name="t", arguments={"x": text, "y": [text] * 50}),)
    )
    messages = (
        Message(role="user", content=text),
        call,
        Message(role="tool", content=text),
        Message(role="assistant", content=text),
    )
    return Subgoal(trajectory=Trajectory(id="t", messages=messages, tools=(tool,)), span=Span((1, 0), (4, 0)))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", HUGE)
def test_huge_text_is_answered(kind: str) -> None:
    subgoal = _huge_subgoal(HUGE[kind])
    for program in PROGRAMS.values():
        assert program(subgoal).answer in get_args(Answer)


@pytest.mark.parametrize("name", PROGRAMS)
def test_more_arguments_cost_no_more_than_in_proportion(name: str) -> None:
    def asked(count: int) -> Subgoal:
        values = [f"value {i} of {i * 7}" for i in range(count)]
        call = ToolCall(
            name="t", arguments={"x": values, "y": {str(i): value for i, value in enumerate(values)}}
        )
        messages = (
            Message(role="user", content=", ".join(values)),
            Message(role="assistant", tool_calls=(call,) * 2),
        )
        tool = ToolSpec(name="t", parameters={"properties": {"x": {}, "y": {}}})
        return Subgoal(
            trajectory=Trajectory(id="t", messages=messages, tools=(tool,)), span=Span((1, 0), (2, 0))
        )

    small, large = _steps(PROGRAMS[name], asked(200)), _steps(PROGRAMS[name], asked(1600))
    assert large <= 12 * small + 50_000


@pytest.mark.parametrize("depth", [10, 100, 900])
def test_deep_arguments(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = {"a": [deep]}
    call = ToolCall(name="t", arguments={"x": deep})
    messages = (Message(role="user", content="1"), Message(role="assistant", tool_calls=(call, call)))
    tool = ToolSpec(name="t", parameters={"properties": {"x": {}}})
    subgoal = Subgoal(
        trajectory=Trajectory(id="t", messages=messages, tools=(tool,)), span=Span((1, 0), (2, 0))
    )
    for program in PROGRAMS.values():
        assert program(subgoal).answer in get_args(Answer)


def test_keys_that_are_no_text() -> None:
    arguments: Any = {None: 1, 2: "x", ("a",): {3: 4}}
    messages = (
        Message(role="user", content="1"),
        Message(role="assistant", tool_calls=(ToolCall(name="t", arguments=arguments),)),
    )
    tool = ToolSpec(name="t", parameters={"properties": {None: {}, "x": 7}, "required": [None, "2"]})  # type: ignore[dict-item]
    subgoal = Subgoal(
        trajectory=Trajectory(id="t", messages=messages, tools=(tool,)), span=Span((1, 0), (2, 0))
    )
    for program in PROGRAMS.values():
        assert program(subgoal).answer in get_args(Answer)
