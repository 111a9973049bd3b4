r"""The segmenter `markers`: the subgoals that the policy states, as the paper's students do.

    Subgoal 1: find the flights        ## Step 2 - compare prices        <subgoal>book the cheapest</subgoal>

A stated subgoal reaches from its marker to the next one, across messages and tool results; what stands before the
first marker belongs to the first. A marker that nothing follows opens no subgoal. Where the policy states none
since the last request, the subgoals are its turns.
"""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from attrs import frozen

from scribe_core.builtin.turns import runs, turns
from scribe_core.protocols import Segmenter
from scribe_core.spans import message_text
from scribe_core.types import Message, Span, Trajectory

LONGEST_GOAL = 300
_MARKER = re.compile(
    rf"^[ \t]{{0,8}}(?:[#>*_-]{{1,6}}[ \t]{{0,4}}){{0,3}}"
    rf"(?:(?:sub-?goal|step|stage)[ \t]{{0,4}}(?:\d{{1,3}}|[ivx]{{1,5}})?[*_]{{0,3}}[ \t]{{0,4}}(?:[:.)]|-+|\u2013|\u2014)[*_]{{0,3}}"
    rf"|<(?:subgoal|step)>)[ \t]{{0,4}}(?P<goal>[^\n]{{0,{LONGEST_GOAL}}})",
    re.IGNORECASE | re.MULTILINE,
)


@frozen(kw_only=True)
class Markers:
    """One subgoal per stated subgoal ("Subgoal 1: ...", "Step 2. ..."); turns where none is stated."""

    name: ClassVar[str] = "markers"

    def build(self) -> Segmenter:
        return _MarkerSegmenter()


class _MarkerSegmenter:
    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        return [list(_stated(trajectory.messages)) for trajectory in trajectories]


class _Marker(NamedTuple):
    """Where a marker stands, where the goal begins that it states, and the goal."""

    start: tuple[int, int]
    text: tuple[int, int]
    goal: str


def _stated(messages: Sequence[Message]) -> Iterator[Span]:
    for first, end in runs(messages):
        if markers := [marker for index in range(first, end) for marker in _markers(index, messages[index])]:
            yield from _between(markers, messages, first, end)
        else:
            yield from turns(messages, first, end)


def _markers(index: int, message: Message) -> Iterator[_Marker]:
    if message.role != "assistant":
        return
    # Calls follow the content, and what their arguments hold is stated to a tool.
    text = message_text(message) if message.raw is not None else message.content
    for match in _MARKER.finditer(text):
        goal = re.sub(r"</(?:subgoal|step)>.*|[*_]+$", "", match["goal"].strip(), flags=re.IGNORECASE)
        yield _Marker((index, match.start()), (index, match.start("goal")), goal.strip())


def _between(markers: list[_Marker], messages: Sequence[Message], first: int, end: int) -> Iterator[Span]:
    """From each marker that something follows to the next such one."""
    borders = [marker.start for marker in markers[1:]] + [(end, 0)]
    followed = [
        marker
        for marker, border in zip(markers, borders, strict=True)
        if _something(messages, marker.text, border)
    ]
    kept = followed or markers[:1]
    starts = [(first, 0), *(marker.start for marker in kept[1:]), (end, 0)]
    for start, stop, marker in zip(starts, starts[1:], kept, strict=False):
        yield Span(start, stop, marker.goal)


def _something(messages: Sequence[Message], start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether the policy wrote or called anything from `start` to `end`."""
    for index in range(start[0], min(end[0] + 1, len(messages))):
        if messages[index].role != "assistant":
            continue
        text = message_text(messages[index])
        piece = text[start[1] if index == start[0] else 0 : end[1] if index == end[0] else len(text)]
        if any(character.isalnum() for character in piece):
            return True
    return False
