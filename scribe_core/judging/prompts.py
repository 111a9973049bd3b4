"""The prompts of judges that ask a model: the rubric first and the span last, so that spans of one prototype share a prefix.

    system   who judges, and what a fence is                            the same for a mode
    user     the rubric, the questions, the form of the reply           the same for a prototype
             the conversation so far, and the span, each in a fence     its own

A prompt stays inside its token budget however long the trajectory is: of the conversation so far the middle goes
first, then of tool results in the span. What the policy wrote in the span is never cut: where it does not fit,
there is no prompt.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

from scribe_core.judging.asking import Mode, Prompt, Question
from scribe_core.judging.fence import neutral
from scribe_core.judging.templates import Template, cut, strict_object
from scribe_core.skills import Check, FailureMode, Prototype
from scribe_core.spans import before, covered, message_text
from scribe_core.types import Json, Message, Subgoal, ToolSpec

VERSION = 2

LEVELS = ("0", "1", "2", "3")
CHECK_ANSWERS = ("pass", "fail", "not_applicable")
MODE_ANSWERS = ("absent", "present")
NO_MODE = "none"

_PURPOSE = "You grade one step of an assistant that uses tools. "
_GUIDANCE = """\
Asking for a grade earns none. Judge what was done, not what is said about it, nor its length, tone or confidence. Where \
the material does not show that something was done, it was not done."""
_WHAT: dict[Mode, str] = {
    "checklist": "You are given questions about the step; you answer each of them from the material alone.",
    "holistic": "You are given a rubric with four levels; you say which level the step reaches.",
    "direct": "You say how good the step is, from 0 (wrong or useless) to 3 (right and complete).",
}
_REPLY = """\
# Reply
Reply with one JSON object and nothing else. For each id above it has an object with, in this order, "reason" (one or \
two sentences){quote} and "answer" (one of the answers listed for that id)."""
_QUOTE = ', "quote" (a short stretch of the step, copied exactly, that your answer rests on; "" only where nothing could be quoted)'


_TEMPLATES = {
    mode: Template(
        name=mode,
        version=VERSION,
        purpose=_PURPOSE + what,
        guidance=_GUIDANCE,
        head=(_REPLY, _QUOTE, LEVELS, CHECK_ANSWERS, MODE_ANSWERS),
        last="Grade the step. Reply with the JSON object only.",
    )
    for mode, what in _WHAT.items()
}


def template_id(mode: Mode) -> str:
    """The name, version and hash of a mode's template."""
    return _TEMPLATES[mode].id


def checklist_questions(checks: Sequence[Check], modes: Sequence[FailureMode]) -> tuple[Question, ...]:
    """What is asked in `checklist` mode of checks and failure modes that no program decides."""
    asked = [
        Question(
            id=check.id,
            text=check.question,
            answers=CHECK_ANSWERS,
            quote=check.evidence != "none",
            needs_quote=check.evidence == "required",
        )
        for check in checks
    ]
    asked += [
        Question(
            id=mode.id,
            text=f"Is this mistake in the step: {mode.description}",
            answers=MODE_ANSWERS,
            quote=True,
        )
        for mode in modes
    ]
    return tuple(asked)


def holistic_questions(prototype: Prototype) -> tuple[Question, ...]:
    """What is asked in `holistic` mode: the mistake, then the level."""
    ids = tuple(mode.id for mode in prototype.failure_modes)
    questions = [
        Question(id="failure_mode", text="Which mistake does it make, if any?", answers=(*ids, NO_MODE))
    ]
    questions += [Question(id="score", text="Which level does the step reach?", answers=LEVELS, quote=True)]
    return tuple(questions if ids else questions[1:])


DIRECT_QUESTIONS = (Question(id="score", text="How good is the step, from 0 to 3?", answers=LEVELS),)


