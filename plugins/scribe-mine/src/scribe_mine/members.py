"""From trajectories to members: a subgoal each, with what of it says which skill it exercises.

What a span is worth is left out of what describes it: whether a call succeeded, was well formed or named a tool that
exists tells good members of a skill from bad ones, not one skill from another. Names of tools are left out too, and
so is every value: numbers, what stands in quotes, and capitalised names are masked.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from scribe_core.builtin.situation import phrases_of, request_of
from scribe_core.protocols import Segmenter
from scribe_core.spans import span_calls, span_messages
from scribe_core.types import Subgoal, ToolCall, Trajectory

QUALITY = frozenset(
    ("malformed call", "unknown tool called", "call succeeded", "call failed", "text beside a call")
)
"""Phrases that tell how well something was done, or with how many words, rather than what."""

_MAX_CHARS = 4_000
_MAX_CALLS = 16
_MAX_VALUES = 32
_VALUE = re.compile(
    r"\"[^\"\n]*\"|'[^'\n]{2,}?'(?!\w)|`[^`\n]*`|(?<=[a-z,] )[A-Z][\w-]*|\S*\d\S*|\S*[/@_.]\w\S*"
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@frozen(kw_only=True)
class Member:
    """A subgoal, its skill's name where the policy said one, and what describes the step.

    `phrases` are of the situation and of what was done in it; `shape` counts the types of the arguments and the
    calls; `request` and `said` are the words of the last request and of an answer in place of calls. `part` is the share
    that it has in its trajectory, for the outcome is that of all of it.
    """

    subgoal: Subgoal
    goal: str
    phrases: frozenset[str]
    shape: Mapping[str, int]
    request: tuple[str, ...]
    said: tuple[str, ...]
    part: float = 1.0

    @property
    def id(self) -> str:
        """Where it stands: the trajectory and the message that it begins with."""
        return f"{self.subgoal.trajectory.id}#{self.subgoal.span.start[0]}"

    @property
    def outcome(self) -> float | None:
        return self.subgoal.trajectory.outcome

    @property
    def is_last(self) -> bool:
        """Whether nothing follows it."""
        return self.subgoal.span.end[0] >= len(self.subgoal.trajectory.messages)

    def alone(self) -> "Member":
        """The same without what follows it, and without the outcome."""
        span, trajectory = self.subgoal.span, self.subgoal.trajectory
        kept = trajectory.messages[: span.end[0] + (span.end[1] > 0)]
        cut = evolve(trajectory, messages=kept, outcome=None, metadata={}, extra={})
        return evolve(self, subgoal=Subgoal(trajectory=cut, span=span))


async def members_of(trajectories: Sequence[Trajectory], segmenter: Segmenter) -> list[Member]:
    """The subgoals of all trajectories that did not break off with an error, in order."""
    usable = [trajectory for trajectory in trajectories if trajectory.status != "error"]
    spans = await segmenter.segment(usable)
    return [
        describe(Subgoal(trajectory=trajectory, span=span), 1 / len(found))
        for trajectory, found in zip(usable, spans, strict=True)
        for span in found
    ]


def describe(subgoal: Subgoal, part: float = 1.0) -> Member:
    """The member that a subgoal is."""
    calls = span_calls(subgoal)[:_MAX_CALLS]
    own = [message for message in span_messages(subgoal) if message.role == "assistant"]
    said = "" if calls else "\n".join(message.content for message in own)
    return Member(
        subgoal=subgoal,
        goal=masked(subgoal.span.goal),
        phrases=phrases_of(subgoal) - QUALITY,
        shape=Counter(_shape(calls)),
        request=tuple(words(masked(request_of(subgoal)))),
        said=tuple(words(masked(said))),
        part=part,
    )


def masked(text: str) -> str:
    """A text without values: what one problem has and the next one has not."""
    return " ".join(_VALUE.sub(" ", text[:_MAX_CHARS]).split())


def words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _shape(calls: Sequence[ToolCall]) -> Iterator[str]:
    for call in calls:
        if isinstance(call.arguments, str):
            yield "text in place of arguments"
            continue
        for value in list(call.arguments.values())[:_MAX_VALUES]:
            yield _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "switches"
    if isinstance(value, (int, float)):
        return "numbers"
    if isinstance(value, str):
        return "texts"
    return "lists" if isinstance(value, (list, tuple)) else "objects"
