"""What a subgoal says: the policy's own words in the span, the problem, and what tools answered."""

import re
from collections.abc import Iterator

from scribe_core.spans import message_text, pieces, span_text
from scribe_core.types import Finding, Message, Subgoal
from scribe_programs_math.tokens import MOST_TEXT

NOT_APPLICABLE = Finding(answer="not_applicable")
PASS = Finding(answer="pass")
RESULTS = ("tool", "function")
_SHOWN = 160
_SENTENCE = re.compile(r"[^.!?\n;]*(?:\.(?=\d)[^.!?\n;]*)*[.!?\n;]*")


def own_text(subgoal: Subgoal) -> str:
    """What the policy says in the span, without its calls."""
    return "\n".join(_own_parts(subgoal))[:MOST_TEXT]


def _own_parts(subgoal: Subgoal) -> Iterator[str]:
    for index, first, end in pieces(subgoal.trajectory, subgoal.span):
        message = subgoal.trajectory.messages[index]
        if message.role == "assistant":
            yield _said(message)[first:end]


def _said(message: Message) -> str:
    return message.content if message.raw is None else message_text(message)


def request(subgoal: Subgoal) -> str:
    """The problem: what system and user said before the span's end."""
    stop = subgoal.span.end[0] + 1
    asked = [m.content for m in subgoal.trajectory.messages[:stop] if m.role in ("system", "user")]
    return "\n".join(asked)[:MOST_TEXT]


def known_text(subgoal: Subgoal) -> str:
    """All that was said before the span: the problem, earlier steps, results."""
    index, char = subgoal.span.start
    messages = subgoal.trajectory.messages
    parts = [_said(message) for message in messages[:index]]
    parts += [_said(messages[index])[:char]] if index < len(messages) else []
    return "\n".join(parts)[-MOST_TEXT:]


def result_messages(subgoal: Subgoal) -> list[Message]:
    """What tools answered before the span's end."""
    stop = subgoal.span.end[0] + (subgoal.span.end[1] > 0)
    return [message for message in subgoal.trajectory.messages[:stop] if message.role in RESULTS]


def is_closing(subgoal: Subgoal) -> bool:
    """Whether the span holds the end of the policy's last message, and that makes no call."""
    messages = subgoal.trajectory.messages
    last = max((i for i, m in enumerate(messages) if m.role == "assistant"), default=None)
    if last is None or messages[last].tool_calls:
        return False
    return any(
        i == last and end >= len(message_text(messages[last]).rstrip())
        for i, _, end in pieces(subgoal.trajectory, subgoal.span)
    )


def sentences(text: str) -> list[tuple[int, str]]:
    """Sentences and lines with where they start; a decimal point ends none."""
    return [(m.start(), m[0]) for m in _SENTENCE.finditer(text[:MOST_TEXT]) if m[0].strip()]


def failed(reason: str, subgoal: Subgoal, *quotes: str) -> Finding:
    """A finding that fails, with those quotes that stand in the span word for word."""
    whole = span_text(subgoal)
    found = (quote.strip()[:_SHOWN].strip() for quote in quotes)
    return Finding(answer="fail", reason=reason, evidence=tuple(q for q in found if q and q in whole))


def passed(subgoal: Subgoal, *quotes: str) -> Finding:
    """A finding that holds, with up to three quotes."""
    return Finding(answer="pass", evidence=failed("", subgoal, *quotes[:3]).evidence)


def undecided(reason: str) -> Finding:
    return Finding(answer="undecided", reason=reason)