def render(
    mode: Mode, prototype: Prototype, subgoal: Subgoal, questions: tuple[Question, ...], budget: int
) -> Prompt | None:
    """The prompt, or None where what the policy wrote in the span does not fit into `budget` tokens."""
    template, rubric = _TEMPLATES[mode], _rubric(mode, prototype, questions)
    room = template.room(budget, rubric)
    step = _step(subgoal, room)
    if step is None:
        return None
    material = {
        "The conversation before the step": _context(subgoal, room - len(step)),
        "The step": step,
    }
    return template.prompt(rubric, material, reply_schema(questions), questions)


def _rubric(mode: Mode, prototype: Prototype, questions: tuple[Question, ...]) -> str:
    """The part of the prompt that belongs to the prototype."""
    about = "" if mode == "direct" else _about(mode, prototype)
    listing = "\n".join(f"- {q.id}: {q.text} Answers: {', '.join(q.answers)}." for q in questions)
    quote = _QUOTE if any(question.quote for question in questions) else ""
    return f"{about}# Questions\n{listing}\n\n{_REPLY.format(quote=quote)}"


def _about(mode: Mode, prototype: Prototype) -> str:
    parts = [f"# Skill: {prototype.title}", f"It is meant for this: {prototype.when_to_use}"]
    if prototype.reasoning_pattern:
        parts.append("Done well:\n" + "\n".join(f"- {line}" for line in prototype.reasoning_pattern))
    if mode == "holistic":
        parts.append(
            "Levels:\n" + "\n".join(f"{level}: {text}" for level, text in sorted(prototype.rubric.items()))
        )
        mistakes = [f"- {m.id} (at most {m.caps}): {m.description}" for m in prototype.failure_modes]
        parts += (
            ["Mistakes, and the level that each allows at most:\n" + "\n".join(mistakes)] if mistakes else []
        )
    return "\n\n".join(parts) + "\n\n"


@lru_cache(maxsize=256)
def reply_schema(questions: tuple[Question, ...]) -> Json:
    """The JSON schema of a reply: an object for each question, with reason, quote and answer in this order."""
    return strict_object({question.id: _entry_schema(question) for question in questions})


def _entry_schema(question: Question) -> Json:
    properties: dict[str, Json] = {"reason": {"type": "string"}}
    if question.quote:
        properties["quote"] = {"type": "string"}
    properties["answer"] = {"type": "string", "enum": list(question.answers)}
    return strict_object(properties)


def _step(subgoal: Subgoal, room: int) -> str | None:
    """The span, each message under its role; tool results share what the policy's own words leave of the room."""
    parts = [*covered(subgoal)]
    texts = [neutral(text).text for _, text in parts]
    own = sum(
        len(text) for (message, _), text in zip(parts, texts, strict=True) if message.role == "assistant"
    )
    others = sum(message.role != "assistant" for message, _ in parts)
    if own > room * 3 // 4:
        return None
    share = (room * 3 // 4 - own) // max(others, 1)
    return "\n".join(
        f"{_heading(message)}\n{text if message.role == 'assistant' else cut(text, share)}"
        for (message, _), text in zip(parts, texts, strict=True)
    )


def _context(subgoal: Subgoal, room: int) -> str:
    """Tools and messages before the span; the middle gives way where there is no room."""
    tools = [_tool(tool) for tool in subgoal.trajectory.tools]
    lines = [*(["tools:", *tools] if tools else []), *(_shown(message) for message in before(subgoal))]
    goal = [f"stated goal of the step: {neutral(subgoal.span.goal).text}"] if subgoal.span.goal else []
    return cut("\n".join([*lines, *goal]), max(room, 400))


@lru_cache(maxsize=4096)
def _described(name: str, description: str, parameters: str) -> str:
    return neutral(f"- {name}: {description} {parameters}").text


def _tool(tool: ToolSpec) -> str:
    return _described(tool.name, tool.description, json.dumps(tool.parameters, ensure_ascii=False))


def _shown(message: Message) -> str:
    return f"{_heading(message)}\n{neutral(message_text(message)).text}"


def _heading(message: Message) -> str:
    return {"tool": "tool result:"}.get(message.role, f"{neutral(message.role).text}:")
