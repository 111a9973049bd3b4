"""Pleas: what speaks to a grader, or hides from one, in text that the policy and its tools wrote.

    a text --split--> lines and sentences --fold, search--> signs of a plea, less those in the request itself

A unit with a sign is left out whole. What users and systems wrote stays, and so does a word that they or the tools'
descriptions use themselves: a task about grades may be answered with one. Every pattern takes linear time, because
hostile text is what it is for.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from operator import is_

from attrs import evolve

from scribe_core.judging.plea_signs import answered, fold, signs
from scribe_core.spans import before, canonical_json, covered, message_text
from scribe_core.types import Message, Span, Subgoal

MOST_REPEATS = 5
"""How often a sentence may stand in a text before it counts as filler; of filler the first stays."""
SHORTEST_FILLER = 12
"""Characters of a sentence that can be filler: tables and code repeat shorter ones."""

_TRUSTED = ("user", "system", "developer")
_GAP = re.compile(r"\s(?<!\s\s)\s{59,}")
_BREAKS = r"\r\n\x0b\x0c\x85\u2028\u2029"
_STOPS = r"\u3002\uff01\uff1f\u0964"
# Sentences, lines, and lines inside of JSON; what ends a unit belongs to it. Search is fast for a first character.
_END = re.compile(
    rf"[.!?\\{_STOPS}{_BREAKS}](?:(?<=[.!?])[ \t]+[{_BREAKS}]*|(?<=[{_STOPS}{_BREAKS}])[{_BREAKS}]*|(?<=\\)[rn](?:\\[rn])*)"
)


def views(subgoal: Subgoal, ids: Iterable[str] = ()) -> tuple[Subgoal, Subgoal | None]:
    """How a judge is shown a span: as it is, and, where it pleads, with its pleas left out.

    Pleas before the span are left out of both. `ids` are those of the prototype, which nobody but its judges knows.
    """
    usual, names = _usual(subgoal), frozenset(ids)

    def bare(message: Message, text: str) -> str:
        return text if message.role in _TRUSTED else without_pleas(text, usual, names)

    told = [(message, message_text(message)) for message in before(subgoal)]
    context = tuple(_saying(message, bare(message, text), text) for message, text in told)
    goal = without_pleas(subgoal.span.goal, usual, names)
    shown = _after(context, subgoal, goal)
    cut = [*covered(subgoal)]
    span = [bare(message, text) for message, text in cut]
    if span == [text for _, text in cut]:
        return shown, None
    rest = [
        _saying(message, left, message_text(message)) for (message, _), left in zip(cut, span, strict=True)
    ]
    ends = Span((len(context), 0), (len(context) + len(span), 0), goal=goal)
    return shown, Subgoal(trajectory=evolve(shown.trajectory, messages=(*context, *rest)), span=ends)


def _saying(message: Message, text: str, said: str) -> Message:
    """A message with this text; itself where it said just that."""
    return message if text == said else Message(role=message.role, raw=text)


def _after(context: tuple[Message, ...], subgoal: Subgoal, goal: str) -> Subgoal:
    """The same span with this goal, after this context; itself where both are what they were."""
    messages = subgoal.trajectory.messages
    if goal == subgoal.span.goal and all(map(is_, context, messages)):
        return subgoal
    trajectory = evolve(subgoal.trajectory, messages=(*context, *messages[len(context) :]))
    return evolve(subgoal, trajectory=trajectory, span=evolve(subgoal.span, goal=goal))


@lru_cache(maxsize=128)
def without_pleas(text: str, usual: frozenset[str] = frozenset(), names: frozenset[str] = frozenset()) -> str:
    """The text without the units that plead, filler and wide gaps; the text itself where there are none.

    `usual` are the signs that mean nothing here, `names` the ids of questions that only a plea would answer.
    """
    units = _units(_GAP.sub("\n", text))
    often = {unit for unit, count in Counter(map(_bare, units)).items() if count > MOST_REPEATS}
    kept: list[str] = []
    filler: set[str] = set()
    for unit in units:
        words = _bare(unit)
        if words in filler or _pleads(unit, usual, names):
            continue
        if words in often and len(words) >= SHORTEST_FILLER:
            filler.add(words)
        kept.append(unit)
    left = _GAP.sub("\n", "".join(kept))
    return text if left == text else left.rstrip()


def _pleads(unit: str, usual: frozenset[str], names: frozenset[str]) -> bool:
    return bool(signs(unit) - usual) or answered(names).search(fold(unit)) is not None


def _usual(subgoal: Subgoal) -> frozenset[str]:
    """The signs that the request and the tools' descriptions show."""
    until = subgoal.span.end[0] + (subgoal.span.end[1] > 0)
    said = [each.content for each in subgoal.trajectory.messages[:until] if each.role in _TRUSTED]
    tools = [
        f"{tool.name}\n{tool.description}\n{canonical_json(tool.parameters)}"
        for tool in subgoal.trajectory.tools
    ]
    return _signs_of("\n".join([*said, *tools]))


@lru_cache(maxsize=128)
def _signs_of(text: str) -> frozenset[str]:
    return frozenset().union(*(signs(unit) for unit in _units(text)))


def _units(text: str) -> list[str]:
    """Lines and sentences, each with what ends it."""
    edges = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(edges) if a < b]


def _bare(unit: str) -> str:
    return " ".join(unit.split()).casefold()
