"""A model words drafts: title, when_to_use, levels and mistakes. What they decide, and by which program, is not its to say.

    draft and members --prompt--> reply --read--> texts --each one linted--> draft in better words

The model is shown what the templates were filled from: shares of phrases, what programs found, and requests without their
values. It sees nothing that a policy wrote, for a rubric is what a policy must not have a hand in. A text that is
no better than the template's by lint, that hides something or that is too long, is left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from attrs import evolve, frozen

from scribe_core.aio import gathered
from scribe_core.builtin.situation import request_of
from scribe_core.judging import CallError, Model, Prompt
from scribe_core.judging.fence import is_visible, neutral
from scribe_core.judging.replies import last_said
from scribe_core.judging.templates import Template, cut, strict_object
from scribe_core.skills import NEAR_DUPLICATE, Library, Prototype, alike, lint
from scribe_core.types import Json
from scribe_mine import wording
from scribe_mine.members import Member, masked

log = structlog.get_logger("scribe.mine")

VERSION = 2
LONGEST_TEXT = 400
SHOWN = 8
"""Members whose requests are shown."""
LONGEST_REQUEST = 300

_TASK = """\
# Task
A draft was made of many steps of one kind, from their statistics. Say better what its texts say, and nothing else: which \
checks there are, what decides them and what each mistake costs is settled. Every text has to hold for all steps of this \
kind, so it has no names, no numbers and no value or topic of one example. One or two plain sentences each.

# Reply
Reply with one JSON object and nothing else:
{"title": ..., "when_to_use": ..., "levels": {"0": ..., "1": ..., "2": ..., "3": ...}, "failure_modes": [{"id": ..., "description": ...}, ...]}
- "title": up to ten words.
- "when_to_use": the situation, and what the assistant does in it, so that no other kind of step fits.
- "levels": what a step of each level is like, from 0 (fails at the root) to 3 (all is done and every check holds).
- "failure_modes": for each id of the draft, its mistake."""
_TEXT: Json = {"type": "string"}
_SCHEMA = strict_object(
    {
        "title": _TEXT,
        "when_to_use": _TEXT,
        "levels": strict_object(dict.fromkeys("0123", _TEXT)),
        "failure_modes": {"type": "array", "items": strict_object({"id": _TEXT, "description": _TEXT})},
    }
)
TEMPLATE = Template(
    name="word",
    version=VERSION,
    purpose="You word a rubric, by which one kind of step of assistants that use tools is graded.",
    head=(_TASK,),
    last="Word the draft. Reply with the JSON object only.",
)


@frozen(kw_only=True)
class Texts:
    """What a model wrote for a draft; what it left out is missing."""

    title: str = ""
    when_to_use: str = ""
    levels: Mapping[int, str]
    modes: Mapping[str, str]


async def worded(
    drafts: Sequence[Prototype], groups: Sequence[Sequence[Member]], model: Model
) -> list[Prototype]:
    """The drafts in the model's words, each where they are sound; `groups` are their members."""
    found = await gathered(_ask(d, m, model) for d, m in zip(drafts, groups, strict=True))
    if causes := [each for each in found if isinstance(each, str)]:
        log.warning("worded_by_templates", drafts=len(causes), of=len(drafts), cause=causes[0])
    taken = [draft.when_to_use for draft in drafts]
    result = []
    for number, (draft, texts) in enumerate(zip(drafts, found, strict=True)):
        new = (
            draft if isinstance(texts, str) else reworded(draft, texts, taken[:number] + taken[number + 1 :])
        )
        # Against the templates and the new words of those before, so that no two are too much alike in the end.
        taken += [new.when_to_use] if new.when_to_use != draft.when_to_use else []
        result.append(new)
    return result


def reworded(draft: Prototype, texts: Texts, others: Sequence[str]) -> Prototype:
    """The draft with each text that is sound; `others` are what the others are for."""
    changed = []
    problems = _problems(draft)
    for name, text in _written(draft, texts):
        new = _with(draft, name, text)
        if not _sound(text) or not _problems(new) <= problems:
            continue
        if name == "when_to_use" and any(alike(text, other) > NEAR_DUPLICATE for other in others):
            continue
        draft = new
        changed.append(name)
    if not changed:
        return draft
    mined = {**draft.provenance["mined"], "worded": changed, "template": TEMPLATE.id}
    notes = "A draft: wording by a model, checks and caps by what programs found in the members."
    return evolve(draft, provenance={**draft.provenance, "notes": notes, "mined": mined})


