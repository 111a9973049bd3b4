"""What a model is asked of a stretch of a trajectory, and what its reply states.

    system   what a fence is                       always the same
    user     the task and the form of the reply    always the same
             the stretch, in a fence               its own

A trajectory that does not fit into one prompt is asked about in windows: each begins with what an assistant did, and is
shown behind the last request. Of a message that is too long by itself, the middle is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from scribe_core.judging.asking import Prompt
from scribe_core.judging.fence import neutral
from scribe_core.judging.replies import last_said
from scribe_core.judging.templates import Template, cut, strict_object
from scribe_core.spans import message_text
from scribe_core.types import Json, Message

VERSION = 2
LONGEST_GOAL = 200
LONGEST_QUOTE = 400
MOST_STATED = 200
"""Subgoals of a reply that are read."""
LONGEST_OTHER = 1_500
"""Characters that are shown of a request or a result: it is the assistant's messages that are cut."""

_TASK = """\
# Task
List the subgoals of the assistant, in the order in which it pursued them. A subgoal is a stretch of consecutive work \
that serves one purpose: a new one begins where the purpose changes, not with each sentence and not with each call. \
Another attempt at the same thing, and a check of it, belong to it. What stands between two beginnings belongs to the \
first of them, and so all that the assistant did belongs to a subgoal.

# Reply
Reply with one JSON object and nothing else: {"subgoals": [{"goal": ..., "quote": ...}, ...]}.
- "goal": what the stretch is for, in a few words.
- "quote": how the stretch begins: its first five to fifteen words, copied exactly from below an "assistant:" heading, \
without the leading "| ". Where it begins with a call, the beginning of the call."""
_TEXT: Json = {"type": "string"}
_SUBGOAL = strict_object({"goal": _TEXT, "quote": _TEXT})
_SCHEMA = strict_object({"subgoals": {"type": "array", "items": _SUBGOAL}})
_HEADINGS = {"tool": "tool result", "function": "tool result"}

_TEMPLATE = Template(
    name="segment",
    version=VERSION,
    purpose="You divide what an assistant did into subgoals, which others then grade one by one.",
    head=(_TASK,),
    last="List the subgoals of the assistant. Reply with the JSON object only.",
)


@frozen
class Stated:
    """A subgoal as a model states it: what it is for, and how it begins."""

    goal: str
    quote: str


def room(budget: int) -> int:
    """The characters of a trajectory for which a prompt of `budget` tokens has room."""
    return _TEMPLATE.room(budget, _TASK) - LONGEST_OTHER


def windows(messages: Sequence[Message], room: int) -> list[tuple[int, int]]:
    """Stretches of messages, as (first, end), that together are all and that fit into the room one by one."""
    borders, size = [0], 0
    for index, message in enumerate(messages):
        length = len(_shown(message, room))
        if size + length > room and message.role == "assistant" and index > borders[-1]:
            borders.append(index)
            size = 0
        size += length
    return list(zip(borders, [*borders[1:], len(messages)], strict=True))


def render(messages: Sequence[Message], first: int, end: int, room: int) -> Prompt:
    """The prompt about the messages from `first` to before `end`."""
    request = next((m for m in reversed(messages[:first]) if m.role == "user"), None)
    parts = [_shown(message, room) for message in messages[first:end]]
    # Results between two windows may make one longer than it should be; its middle gives way.
    text = cut("\n".join(parts), room + LONGEST_OTHER // 2)
    before = f"{_shown(request, LONGEST_OTHER // 2)}\n" if request else ""
    return _TEMPLATE.prompt(_TASK, {"What was done": before + text}, _SCHEMA)


def read(text: str) -> tuple[Stated, ...] | None:
    """The subgoals that a reply states; None where it states none. The last list of a reply counts."""
    return last_said(text, _subgoals)


def _subgoals(value: Mapping[str, Any]) -> tuple[Stated, ...] | None:
    given = value.get("subgoals")
    listed = given[:MOST_STATED] if isinstance(given, list) else []
    return tuple(stated for each in listed if (stated := _stated(each))) or None


def _stated(value: object) -> Stated | None:
    entry = value if isinstance(value, dict) else {}
    goal, quote = entry.get("goal"), entry.get("quote")
    if not isinstance(quote, str) or not quote.strip():
        return None
    said = " ".join(goal[: 2 * LONGEST_GOAL].split()) if isinstance(goal, str) else ""
    return Stated(said[:LONGEST_GOAL], quote[:LONGEST_QUOTE])


def _shown(message: Message, room: int) -> str:
    """A message under its role; only those of the assistant are shown as long as they are."""
    if message.role == "system":
        return ""
    longest = room * 3 // 4 if message.role == "assistant" else LONGEST_OTHER // 2
    heading = _HEADINGS.get(message.role, neutral(message.role[:40]).text)
    return f"{heading}:\n{cut(neutral(message_text(message)).text, longest)}\n"
