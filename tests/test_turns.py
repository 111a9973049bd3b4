from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core import aio
from scribe_core.builtin.turns import Turns
from scribe_core.spans import span_text
from scribe_core.testing import SegmenterContract
from scribe_core.types import Message, Span, Subgoal, ToolCall, Trajectory

USER = Message(role="user", content="Do it.")
WORDS = Message(role="assistant", content="I did.")
CALL = Message(role="assistant", tool_calls=(ToolCall(name="act", arguments={"x": 1}),))
RESULT = Message(role="tool", content="ok")
EMPTY = Message(role="assistant")
BLANK = Message(role="assistant", content=" \n\u200b")


class TestTurns(SegmenterContract):
    def builder(self) -> Turns:
        return Turns()


async def _segment(trajectories: Sequence[Trajectory]) -> list[list[Span]]:
    return await Turns().build().segment(trajectories)


def cut(*messages: Message) -> list[tuple[int, int]]:
    """(first message, end) of each span."""
    (spans,) = aio.run(_segment([Trajectory(id="t", messages=messages)]))
    assert all(span.start[1] == span.end[1] == 0 for span in spans)
    return [(span.start[0], span.end[0]) for span in spans]


def test_a_turn_is_a_message_and_the_results_that_answer_it() -> None:
    assert cut(USER, CALL, RESULT, RESULT, WORDS) == [(1, 4), (4, 5)]


def test_requests_belong_to_no_subgoal() -> None:
    system = Message(role="system", content="Be brief.")
    assert cut(system, USER, WORDS, USER, CALL, RESULT) == [(2, 3), (4, 6)]
    assert cut(system, USER) == []
    assert cut() == []


def test_each_assistant_message_is_a_turn_of_its_own() -> None:
    assert cut(USER, WORDS, CALL, RESULT) == [(1, 2), (2, 4)]


def test_empty_messages_go_to_the_turn_before() -> None:
    assert cut(USER, WORDS, EMPTY, BLANK, WORDS, EMPTY) == [(1, 4), (4, 6)]


def test_leading_empty_messages_go_to_the_next_turn() -> None:
    assert cut(USER, BLANK, EMPTY, CALL, RESULT) == [(1, 5)]


def test_an_answer_of_nothing_is_a_subgoal() -> None:
    assert cut(USER, EMPTY) == [(1, 2)]
    assert cut(USER, EMPTY, BLANK, EMPTY) == [(1, 4)]


def test_silence_after_a_tool_result_is_a_subgoal() -> None:
    assert cut(USER, CALL, RESULT, EMPTY) == [(1, 3), (3, 4)]


def test_silence_at_a_later_request_is_a_subgoal() -> None:
    assert cut(USER, WORDS, USER, BLANK, USER, WORDS) == [(1, 2), (3, 4), (5, 6)]


def test_a_call_without_words_is_something() -> None:
    assert cut(USER, CALL, CALL) == [(1, 2), (2, 3)]


def test_raw_text_is_something_even_where_nothing_was_parsed() -> None:
    assert cut(USER, WORDS, Message(role="assistant", raw="<tool_call>{")) == [(1, 2), (2, 3)]


@settings(deadline=None)
@given(st.lists(st.sampled_from([USER, WORDS, CALL, RESULT, EMPTY, BLANK]), max_size=12))
def test_everything_the_policy_wrote_is_in_exactly_one_subgoal(messages: list[Message]) -> None:
    spans = cut(*messages)
    covered = [index for start, end in spans for index in range(start, end)]
    assert len(covered) == len(set(covered))
    assert {i for i, message in enumerate(messages) if message.role == "assistant"} <= set(covered)
    assert all(messages[start].role == "assistant" for start, _ in spans)
    assert not any(messages[index].role == "user" for index in covered)


@settings(deadline=None)
@given(st.lists(st.sampled_from([USER, WORDS, CALL, RESULT, EMPTY]), max_size=8), st.data())
def test_empty_messages_never_add_a_subgoal_to_an_answer(
    messages: list[Message], data: st.DataObject
) -> None:
    spoken = [i for i, message in enumerate(messages) if message.role == "assistant"]
    if spoken:
        place = data.draw(st.sampled_from(spoken))
        assert len(cut(*messages[:place], EMPTY, *messages[place:])) == len(cut(*messages))


def test_the_text_of_silence_is_empty() -> None:
    trajectory = Trajectory(id="t", messages=(USER, EMPTY))
    assert span_text(Subgoal(trajectory=trajectory, span=Span((1, 0), (2, 0)))) == ""
