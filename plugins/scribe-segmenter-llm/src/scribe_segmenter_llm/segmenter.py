"""The segmenter `llm`: a model says where subgoals begin, by quotes that are located in what the policy wrote.

trajectory --windows--> prompts --replies--> stated subgoals --located--> cuts --> spans
"""

from collections.abc import Sequence
from typing import ClassVar

import structlog
from attrs import field, frozen
from attrs.validators import ge

from scribe_core.aio import gathered
from scribe_core.builders import part
from scribe_core.builtin.turns import turns
from scribe_core.judging import CallError, Model, borrow
from scribe_core.protocols import Builder, Judge, Segmenter
from scribe_core.types import Message, Span, Trajectory
from scribe_segmenter_llm import prompt
from scribe_segmenter_llm.cutting import Cut, Limits, by_turns, located, spans

log = structlog.get_logger("scribe.segmenter")

MOST_WINDOWS = 32
"""Prompts about one trajectory; one that needs more is cut into its turns."""
LEAST_ROOM = 1_000


@frozen(kw_only=True)
class LLMSegmenter:
    """Asks a model for the subgoals of a trajectory; its turns, where the model gives none that can be found.

    Any judge whose model writes lends it: `openai`, `litellm`, or `cached` around one of these.
    """

    name: ClassVar[str] = "llm"

    judge: Builder[Judge] = part("judges")
    """Whose model is asked; how it judges is of no account."""
    min_chars: int = field(default=40, validator=ge(1))
    """Visible characters of a subgoal that begins or ends inside a message."""
    most_per_message: int = field(default=4, validator=ge(1))
    """How many subgoals may begin in one message."""

    def build(self) -> Segmenter:
        """Raises ConfigError where the judge has no model that writes."""
        return _ModelSegmenter(borrow(self.judge, writes=True), Limits(self.min_chars, self.most_per_message))


@frozen
class _ModelSegmenter:
    model: Model
    limits: Limits

    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        found = await gathered(self._segment(each.messages) for each in trajectories)
        if causes := [cause for _, cause in found if cause]:
            log.warning("cut_into_turns", trajectories=len(causes), of=len(found), cause=causes[0])
        return [each for each, _ in found]

    async def _segment(self, messages: Sequence[Message]) -> tuple[list[Span], str]:
        """The spans of a trajectory, and why some of them are turns, where they are."""
        if not any(message.role == "assistant" for message in messages):
            return [], ""
        room = prompt.room(self.model.prompt_tokens)
        windows = prompt.windows(messages, room) if room >= LEAST_ROOM else []
        if not 0 < len(windows) <= MOST_WINDOWS:
            return list(turns(messages)), "it does not fit into the prompts"
        found = await gathered(self._cuts(messages, first, end, room) for first, end in windows)
        causes = [cause for _, cause in found if cause]
        if len(causes) == len(windows):
            return list(turns(messages)), causes[0]
        cuts = [cut for own, _ in found for cut in own]
        return list(spans(messages, cuts, self.limits)), causes[0] if causes else ""

    async def _cuts(
        self, messages: Sequence[Message], first: int, end: int, room: int
    ) -> tuple[list[Cut], str]:
        """Where subgoals begin in a window, and why these are turns, where they are."""
        if not any(message.role == "assistant" for message in messages[first:end]):
            return [], ""
        try:
            stated = await self.model.ask(prompt.render(messages, first, end, room), prompt.read)
        except CallError as error:
            return by_turns(messages, first, end), str(error)
        if cuts := located(messages, first, end, stated):
            return cuts, ""
        return by_turns(messages, first, end), "none of the quotes stands in the trajectory"
