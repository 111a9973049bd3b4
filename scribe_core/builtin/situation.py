"""What a subgoal's situation and the coarse shape of its action are, in the fixed phrases of `lexical`.

Nothing here reads what the policy says, beyond whether it says anything and whether it tries to call a tool.
"""

import json
import re
from collections.abc import Iterator, Sequence

from scribe_core.spans import message_text, span_calls, span_messages
from scribe_core.types import Message, Subgoal, Trajectory

_OFFERED = ("no tools offered", "one tool offered", "several tools offered")
_CALLED = ("no call made", "one call made", "several calls made")
PHRASES = (
    *_OFFERED,
    *("no request", "request for one thing", "request for several things"),
    *("first request", "follow-up request"),
    *("first action", "after a tool result", "after a tool error"),
    *_CALLED,
    *("same tool called", "different tools called", "malformed call", "unknown tool called"),
    *("text answer", "text beside a call", "empty answer"),
    *("call succeeded", "call failed"),
)

_RESULTS = ("tool", "function")
_MAX_CHARS = 20_000
"""A request or a result is looked at no further, whatever was put into it."""

_SEVERAL = re.compile(
    r"\b(?:also|additionally|respectively|both|each|then|afterwards|separately|finally|furthermore|secondly"
    r"|moreover|another|as well as)\b|;|\?[^?]*\?|\band\b.*\band\b|\b\w+, (?:\w+ ){0,3}\w+,? and \w"
    r"|\n[ \t]*(?:[-*]|\d+[.)])\s",
    re.IGNORECASE | re.DOTALL,
)
_TRIES_TO_CALL = re.compile(
    r"<\|?(?:tool_call|function_call|python_tag)|\[TOOL_CALLS\]|[\"'](?:tool_calls|function_call)[\"']\s*:"
    r"|[\"'](?:arguments|parameters)[\"']\s*:"
)
_SAYS_ERROR = re.compile(r"\s*error\b", re.IGNORECASE)


def phrases_of(subgoal: Subgoal) -> frozenset[str]:
    """The phrases of `PHRASES` that hold for a subgoal."""
    return frozenset((*_situation(subgoal), *_action(subgoal)))


def request_of(subgoal: Subgoal) -> str:
    """The last user message before the policy acts in the span; empty where there is none."""
    users = [message for message in _earlier(subgoal) if message.role == "user"]
    return users[-1].content[:_MAX_CHARS] if users else ""


def called_tools(subgoal: Subgoal) -> list[str]:
    """Names of offered tools that were called; others are the policy's own words."""
    offered = {tool.name for tool in subgoal.trajectory.tools}
    return [call.name for call in span_calls(subgoal) if call.name in offered]


def is_error(result: Message) -> bool:
    """Whether a tool's answer says that the call failed."""
    content = result.content[:_MAX_CHARS]
    if result.extra.get("is_error") is True or _SAYS_ERROR.match(content):
        return True
    if '"error"' not in content:
        return False
    try:
        value = json.loads(result.content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value.get("error"))


def _earlier(subgoal: Subgoal) -> Sequence[Message]:
    """The messages before the policy's first one in the span."""
    messages, start = subgoal.trajectory.messages, subgoal.span.start[0]
    stop = subgoal.span.end[0] + (subgoal.span.end[1] > 0)
    acts = (index for index in range(start, min(stop, len(messages))) if messages[index].role == "assistant")
    return messages[: next(acts, start)]


def _situation(subgoal: Subgoal) -> Iterator[str]:
    earlier = _earlier(subgoal)
    requests = [index for index, message in enumerate(earlier) if message.role == "user"]
    yield _OFFERED[min(len(subgoal.trajectory.tools), 2)]
    if not requests:
        yield "no request"
    else:
        several = _SEVERAL.search(earlier[requests[-1]].content[:_MAX_CHARS])
        yield "request for several things" if several else "request for one thing"
        yield "first request" if len(requests) == 1 else "follow-up request"
    since = earlier[requests[-1] + 1 :] if requests else earlier
    results = _last_results(since)
    # The policy's own words do not count, else it could change its situation by talking first.
    if not results:
        yield "first action"
    else:
        yield "after a tool error" if any(map(is_error, results)) else "after a tool result"


def _last_results(messages: Sequence[Message]) -> list[Message]:
    results: list[Message] = []
    for message in reversed(messages):
        if message.role in _RESULTS:
            results.append(message)
        elif results:
            break
    return results


def _action(subgoal: Subgoal) -> Iterator[str]:
    messages, calls = span_messages(subgoal), span_calls(subgoal)
    own = [message for message in messages if message.role == "assistant"]
    results = [message for message in messages if message.role in _RESULTS]
    yield _CALLED[min(len(calls), 2)]
    if len(calls) > 1:
        yield "same tool called" if len({call.name for call in calls}) == 1 else "different tools called"
    if any(isinstance(call.arguments, str) for call in calls) or (
        not calls and _tries_to_call(own, subgoal.trajectory)
    ):
        yield "malformed call"
    offered = {tool.name for tool in subgoal.trajectory.tools}
    if any(call.name not in offered for call in calls):
        yield "unknown tool called"
    words = any(message.content.strip() or (message.raw or "").strip() for message in own)
    if calls:
        yield from ["text beside a call"] if any(message.content.strip() for message in own) else []
    else:
        yield "text answer" if words else "empty answer"
    if results:
        yield "call failed" if any(map(is_error, results)) else "call succeeded"


def _tries_to_call(own: Sequence[Message], trajectory: Trajectory) -> bool:
    text = "\n".join(map(message_text, own))[:_MAX_CHARS]
    return bool(_TRIES_TO_CALL.search(text)) or any(f"{tool.name}(" in text for tool in trajectory.tools)
