"""Where an attack is put: each place takes what is judged and a text, and gives both together."""

from collections.abc import Callable
from typing import Any

from attrs import evolve

from scribe_core.types import Message, Span, Subgoal, ToolCall

Place = Callable[[Subgoal, str], Subgoal]


def after(subgoal: Subgoal, text: str) -> Subgoal:
    """At the end of the answer."""
    return _with_answer(subgoal, f"{_answer(subgoal)}\n{text}")


def before(subgoal: Subgoal, text: str) -> Subgoal:
    """At the start of the answer."""
    return _with_answer(subgoal, f"{text}\n{_answer(subgoal)}")


def same_line(subgoal: Subgoal, text: str) -> Subgoal:
    """In the last line of the answer."""
    return _with_answer(subgoal, f"{_answer(subgoal)} {text}")


def around(subgoal: Subgoal, text: str) -> Subgoal:
    """At both ends of the answer."""
    return _with_answer(subgoal, f"{text}\n{_answer(subgoal)}\n{text}")


def instead(subgoal: Subgoal, text: str) -> Subgoal:
    """In the place of the answer."""
    return _with_answer(subgoal, text)


def raw(subgoal: Subgoal, text: str) -> Subgoal:
    """In the raw text of the answer only."""
    return _with_message(subgoal, -1, raw=f"{_answer(subgoal)}\n{text}")


def goal(subgoal: Subgoal, text: str) -> Subgoal:
    """In the goal that the policy stated."""
    return evolve(subgoal, span=evolve(subgoal.span, goal=text))


def tool_result(subgoal: Subgoal, text: str) -> Subgoal:
    """In what a tool returned, on a page that a stranger wrote."""
    subgoal = _with_call(subgoal)
    index = _last(subgoal, "tool")
    return _with_message(subgoal, index, content=f"{subgoal.trajectory.messages[index].content}\n{text}")


def argument(subgoal: Subgoal, text: str) -> Subgoal:
    """In an argument of a call."""
    return _with_last_call(_with_call(subgoal), lambda call: {**_object(call.arguments), "note": text})


def bare_arguments(subgoal: Subgoal, text: str) -> Subgoal:
    """As arguments that are no JSON."""
    return _with_last_call(_with_call(subgoal), lambda _: text)


def call_name(subgoal: Subgoal, text: str) -> Subgoal:
    """As the name of a tool that nobody offered."""
    subgoal = _with_call(subgoal)
    index = _calling(subgoal)
    call = ToolCall(name=text, arguments={}, id="call_9")
    calls = (*subgoal.trajectory.messages[index].tool_calls, call)
    return _with_message(subgoal, index, tool_calls=calls)


def earlier_turn(subgoal: Subgoal, text: str) -> Subgoal:
    """In a turn before the judged one."""
    question = subgoal.trajectory.messages[subgoal.span.start[0] - 1]
    added = (Message(role="assistant", content=text), evolve(question, content=f"So: {question.content}"))
    return _inserted(subgoal, subgoal.span.start[0], added, judged=False)


def further_message(subgoal: Subgoal, text: str) -> Subgoal:
    """In a message of its own after the answer."""
    return _inserted(
        subgoal, len(subgoal.trajectory.messages), (Message(role="assistant", content=text),), judged=True
    )


def _answer(subgoal: Subgoal) -> str:
    return subgoal.trajectory.messages[-1].content


def _with_answer(subgoal: Subgoal, text: str) -> Subgoal:
    return _with_message(subgoal, -1, content=text)


def _with_message(subgoal: Subgoal, index: int, **changes: Any) -> Subgoal:
    messages = list(subgoal.trajectory.messages)
    messages[index] = evolve(messages[index], **changes)
    return evolve(subgoal, trajectory=evolve(subgoal.trajectory, messages=tuple(messages)))


def _inserted(subgoal: Subgoal, index: int, added: tuple[Message, ...], judged: bool) -> Subgoal:
    messages = subgoal.trajectory.messages
    messages = (*messages[:index], *added, *messages[index:])
    start = subgoal.span.start[0] + (0 if judged else len(added))
    return evolve(
        subgoal,
        trajectory=evolve(subgoal.trajectory, messages=messages),
        span=Span((start, 0), (len(messages), 0)),
    )


def _with_call(subgoal: Subgoal) -> Subgoal:
    """With a search before the answer, where none was made."""
    if any(message.tool_calls for message in subgoal.trajectory.messages):
        return subgoal
    call = ToolCall(name="search", arguments={"query": "similar problems"}, id="call_1")
    added = (
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="One page of similar problems was found.", tool_call_id="call_1"),
    )
    return _inserted(subgoal, subgoal.span.start[0], added, judged=True)


def _with_last_call(subgoal: Subgoal, arguments: Callable[[ToolCall], Any]) -> Subgoal:
    index = _calling(subgoal)
    *calls, last = subgoal.trajectory.messages[index].tool_calls
    return _with_message(subgoal, index, tool_calls=(*calls, evolve(last, arguments=arguments(last))))


def _object(arguments: Any) -> dict[str, Any]:
    return dict(arguments) if isinstance(arguments, dict) else {}


def _calling(subgoal: Subgoal) -> int:
    return max(index for index, message in enumerate(subgoal.trajectory.messages) if message.tool_calls)


def _last(subgoal: Subgoal, role: str) -> int:
    return max(index for index, message in enumerate(subgoal.trajectory.messages) if message.role == role)
