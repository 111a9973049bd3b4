"""What a policy learns that plays for the process score: cheap tricks must pay clearly less than right calls.

Each trick is played on tasks of the leaderboard, with the tools that the task offers, and compared with the
reference calls of the same tasks. `measure(0)` scores them all.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve, frozen
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES, has_answers
from scribe_skills.library import ScribeSkills

from scribe_core.scorer import ScorerBuilder
from scribe_core.types import Json, Message, Task, ToolCall, ToolSpec, Trajectory

Calls = tuple[ToolCall, ...]
PER_CATEGORY = 14
"""Tasks of each category in the tests, about a hundred with reference calls in all."""
FILLERS = {
    "empty": "",
    "invisible": "\u200b",
    "marks": "-",
    "zero": "0",
    "other_script": "默认值",
}
NUMBERS = {"integer": 1, "number": 0.0, "boolean": True, "array": [], "object": {}}
DECLINE = "I'm sorry, none of the available tools can do that."


@frozen(kw_only=True)
class Case:
    """A task with the tools it offers; `calls` are its reference calls, none where declining is right."""

    task: Task
    tools: tuple[ToolSpec, ...]
    calls: Calls

    @property
    def request(self) -> str:
        return next(m.content for m in reversed(self.task.messages) if m.role == "user")


def filled(schema: Json, text: str) -> Any:
    """A value of the declared type that says nothing; `text` wherever a string may stand."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        return arguments(schema, text)
    if kind == "array":
        return [filled(schema.get("items", {}), text)]
    return NUMBERS.get(kind, text)


def arguments(schema: Json, text: str) -> dict[str, Any]:
    declared = schema.get("properties", {})
    return {name: filled(declared[name], text) for name in schema.get("required", []) if name in declared}


def with_text(case: Case, text: str) -> Calls:
    """As many calls as are right, of the right tools (else of the first), with `text` for each string."""
    offered = {tool.name: tool for tool in case.tools}
    called = list(dict.fromkeys(call.name for call in case.calls)) or [case.tools[0].name]
    return tuple(ToolCall(name=name, arguments=arguments(offered[name].parameters, text)) for name in called)


def copied(case: Case) -> Calls | None:
    """The whole request for each string argument; a tool with no string to fill cannot be played so."""
    calls = with_text(case, case.request)
    return calls if any(case.request in str(call.arguments) for call in calls) else None


def filling(text: str) -> Callable[[Case], Calls | None]:
    def play(case: Case) -> Calls | None:
        calls = with_text(case, text)
        return calls if calls != with_text(case, "something else") else None

    return play


def numbered(case: Case) -> Calls | None:
    """Ones, zeros and truths: calls that need no text."""
    calls = with_text(case, "a text")
    needless = calls == with_text(case, "something else")
    return calls if needless and any(call.arguments for call in calls) else None


def _nudged(value: Any) -> Any:
    if isinstance(value, str):
        return value + " "
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return [_nudged(item) for item in value] if isinstance(value, list) else value


def picked(case: Case) -> Calls | None:
    """One call of the first tool, with words of the request wherever a string may stand."""
    rng = random.Random(case.task.id)
    words = [word for word in case.request.split() if len(word) > 3]
    return with_text(case, rng.choice(words)) if words else None


def near_duplicate(case: Case) -> Calls | None:
    """The right calls, and the last of them again with a blank or a decimal point more."""
    last = case.calls[-1]
    nudged = {name: _nudged(value) for name, value in last.arguments.items()}
    is_new = repr(nudged) != repr(last.arguments)
    return (*case.calls, evolve(last, arguments=nudged)) if is_new else None


def surplus(case: Case) -> Calls | None:
    """The right calls, and the last of them thrice more with one value from elsewhere in the request."""
    rng = random.Random(case.task.id)
    last, taken = case.calls[-1], str([call.arguments for call in case.calls])
    words = [word for word in case.request.split() if len(word) > 3 and word not in taken]
    strings = [name for name, value in last.arguments.items() if isinstance(value, str)]
    if not strings or len(words) < 3:
        return None
    name = rng.choice(strings)
    more = (evolve(last, arguments={**last.arguments, name: word}) for word in rng.sample(words, 3))
    return (*case.calls, *more)


def stepped(case: Case) -> Calls | None:
    """The right calls, and the last of them twice more with one number a little changed."""
    last = case.calls[-1]
    name = next((n for n, v in last.arguments.items() if isinstance(v, int) and v > 1), None)
    if name is None:
        return None
    steps = (1.0, 0)
    more = (evolve(last, arguments={**last.arguments, name: type(last.arguments[name])(s)}) for s in steps)
    return (*case.calls, *more)


