"""Conversations of several turns whose generating skills are known, played over the leaderboard's ground truth.

The skill of a turn is what the ground truth says of it, and what the simulated tool answered just before. Results are
made up in the shape that the tool's own doc declares.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from conversations import conversations, docs, group_of, parsed
from scribe_env_bfcl.schema import tool_spec

from scribe_core.types import Message, ToolCall, ToolSpec, Trajectory

DECLINES = (
    "None of the available functions can do this, so I will not call one.",
    "I'm sorry, but I cannot help with that: no tool here is able to.",
    "That is not possible with the tools that I have.",
    "I am unable to do this; the functions offered are for something else.",
)
ASKS = (
    "Could you tell me the {name} that I should use?",
    "I need the {name} before I can go on. Which one do you mean?",
    "Please provide the {name}, which your request does not say.",
    "Which {name} should I take?",
)
REPORTS = (
    "That did not work: {error}",
    "I could not do it, because the tool answered with an error: {error}",
    "The operation failed. {error}",
)
NOW_POSSIBLE = "Now the tool that you lacked is there."
ANSWERS = ("Here is what I found: {result}.", "Done. The result is {result}.", "It is done; {result}.")


@frozen(kw_only=True)
class Labelled:
    """A trajectory, and the skill that generated each of its assistant messages, by the message's index."""

    trajectory: Trajectory
    skills: Mapping[int, str]
    right: bool
    task: str

    @property
    def half(self) -> int:
        """0 or 1; all trajectories of a task are in one half."""
        return int(hashlib.sha256(self.task.encode()).hexdigest(), 16) % 2


@frozen(kw_only=True)
class _World:
    """The tools of a conversation, with the shape of what each returns."""

    tools: Mapping[str, ToolSpec]
    responses: Mapping[str, Any]


def several_turns(seed: int) -> Iterator[Labelled]:
    known = docs()
    for row, truth in conversations():
        rows = [each for api in row["involved_classes"] for each in known[api]]
        world = _World(
            tools={each["name"]: tool_spec(each) for each in rows},
            responses={each["name"]: each.get("response", {}) for each in rows},
        )
        for variant in range(2):
            yield from _conversation(row, truth, world, group_of(row["id"]), variant, seed)


def _conversation(
    row: Mapping[str, Any], truth: Sequence[Sequence[str]], world: _World, task: str, variant: int, seed: int
) -> Iterator[Labelled]:
    """Two neighbouring turns of a conversation, played; the second variant makes a mistake."""
    rng = rng_of(seed, f"{row['id']}/{variant}")
    questions = [question[0]["content"] if question else NOW_POSSIBLE for question in row["question"]]
    turns = list(zip(questions, truth, strict=True))
    if len(turns) < 2:
        return
    first = rng.randrange(len(turns) - 1)
    if silent := [i for i, (_, calls) in enumerate(turns[:-1]) if not calls]:
        first = silent[0]
    played = _Played(world=world, rng=rng, careless=variant == 1, category=row["id"])
    for request, calls in turns[first : first + 2]:
        played.turn(request, calls)
    if played.broken:
        return
    trajectory = Trajectory(
        id=f"{row['id']}/{variant}",
        task_id=task,
        messages=tuple(played.messages),
        tools=tuple(world.tools.values()),
        outcome=float(not played.mistakes),
    )
    yield Labelled(trajectory=trajectory, skills=played.skills, right=not played.mistakes, task=task)


class _Played:
    """A conversation as it goes on: each `turn` adds a request and what a policy does about it."""

    def __init__(self, *, world: _World, rng: random.Random, careless: bool, category: str) -> None:
        self.world, self.rng, self.careless = world, rng, careless
        self.asks = "miss_param" in category
        self.messages: list[Message] = []
        self.skills: dict[int, str] = {}
        self.mistakes = 0
        self.broken = False

    def turn(self, request: str, texts: Sequence[str]) -> None:
        self.messages.append(Message(role="user", content=request))
        calls = [parsed(text, self.world.tools) for text in texts]
        if any(call is None for call in calls):
            self.broken = True
        elif not calls:
            self._without_calls()
        else:
            self._with_calls([call for call in calls if call is not None])

    def _without_calls(self) -> None:
        if self.asks:
            text, skill = (
                self.rng.choice(ASKS).format(name=self.rng.choice(("name", "value", "file", "number"))),
                "ask",
            )
        else:
            text, skill = self.rng.choice(DECLINES), "decline"
        if self.careless and self.rng.random() < 0.7:
            self.mistakes += 1
            text = "All done!"
        self._say(skill, text)

    def _with_calls(self, calls: Sequence[ToolCall]) -> None:
        skill, results = "choose-tool", ""
        for call in calls[:3]:
            if self.rng.random() < 0.25:
                error = (
                    f"{call.name}: {self.rng.choice(('no such entry', 'not authenticated', 'invalid value'))}"
                )
                self._call(skill, self._worse(call) if self.careless else call, json.dumps({"error": error}))
                if self.rng.random() < 0.35:
                    self._report(error)
                    return
                skill = "recover"
                if self.careless and self.rng.random() < 0.5:
                    self.mistakes += 1
                    call = self.messages[-2].tool_calls[0]
            results = json.dumps(self._result(call))
            if self.careless and self.rng.random() < 0.3:
                self.mistakes += 1
                call = self._worse(call)
            self._call(skill, call, results)
            skill = "continue"
        text = self.rng.choice(ANSWERS).format(result=results.strip("{}").replace('"', ""))
        if self.careless and self.rng.random() < 0.4:
            self.mistakes += 1
            text = self.rng.choice(("The total comes to 48213 units.", "You're welcome!", ""))
        self._say("answer", text)

    def _report(self, error: str) -> None:
        text = self.rng.choice(REPORTS).format(error=error)
        if self.careless:
            self.mistakes += 1
            text = "Everything has been done as you asked."
        self._say("report", text)

    def _say(self, skill: str, text: str) -> None:
        self.skills[len(self.messages)] = skill
        self.messages.append(Message(role="assistant", content=text))

    def _call(self, skill: str, call: ToolCall, result: str) -> None:
        self.skills[len(self.messages)] = skill
        call = evolve(call, id=f"call_{len(self.messages)}")
        self.messages.append(Message(role="assistant", tool_calls=(call,)))
        self.messages.append(Message(role="tool", content=result, tool_call_id=call.id, name=call.name))

    def _worse(self, call: ToolCall) -> ToolCall:
        arguments = dict(call.arguments) if isinstance(call.arguments, Mapping) else {}
        if arguments and self.rng.random() < 0.6:
            arguments.pop(self.rng.choice(sorted(arguments)))
        else:
            arguments["mode"] = "fast"
        return evolve(call, arguments=arguments)

    def _result(self, call: ToolCall) -> dict[str, Any]:
        shape = self.world.responses.get(call.name, {}).get("properties", {})
        return {name: made_up(kind, self.rng) for name, kind in list(shape.items())[:4]} or {"status": "ok"}


def made_up(schema: Mapping[str, Any], rng: random.Random) -> Any:
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "integer":
            return rng.randrange(100)
        case "number" | "float":
            return round(rng.uniform(0, 500), 2)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [made_up(schema.get("items", {}), rng) for _ in range(2)]
        case "object" | "dict":
            inner = schema.get("properties", {})
            return {name: made_up(kind, rng) for name, kind in list(inner.items())[:4]}
    return f"{rng.choice(('north', 'amber', 'delta', 'harbor', 'signal'))}-{rng.randrange(1000)}"


def rng_of(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/{name}")  # noqa: S311
