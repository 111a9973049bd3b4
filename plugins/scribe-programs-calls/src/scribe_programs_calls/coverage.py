"""Whether the calls do all that is asked, and nothing twice.

What was called about a request counts whenever it was called, up to the next user message: a policy may take
several turns.
"""

from collections.abc import Sequence
from functools import lru_cache

from scribe_core.builders import program
from scribe_core.builtin.situation import is_error
from scribe_core.types import Finding, Subgoal, ToolCall
from scribe_programs_calls.asked import Asked, beside_used, less_often_used, what_is_asked
from scribe_programs_calls.crossings import incomplete_crossing
from scribe_programs_calls.grounding import ungrounded
from scribe_programs_calls.parallels import connectives, listed_beside_used, ordinals
from scribe_programs_calls.reading import (
    MOST_CALLS,
    NOT_APPLICABLE,
    PASS,
    Asking,
    asking,
    call_key,
    calls,
    exchange_calls,
    failed,
    known_calls,
    own,
    repetitions,
    request,
    results,
    tools,
)
from scribe_programs_calls.slots import misplaced


@program
def request_values_used(subgoal: Subgoal) -> Finding:
    """Whether there is no sign that something the request asks for is left out."""
    return _at_most(subgoal, 0)


@program
def all_requested_calls_made(subgoal: Subgoal) -> Finding:
    """Whether each of several things that the request plainly lists has its call."""
    made, text = exchange_calls(subgoal), request(subgoal)
    if not calls(subgoal) or not text:
        return NOT_APPLICABLE
    if len(made) < ordinals(text):
        return failed(f"the request counts up {ordinals(text)} things; {len(made)} calls were made")
    mention = beside_used(_asked(asking(subgoal)))
    if mention is not None:
        return failed(f"no call is for {mention.text[:80]!r}, though one is for its like")
    return _at_most(subgoal, 1)


@program
def request_largely_covered(subgoal: Subgoal) -> Finding:
    """Whether there are fewer than three signs that parts of the request are left out."""
    return _at_most(subgoal, 2)


def _at_most(subgoal: Subgoal, tolerated: int) -> Finding:
    if not known_calls(calls(subgoal), tools(subgoal)) or not request(subgoal):
        return NOT_APPLICABLE
    signs = _signs(asking(subgoal))
    return PASS if len(signs) <= tolerated else failed(f"left out: {'; '.join(signs)}")


@lru_cache(maxsize=8)
def _asked(about: Asking) -> Asked:
    return what_is_asked(about.text, about.made, about.called)


@lru_cache(maxsize=8)
def _signs(about: Asking) -> tuple[str, ...]:
    return tuple(left_out(_asked(about), about.made).values())


def left_out(asked: Asked, made: Sequence[ToolCall]) -> dict[str, str]:
    """Signs, each of another kind, that calls leave out something that the request asks for."""
    signs = {f"unused {mention.kind}": repr(mention.text[:60]) for mention in asked.unused}
    if len(made) < connectives(asked.text):
        signs["connectives"] = f"{connectives(asked.text)} things joined by connectives"
    if (mention := beside_used(asked)) is not None:
        signs["beside"] = f"{mention.text[:60]!r} beside a used value"
    if (value := less_often_used(asked, made)) is not None:
        signs["times"] = f"{value[:60]!r} as often as it is named"
    if (word := listed_beside_used(asked, made)) is not None:
        signs["listed"] = f"{word[:60]!r} in one list with a used word"
    if (name := incomplete_crossing(asked.text, made)) is not None:
        signs["crossing"] = f"one pair of values for {name[:60]}"
    return signs


@program
def few_doubtful_values(subgoal: Subgoal) -> Finding:
    """Whether at most one thing about the values is doubtful: a source, a place, a value left out."""
    if not known_calls(calls(subgoal), tools(subgoal)):
        return NOT_APPLICABLE
    unfounded = [leaf.place for leaf in ungrounded(subgoal)]
    doubts = unfounded + [reason for _, reason in misplaced(subgoal)][:1]
    if request(subgoal):
        doubts += _signs(asking(subgoal))[:1]
    return PASS if len(doubts) < 2 else failed(f"doubtful: {', '.join(doubts[:4])}")


@program
def no_repeated_call(subgoal: Subgoal) -> Finding:
    """Whether no two calls of one message are the same."""
    offered = tools(subgoal)
    for message in own(subgoal):
        seen: set[str] = set()
        for call in message.tool_calls[:MOST_CALLS]:
            if (key := call_key(call, offered.get(call.name))) in seen:
                return failed(f"{call.name[:80]} is called twice with the same arguments", subgoal, call.name)
            seen.add(key)
    return PASS if calls(subgoal) else NOT_APPLICABLE


@program
def no_answered_call_again(subgoal: Subgoal) -> Finding:
    """Whether no call is made again that a tool has already answered."""
    if not calls(subgoal) or not results(subgoal):
        return NOT_APPLICABLE
    again = next((call.name for call, result in repetitions(subgoal) if not is_error(result)), None)
    return PASS if again is None else failed(f"{again[:80]} was already answered", subgoal, again)
