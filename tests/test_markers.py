"""The segmenters that look inside messages: `markers` and `steps`."""

import pytest

from scribe_core import aio
from scribe_core.builtin.markers import Markers
from scribe_core.builtin.steps import Steps
from scribe_core.builtin.turns import Turns
from scribe_core.spans import message_text, span_calls, span_text
from scribe_core.testing import sample_subgoal, sample_trajectory
from scribe_core.types import Message, ToolCall


def segments(builder, trajectory):
    (spans,) = aio.run(builder.build().segment([trajectory]))
    return spans


def texts(builder, *contents):
    messages = [
        Message(role="user", content="Go."),
        *(Message(role="assistant", content=c) for c in contents),
    ]
    trajectory = sample_trajectory(messages=tuple(messages))
    return [span_text(sample_subgoal(trajectory, span=span)) for span in segments(builder, trajectory)]


@pytest.mark.parametrize(
    "marker",
    [
        "Subgoal 1: find flights", "Sub-goal: find flights", "## Step 2 - find flights", "**Step 3:** find flights",
        "1" and "Step IV. find flights", "<subgoal>find flights</subgoal>", "  > stage 12) find flights", "- Step 1: find flights",
        "Step 1\u2014find flights", "### **Subgoal 2** : find flights",
    ],
)  # fmt: skip
def test_how_a_subgoal_is_stated(marker):
    before, after = "I have a plan.\n", "\nNow I look."
    messages = (
        Message(role="assistant", content=f"{before}Step 0: think hard.\nThinking.\n{marker}{after}"),
    )
    spans = segments(Markers(), sample_trajectory(messages=messages))
    assert [span.goal for span in spans] == ["think hard.", "find flights"]
    assert spans[0].start == (0, 0)
    assert spans[0].end == spans[1].start
    assert spans[1].end == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "The next step: none.",
        "Step back: look.",
        "in step 3: we",
        "Steps 1: x",
        "Stepping 1: x",
        "'Step 1: x'",
        '{"a": "Step 1: x"}',
    ],
)
def test_what_states_none(text):
    trajectory = sample_trajectory(
        messages=(Message(role="assistant", content=f"So.\n{text}\nMore.\n{text}"),)
    )
    found = [span.goal for span in segments(Markers(), trajectory)]
    assert found == [""], found


def test_a_subgoal_holds_its_calls_and_their_results():
    call = ToolCall(name="weather", arguments={"city": "Paris"}, id="a")
    messages = (
        Message(role="user", content="Go."),
        Message(role="assistant", content="Step 1: look it up.", tool_calls=(call,)),
        Message(role="tool", content="clear", tool_call_id="a"),
        Message(role="assistant", content="As I thought.\nStep 2: answer.\nIt is clear."),
        Message(role="user", content="Thanks. And now?"),
        Message(role="assistant", content="Nothing."),
    )
    trajectory = sample_trajectory(messages=messages)
    first, second, third = segments(Markers(), trajectory)
    assert (first.start, first.end, first.goal) == ((1, 0), (3, 14), "look it up.")
    assert (second.start, second.end, second.goal) == ((3, 14), (4, 0), "answer.")
    assert (third.start, third.end, third.goal) == ((5, 0), (6, 0), "")
    assert [span_calls(sample_subgoal(trajectory, span=span)) for span in (first, second, third)] == [
        [call],
        [],
        [],
    ]


def test_empty_markers_add_no_subgoals():
    honest = texts(Markers(), "Step 1: add.\n2 + 2 = 4")
    padded = texts(Markers(), "Step 1:\nStep 2:\nStep 3: add.\n2 + 2 = 4\nStep 4:\n\nStep 5:")
    assert len(honest) == len(padded) == 1


def test_markers_inside_call_arguments_state_nothing():
    call = ToolCall(name="note", arguments={"text": "x\nStep 1: y\nStep 2: z"})
    messages = (Message(role="assistant", content="A note.", tool_calls=(call,)),)
    assert len(segments(Markers(), sample_trajectory(messages=messages))) == 1


def test_turns_where_no_subgoal_is_stated():
    assert segments(Markers(), sample_trajectory()) == segments(Turns(), sample_trajectory())


LONG = "This is a step of reasoning that is long enough."


def test_steps_are_paragraphs_and_entries():
    assert texts(Steps(), f"{LONG}\n\n{LONG}\n1. {LONG}\n2) {LONG}") == [
        f"{LONG}\n\n", f"{LONG}\n", f"1. {LONG}\n", f"2) {LONG}",
    ]  # fmt: skip


def test_short_steps_belong_to_the_one_before():
    assert texts(Steps(), f"{LONG}\n\nSo.\n\nYes.\n\n{LONG}") == [f"{LONG}\n\nSo.\n\nYes.\n\n", LONG]
    assert texts(Steps(), "a\n\n" * 500) == ["a\n\n" * 500]


@pytest.mark.parametrize(
    "fence", [("```python\n", "\n```"), ("$$", "$$"), ("\\[", "\\]"), ("\\begin{align}", "\\end{align}")]
)
def test_what_is_set_apart_stays_whole(fence):
    block = f"{fence[0]}{LONG}\n\n{LONG}{fence[1]}"
    assert len(texts(Steps(), block)) == 1
    assert len(texts(Steps(), f"{LONG}\n\n{block}\n\n{LONG}")) == 3
    assert len(texts(Steps(), f"{LONG}\n\n{fence[0]}{LONG}\n\n{LONG}")) == 2


def test_the_last_step_holds_the_calls():
    trajectory = sample_trajectory()
    call = trajectory.messages[2]
    long = Message(role="assistant", content=f"{LONG}\n\n{LONG}", tool_calls=call.tool_calls)
    trajectory = sample_trajectory(messages=(*trajectory.messages[:2], long, *trajectory.messages[3:]))
    spans = segments(Steps(), trajectory)
    calls = [span_calls(sample_subgoal(trajectory, span=span)) for span in spans]
    assert [len(each) for each in calls] == [0, 1, 1, 0]
    assert spans[1].end == (4, 0)


@pytest.mark.parametrize("builder", [Markers(), Steps()])
@pytest.mark.parametrize(
    "text",
    ["\n" * 200_000, "Step 1: \n" * 20_000, "```\n" * 50_000, "# " * 100_000, " " * 300_000, "step" * 80_000],
)
def test_long_texts(builder, text):
    """Nothing here is quadratic: these would not end."""
    spans = segments(builder, sample_trajectory(messages=(Message(role="assistant", content=text),)))
    assert len(spans) >= 1
    assert all(span.start < span.end for span in spans)
    assert len(message_text(Message(role="assistant", content=text))) == len(text)