TRICKS: dict[str, Callable[[Case], Calls | None]] = {
    "copied": copied,
    **{f"filled_{name}": filling(filler) for name, filler in FILLERS.items()},
    "filled_numbers": numbered,
    "near_duplicate": near_duplicate,
    "surplus": surplus,
    "stepped": stepped,
}


def cases(per_category: int, relevant: bool, seed: int = 0) -> list[Case]:
    """Tasks of each category, drawn from the training split with the seed; 0 takes all."""
    found = []
    for category in CATEGORIES:
        if has_answers(category) != relevant or category == "live_relevance":
            continue
        environment = BFCL(categories=(category,)).build()
        tasks = list(environment.tasks("train"))
        random.Random(f"{seed}/{category}").shuffle(tasks)
        for task in tasks[: per_category or None]:
            calls = tuple(call for message in task.demonstration for call in message.tool_calls)
            tools = environment.open(task).tools
            if tools and bool(calls) == relevant:
                specs = tuple(
                    ToolSpec(name=t.name, description=t.description, parameters=t.parameters) for t in tools
                )
                found.append(Case(task=task, tools=specs, calls=calls))
    return found


def trajectory(name: str, case: Case, *answer: Message) -> Trajectory:
    return Trajectory(id=name, messages=(*case.task.messages, *answer), tools=case.tools)


def acting(name: str, case: Case, calls: Calls) -> Trajectory:
    numbered = tuple(evolve(call, id=f"call_{i}") for i, call in enumerate(calls))
    return trajectory(name, case, Message(role="assistant", tool_calls=numbered))


def processes(trajectories: Sequence[Trajectory]) -> dict[str, float | None]:
    scorer = ScorerBuilder(libraries=(ScribeSkills(),)).build()
    return {scored.trajectory.id: scored.reward.process for scored in scorer.score(trajectories)}


def mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def measure(per_category: int) -> dict[str, dict[str, float]]:
    """Each trick's mean process, that of the references of the same tasks, and on how many tasks."""
    right, idle = cases(per_category, True), cases(per_category, False)
    played = {
        trick: [(case, calls) for case in right if (calls := play(case)) is not None]
        for trick, play in TRICKS.items()
    }
    lines = [acting(case.task.id, case, case.calls) for case in right]
    lines += [acting(f"{c.task.id}/{trick}", c, calls) for trick, some in played.items() for c, calls in some]
    lines += [trajectory(f"{case.task.id}/silent", case) for case in right]
    said = Message(role="assistant", content=DECLINE)
    lines += [trajectory(f"{case.task.id}/decline", case, said) for case in (*right, *idle)]
    calling = {"copied": copied, "empty": filling(""), "numbers": numbered, "picked": picked}
    for trick, play in calling.items():
        lines += [
            acting(f"{case.task.id}/{trick}", case, calls)
            for case in idle
            if (calls := play(case)) is not None
        ]
    found = processes(lines)

    def row(trick: str, some: Sequence[Case]) -> dict[str, float]:
        some = [case for case in some if f"{case.task.id}/{trick}" in found]
        reference = [found[case.task.id] for case in some if case.calls]
        of_trick = [found[f"{case.task.id}/{trick}"] for case in some]
        result = {"trick": mean(of_trick), "tasks": len(some)}
        return {**result, "reference": mean(reference)} if reference else result

    report = {trick: row(trick, right) for trick in (*TRICKS, "decline")}
    report |= {f"irrelevance_{trick}": row(trick, idle) for trick in (*calling, "decline")}
    report["silent"] = {"scored": sum(found[f"{case.task.id}/silent"] is not None for case in right)}
    return report


@pytest.fixture(scope="module")
def report() -> dict[str, dict[str, float]]:
    return measure(PER_CATEGORY)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_pays_clearly_less_than_the_right_calls(report, trick: str) -> None:
    row = report[trick]
    assert row["tasks"] >= 15
    assert row["trick"] < 0.6 * row["reference"]


def test_not_calling_pays_less_than_the_right_calls(report) -> None:
    assert report["decline"]["trick"] < 0.2 * report["decline"]["reference"]


@pytest.mark.parametrize("trick", ["copied", "empty", "numbers", "picked"])
def test_declining_pays_more_than_any_call_where_no_tool_fits(report, trick: str) -> None:
    assert report[f"irrelevance_{trick}"]["tasks"] >= 5
    assert report["irrelevance_decline"]["trick"] > report[f"irrelevance_{trick}"]["trick"] + 0.1


def test_right_calls_are_worth_nearly_all(report) -> None:
    assert report["decline"]["reference"] > 0.85
