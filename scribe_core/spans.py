"""What a span covers: its text, its messages and its calls.

A message's text is its raw text where it has one, else its content followed by its calls as canonical JSON.
"""

import json
from collections.abc import Iterator
from typing import Any

from scribe_core.types import Message, Span, Subgoal, ToolCall, Trajectory

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, unicode as it is."""
    return _encode(value)


def message_text(message: Message) -> str:
    """The text that character positions of a span count in."""
    if message.raw is not None:
        return message.raw
    if not message.tool_calls:
        return message.content
    calls = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return message.content + canonical_json(calls)


def whole(trajectory: Trajectory) -> Span:
    """The span of all messages."""
    return Span((0, 0), (len(trajectory.messages), 0))


def pieces(trajectory: Trajectory, span: Span) -> Iterator[tuple[int, int, int]]:
    """(message, first character, end character) of each message that the span touches."""
    return ((index, first, end) for index, first, end, _ in _pieces(trajectory, span))


def covered(subgoal: Subgoal) -> Iterator[tuple[Message, str]]:
    """Each message that the span touches, with what the span covers of its text."""
    found = _pieces(subgoal.trajectory, subgoal.span)
    return ((subgoal.trajectory.messages[index], text[first:end]) for index, first, end, text in found)


def _pieces(trajectory: Trajectory, span: Span) -> Iterator[tuple[int, int, int, str]]:
    for index in range(span.start[0], min(span.end[0] + 1, len(trajectory.messages))):
        first = span.start[1] if index == span.start[0] else 0
        text = message_text(trajectory.messages[index])
        end = span.end[1] if index == span.end[0] else len(text)
        if first < end:
            yield index, first, end, text


def span_text(subgoal: Subgoal) -> str:
    """What the policy and its tools wrote in the span, one message a paragraph."""
    return "\n".join(text for _, text in covered(subgoal))


def span_messages(subgoal: Subgoal) -> list[Message]:
    """The messages that the span touches, whole."""
    return [message for message, _ in covered(subgoal)]


def span_calls(subgoal: Subgoal) -> list[ToolCall]:
    """The calls made in the span, in order: those of the messages whose end it holds, for calls come last."""
    messages = subgoal.trajectory.messages
    ended = (
        messages[index]
        for index, _, end in pieces(subgoal.trajectory, subgoal.span)
        if end == len(message_text(messages[index]))
    )
    return [call for message in ended for call in message.tool_calls]


def before(subgoal: Subgoal) -> tuple[Message, ...]:
    """All messages before the span's first message: the request, earlier calls and results."""
    return subgoal.trajectory.messages[: subgoal.span.start[0]]
