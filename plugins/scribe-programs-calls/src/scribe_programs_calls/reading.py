"""What a subgoal offers to the programs: its request, what was known before, its calls and their results.

Positions are those of whole messages: a span that touches a message covers it.
"""

import json
from collections.abc import Mapping, Sequence

from scribe_core.builtin.situation import is_error
from scribe_core.spans import canonical_json, message_text
from scribe_core.types import Finding, Json, Message, Subgoal, ToolCall, ToolSpec

MOST_TEXT = 60_000
"""Characters of a text that are looked at."""
MOST_CALLS = 64
"""Calls of a span or an exchange that are looked at."""
RESULTS = ("tool", "function")
NOT_APPLICABLE = Finding(answer="not_applicable")
PASS = Finding(answer="pass")


def indices(subgoal: Subgoal) -> range:
    """Positions of the span's messages, empty ones included."""
    span, count = subgoal.span, len(subgoal.trajectory.messages)
    return range(span.start[0], min(span.end[0] + (span.end[1] > 0), count))


def own(subgoal: Subgoal) -> list[Message]:
    """The assistant messages of the span: what the policy did."""
    messages = subgoal.trajectory.messages
    return [messages[i] for i in indices(subgoal) if messages[i].role == "assistant"]


def own_text(subgoal: Subgoal) -> str:
    """What the policy said in the span, beside its calls."""
    return "\n".join(message.content for message in own(subgoal))[:MOST_TEXT]


def calls(subgoal: Subgoal) -> list[ToolCall]:
    """The calls made in the span, at most `MOST_CALLS`."""
    return [call for message in own(subgoal) for call in message.tool_calls][:MOST_CALLS]


def tools(subgoal: Subgoal) -> dict[str, ToolSpec]:
    """Offered tools by name."""
    return {tool.name: tool for tool in subgoal.trajectory.tools}


def known_calls(made: Sequence[ToolCall], offered: Mapping[str, ToolSpec]) -> list[tuple[ToolSpec, Json]]:
    """Tool and arguments of those calls that name an offered tool and have an object of arguments."""
    return [
        (offered[call.name], call.arguments)
        for call in made
        if call.name in offered and isinstance(call.arguments, Mapping)
    ]


def start_of_acting(subgoal: Subgoal) -> int:
    """The position of the span's first assistant message, or the span's start where it has none."""
    inside = indices(subgoal)
    messages = subgoal.trajectory.messages
    return next((i for i in inside if messages[i].role == "assistant"), inside.start)


def end_of_acting(subgoal: Subgoal) -> int:
    """The position of the span's last assistant message."""
    messages = subgoal.trajectory.messages
    return max((i for i in indices(subgoal) if messages[i].role == "assistant"), default=indices(subgoal).start)


def request_position(subgoal: Subgoal) -> int | None:
    """The position of the last user message before the policy acts in the span."""
    messages = subgoal.trajectory.messages
    return next((i for i in range(start_of_acting(subgoal) - 1, -1, -1) if messages[i].role == "user"), None)


def request(subgoal: Subgoal) -> str:
    """The text of the user's last message before the policy acts in the span."""
    position = request_position(subgoal)
    return "" if position is None else subgoal.trajectory.messages[position].content[:MOST_TEXT]


def known_text(subgoal: Subgoal) -> str:
    """What users, systems and tools had said before the span's last action; the end of it where it is long."""
    messages = subgoal.trajectory.messages[: end_of_acting(subgoal)]
    texts = [message.content[-MOST_TEXT:] for message in messages if message.role != "assistant"]
    return "\n".join(texts)[-MOST_TEXT:]


def exchange(subgoal: Subgoal) -> Sequence[Message]:
    """The messages from the request up to the next user message: all that was done about it."""
    messages, position = subgoal.trajectory.messages, request_position(subgoal)
    first = 0 if position is None else position + 1
    later = range(start_of_acting(subgoal), len(messages))
    return messages[first : next((i for i in later if messages[i].role == "user"), len(messages))]


def exchange_calls(subgoal: Subgoal) -> list[ToolCall]:
    """All calls made about the request, whenever they were made."""
    return [call for message in exchange(subgoal) for call in message.tool_calls][:MOST_CALLS]


def results(subgoal: Subgoal) -> list[Message]:
    """Tool results after the request and before the policy acts in the span."""
    position = request_position(subgoal)
    messages = subgoal.trajectory.messages[0 if position is None else position : start_of_acting(subgoal)]
    return [message for message in messages if message.role in RESULTS]


def answered_calls(subgoal: Subgoal) -> list[tuple[ToolCall, Message]]:
    """Calls after the request and before the span, each with its result: by id, else in order."""
    position, pairs = request_position(subgoal), []
    waiting: list[ToolCall] = []
    for message in subgoal.trajectory.messages[(position or 0) : start_of_acting(subgoal)]:
        waiting.extend(message.tool_calls[:MOST_CALLS])
        if message.role in RESULTS and waiting:
            by_id = (i for i, call in enumerate(waiting) if call.id and call.id == message.tool_call_id)
            pairs.append((waiting.pop(next(by_id, 0)), message))
    return pairs[:MOST_CALLS]


def same_call(one: ToolCall, other: ToolCall) -> bool:
    """Whether two calls ask for the same thing."""
    return one.name == other.name and key_of(one.arguments) == key_of(other.arguments)


def key_of(value: object) -> str:
    """One text per value; values that JSON cannot write are told apart by their representation."""
    try:
        return canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return repr(type(value))


def failed(reason: str, subgoal: Subgoal | None = None, *values: object) -> Finding:
    """A failed finding; of `values`, those that stand in the span's own text become quotes."""
    evidence = [] if subgoal is None else [quote for value in values[:8] if (quote := _quote(subgoal, value))]
    return Finding(answer="fail", reason=reason[:400], evidence=tuple(dict.fromkeys(evidence)))


def undecided(reason: str) -> Finding:
    """A finding that leaves the question open."""
    return Finding(answer="undecided", reason=reason)


def _quote(subgoal: Subgoal, value: object) -> str | None:
    """The value as the span writes it, in one of the usual ways to write it."""
    texts = [message_text(message)[:MOST_TEXT] for message in own(subgoal)]
    for written in _writings(value):
        if 0 < len(written) <= 200 and any(written in text for text in texts):
            return written
    return None


def _writings(value: object) -> list[str]:
    plain = [value] if isinstance(value, str) else []
    try:
        return [*plain, key_of(value), json.dumps(value)]
    except (TypeError, ValueError, RecursionError):
        return plain