def _written(draft: Prototype, texts: Texts) -> Iterator[tuple[str, str]]:
    """The texts for what the draft has, each under its name."""
    named = {"title": texts.title, "when_to_use": texts.when_to_use}
    named |= {f"rubric.{level}": texts.levels.get(level, "") for level in sorted(draft.rubric)}
    named |= {f"failure_modes.{mode.id}": texts.modes.get(mode.id, "") for mode in draft.failure_modes}
    yield from ((name, text) for name, text in named.items() if text)


def _with(draft: Prototype, name: str, text: str) -> Prototype:
    part, _, which = name.partition(".")
    if part == "rubric":
        return evolve(draft, rubric={**draft.rubric, int(which): text})
    if part == "failure_modes":
        modes = (evolve(m, description=text) if m.id == which else m for m in draft.failure_modes)
        return evolve(draft, failure_modes=tuple(modes))
    return evolve(draft, title=text) if part == "title" else evolve(draft, when_to_use=text)


def _sound(text: str) -> bool:
    return (
        is_visible(text)
        and len(text) <= LONGEST_TEXT
        and neutral(text).text == text
        and not re.search(r"\d{2,}", text)
    )


def _problems(draft: Prototype) -> set[tuple[str, str]]:
    """What lint finds in a draft by itself."""
    return {
        (each.rule, each.message)
        for each in lint(Library([draft], source="a draft"), ())
        if each.prototype == draft.id
    }


async def _ask(draft: Prototype, members: Sequence[Member], model: Model) -> Texts | str:
    """The texts of a model, or why there are none."""
    prompt = render(draft, members, model.prompt_tokens)
    if prompt is None:
        return "the draft does not fit into prompt_tokens"
    try:
        return await model.ask(prompt, read)
    except CallError as error:
        return str(error)


def render(draft: Prototype, members: Sequence[Member], budget: int) -> Prompt | None:
    """The prompt about a draft; None where it does not fit into `budget` tokens."""
    material = neutral("\n".join(_material(draft, members))).text
    room = TEMPLATE.room(budget, _TASK)
    if room < len(_TASK):
        return None
    return TEMPLATE.prompt(_TASK, {"The draft": cut(material, room)}, _SCHEMA)


def _material(draft: Prototype, members: Sequence[Member]) -> Iterator[str]:
    yield f"title: {draft.title}"
    yield f"when_to_use: {draft.when_to_use}"
    yield f"when_not_to_use: {draft.when_not_to_use}"
    yield from (f"level {level}: {text}" for level, text in sorted(draft.rubric.items()))
    yield from (f"check, costs down to {check.caps}: {check.question}" for check in draft.checks)
    yield from (
        f"failure mode {mode.id}, costs down to {mode.caps}: {mode.description} {mode.example}".rstrip()
        for mode in draft.failure_modes
    )
    yield f"\nof {len(members)} steps:"
    found = wording.shares(members)
    yield from (f"- {share:.0%}: {phrase}" for phrase, share in sorted(found.items()) if share >= 0.05)
    yield "\nrequests before some of these steps, without their values:"
    step = max(1, len(members) // SHOWN)
    yield from (
        f"- {masked(request_of(member.subgoal))[:LONGEST_REQUEST]}" for member in members[::step][:SHOWN]
    )


def read(text: str) -> Texts | None:
    """The texts that a reply holds; None where there is none. The last object of a reply counts."""
    return last_said(text, _texts)


def _texts(value: Mapping[str, Any]) -> Texts | None:
    levels, modes = value.get("levels"), value.get("failure_modes")
    texts = Texts(
        title=_line(value.get("title")).rstrip("."),
        when_to_use=_line(value.get("when_to_use")),
        levels={
            int(level): line
            for level, given in (levels.items() if isinstance(levels, dict) else ())
            if level in ("0", "1", "2", "3") and (line := _line(given))
        },
        modes={
            each["id"]: line
            for each in (modes if isinstance(modes, list) else ())
            if isinstance(each, dict)
            and isinstance(each.get("id"), str)
            and (line := _line(each.get("description")))
        },
    )
    return texts if texts.title or texts.when_to_use or texts.levels or texts.modes else None


def _line(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
