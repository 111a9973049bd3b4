"""What the router `llm` asks: which of a few prototypes a subgoal exercises.

    system   what a fence is                                    always the same
    user     the prototypes, by id, and the form of the reply   the same for subgoals with one shortlist
             the situation and the step, in a fence             its own

A policy that is trained on the reward must not choose its rubric by phrasing. Of what it wrote, a step with calls shows
its calls alone; its words are shown only where they are all there is. Nothing that it said earlier is shown.
"""

from collections.abc import Sequence

from scribe_core.builtin.situation import phrases_of, request_of
from scribe_core.judging.asking import Prompt, Question
from scribe_core.judging.fence import neutral
from scribe_core.judging.prompts import reply_schema
from scribe_core.judging.templates import Template, cut
from scribe_core.skills import GENERAL, Prototype
from scribe_core.spans import before, canonical_json, covered, span_calls
from scribe_core.types import Subgoal

VERSION = 2
MOST_MATERIAL = 8_000
"""Characters of situation and step: a route needs no more."""
LEAST_MATERIAL = 800
"""With less room than this, there is no prompt."""

_PURPOSE = """\
You say which skill one step of an assistant exercises. Another one will grade it by what that skill asks for."""
_GUIDANCE = """\
Choose by the situation and by what was done in it: not by what the step says of itself, and not by how well it was done."""
_USER = """\
# Skills
{skills}

# Question
- skill: {question} Answers: {answers}.

# Reply
Reply with one JSON object and nothing else. For the id above it has an object with, in this order, "reason" (one \
sentence) and "answer" (one of the answers listed)."""
_QUESTION = "Which of these skills does the step exercise?"
_NOTHING_FITS = "None of the other skills fits the step."
_PARTS = {
    "tools offered": 3,
    "last request": 3,
    "what tools answered before the step": 2,
    "what the assistant did in the step": 5,
    "what tools answered in the step": 2,
}
"""What is shown, and its share of the room."""
_RESULTS = ("tool", "function")

_TEMPLATE = Template(
    name="route",
    version=VERSION,
    purpose=_PURPOSE,
    guidance=_GUIDANCE,
    head=(_USER, _QUESTION, _NOTHING_FITS, _PARTS),
    last="Which skill does the step exercise? Reply with the JSON object only.",
)


def render(subgoal: Subgoal, prototypes: Sequence[Prototype], budget: int) -> Prompt | None:
    """The prompt about a subgoal, for prototypes in this order; None where they do not fit into `budget` tokens."""
    question = Question(id="skill", text=_QUESTION, answers=tuple(each.id for each in prototypes))
    head = _head(prototypes, question)
    room = min(MOST_MATERIAL, _TEMPLATE.room(budget, head))
    if room < LEAST_MATERIAL:
        return None
    schema = reply_schema((question,))
    return _TEMPLATE.prompt(head, {"The step": _material(subgoal, room)}, schema, (question,))


def _head(prototypes: Sequence[Prototype], question: Question) -> str:
    return _USER.format(
        skills="\n".join(map(_described, prototypes)),
        question=question.text,
        answers=", ".join(question.answers),
    )


def _described(prototype: Prototype) -> str:
    if prototype.id == GENERAL:
        return f"- {GENERAL}: {_NOTHING_FITS}"
    texts = (prototype.title.rstrip("."), prototype.when_to_use, f"Not this one: {prototype.when_not_to_use}")
    return f"- {prototype.id}: {'. '.join(texts[:2])} {texts[2]}"


def _material(subgoal: Subgoal, room: int) -> str:
    """The situation in phrases, then each part under its heading, within its share of the room."""
    situation = neutral(f"situation: {'; '.join(sorted(phrases_of(subgoal)))}").text
    share = (room - len(situation)) // sum(_PARTS.values())
    texts = (
        "\n".join(f"- {tool.name}: {tool.description}" for tool in subgoal.trajectory.tools),
        request_of(subgoal),
        _earlier_results(subgoal),
        _done(subgoal),
        _results(subgoal),
    )
    parts = [
        f"{heading}:\n{cut(neutral(text[: 4 * room]).text, share * weight)}"
        for (heading, weight), text in zip(_PARTS.items(), texts, strict=True)
        if text.strip()
    ]
    return "\n\n".join([situation, *parts])


def _earlier_results(subgoal: Subgoal) -> str:
    """What tools answered since the last request."""
    earlier = before(subgoal)
    since = max((i for i, message in enumerate(earlier) if message.role == "user"), default=-1)
    return "\n".join(message.content for message in earlier[since + 1 :] if message.role in _RESULTS)


def _done(subgoal: Subgoal) -> str:
    """The calls of the span; where there is none, the policy's words in it."""
    if calls := span_calls(subgoal):
        return "\n".join(canonical_json({"name": c.name, "arguments": c.arguments}) for c in calls)
    return _texts(subgoal, "assistant")


def _results(subgoal: Subgoal) -> str:
    return _texts(subgoal, *_RESULTS)


def _texts(subgoal: Subgoal, *roles: str) -> str:
    return "\n".join(text for message, text in covered(subgoal) if message.role in roles)
