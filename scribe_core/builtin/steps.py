"""The segmenter `steps`: the steps of reasoning inside one message.

A message is cut at its paragraphs, and at the entries of a numbered list. Steps that are too short to be judged
belong to the one before; a block of code or a formula that is set apart is never cut. Tool results belong to the last
step of the message that asked for them.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

from attrs import field, frozen
from attrs.validators import ge

from scribe_core.builtin.turns import runs, turns
from scribe_core.protocols import Segmenter
from scribe_core.spans import message_text
from scribe_core.types import Message, Span, Trajectory

_BORDER = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]{0,8}(?:\d{1,3}[.)]|step[ \t]+\d{1,3}\b)[ \t])", re.IGNORECASE)
_WHOLE = re.compile(r"^[ \t]*(```|~~~|\$\$|\\\[|\\begin\{)", re.MULTILINE)
_CLOSED_BY = {"```": "```", "~~~": "~~~", "$$": "$$", r"\[": r"\]", r"\begin{": r"\end{"}


@frozen(kw_only=True)
class Steps:
    """One subgoal per step of reasoning: paragraphs and numbered entries of each assistant message."""

    name: ClassVar[str] = "steps"

    min_chars: int = field(default=40, validator=ge(1))
    """A step with fewer characters belongs to the one before."""

    def build(self) -> Segmenter:
        return _StepSegmenter(self.min_chars)


@frozen
class _StepSegmenter:
    min_chars: int

    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        return [list(self._steps(trajectory.messages)) for trajectory in trajectories]

    def _steps(self, messages: Sequence[Message]) -> Iterator[Span]:
        for first, end in runs(messages):
            for turn in turns(messages, first, end):
                yield from self._inside(messages, turn)

    def _inside(self, messages: Sequence[Message], turn: Span) -> Iterator[Span]:
        """The steps of a turn; its last one holds what follows its text."""
        starts = [turn.start]
        for index in range(turn.start[0], turn.end[0]):
            if messages[index].role == "assistant":
                starts += [(index, at) for at in self._borders(messages[index])]
        yield from (Span(start, end) for start, end in zip(starts, [*starts[1:], turn.end], strict=True))

    def _borders(self, message: Message) -> Iterator[int]:
        """Where steps begin, but for the first."""
        text = message_text(message) if message.raw is not None else message.content
        whole, last = _set_apart(text), 0
        borders = [match.end() for match in _BORDER.finditer(text)]
        for at, end in pairwise([*borders, len(text)]):
            place = bisect_left(whole, (at, 0)) - 1
            if place >= 0 and at <= whole[place][1]:
                continue
            if self._long(text[at:end]) and self._long(text[last:at]):
                yield at
                last = at

    def _long(self, text: str) -> bool:
        return len(text.strip()) >= self.min_chars


def _set_apart(text: str) -> list[tuple[int, int]]:
    """Where code and formulas stand that are set apart; one that is never closed reaches to the end."""
    found, at = [], 0
    while match := _WHOLE.search(text, at):
        end = text.find(_CLOSED_BY[match[1]], match.end())
        at = len(text) if end < 0 else end + 3
        found.append((match.start(), at))
    return found
