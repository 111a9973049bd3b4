"""The segmenter `turns`: one subgoal per assistant message, together with the tool results that answer it.

An assistant message in which nothing happens (no call, no visible character) belongs to a neighbour, so
that empty messages add no subgoals. The neighbour is looked for among the assistant messages that answer the
same input, be it a request or tool results. Where all of them are empty, the answer itself is nothing, and
that is one subgoal: what would have been judged had the policy spoken is judged when it does not, so that
silence hides nothing.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from attrs import frozen

from scribe_core.protocols import Segmenter
from scribe_core.spans import message_text
from scribe_core.types import Message, Span, Trajectory

RESULTS = ("tool", "function")
"""Roles of the messages that answer a call."""


@frozen(kw_only=True)
class Turns:
    """One subgoal per assistant turn: the message and the tool results that answer it."""

    name: ClassVar[str] = "turns"

    def build(self) -> Segmenter:
        return _TurnSegmenter()


class _TurnSegmenter:
    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        return [list(turns(trajectory.messages)) for trajectory in trajectories]


def turns(messages: Sequence[Message], since: int = 0, until: int | None = None) -> Iterator[Span]:
    """The turns among the messages from `since` to before `until`."""
    for first, end in _answers(messages, since, len(messages) if until is None else until):
        starts = [index for index in range(first, end) if _something_happens(messages[index])]
        # Empty messages before the first one with content go to it, all others to the one before.
        starts = [first, *starts[1:]]
        ends = [*starts[1:], _after_results(messages, end)]
        yield from (Span((start, 0), (stop, 0)) for start, stop in zip(starts, ends, strict=True))


def runs(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """All that the policy and its tools did between one request and the next, as (first message, end)."""
    first = None
    for index, message in enumerate(messages):
        if message.role == "assistant":
            first = index if first is None else first
        elif first is not None and message.role not in RESULTS:
            yield first, index
            first = None
    if first is not None:
        yield first, len(messages)


def _answers(messages: Sequence[Message], since: int, until: int) -> Iterator[tuple[int, int]]:
    """The runs of assistant messages without anything between them, as (first, end)."""
    first = None
    for index in range(since, until):
        if messages[index].role == "assistant":
            first = index if first is None else first
        elif first is not None:
            yield first, index
            first = None
    if first is not None:
        yield first, until


def _after_results(messages: Sequence[Message], index: int) -> int:
    while index < len(messages) and messages[index].role in RESULTS:
        index += 1
    return index


def _something_happens(message: Message) -> bool:
    visible = (character.isprintable() and not character.isspace() for character in message_text(message))
    return bool(message.tool_calls) or any(visible)
