"""Trajectories whose generating skills are known, made of the leaderboard's tasks: what `mining.py` mines.

The skill of a subgoal is what its task's category says (one tool offered, several, calls of one tool or of many, a
request that no tool serves) or, in a conversation of several turns, what `mining_turns.py` made the policy do there.
Right variants are the references; wrong ones are those of `corruptions.py`, and mistakes of answers.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve
from corruptions import STRUCTURAL, VALUES, Calls, Case, Pool
from mining_turns import DECLINES, Labelled, made_up, rng_of, several_turns
from pairs import SPLITS, is_right, read_cases
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.environment import BFCLEnvironment

from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Message, Task, ToolCall, ToolSpec, Trajectory

SINGLE_TURN = {
    "simple_python": "single-call",
    "live_simple": "single-call",
    "multiple": "choose-tool",
    "live_multiple": "choose-tool",
    "parallel": "parallel-calls-one-tool",
    "live_parallel": "parallel-calls-one-tool",
    "parallel_multiple": "parallel-calls-many-tools",
    "live_parallel_multiple": "parallel-calls-many-tools",
    "irrelevance": "decline",
    "live_irrelevance": "decline",
}


def generate(count: int, seed: int, halves: Sequence[int] = (0, 1)) -> list[Labelled]:
    """That many trajectories from tasks of these halves, a third of them of several turns."""
    several = [each for each in several_turns(seed) if each.half in halves]
    single = [each for each in _single_turns(seed) if each.half in halves]
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    chosen = _sample(several, count // 3, rng)
    chosen += _by_skill(single, count - len(chosen), rng)
    rng.shuffle(chosen)
    return chosen


def masked(labelled: Labelled) -> Labelled:
    """The same with the names of tools replaced by numbers, wherever they stand."""
    names = {tool.name: f"tool_{number}" for number, tool in enumerate(labelled.trajectory.tools)}

    def message(old: Message) -> Message:
        calls = tuple(evolve(call, name=names.get(call.name, "tool_x")) for call in old.tool_calls)
        content = old.content
        if old.role != "user":
            for name, number in names.items():
                content = content.replace(name, number)
        return evolve(old, content=content, tool_calls=calls, name=names.get(old.name or ""))

    tools = tuple(
        ToolSpec(name=names[t.name], description="", parameters=t.parameters)
        for t in labelled.trajectory.tools
    )
    messages = tuple(map(message, labelled.trajectory.messages))
    return evolve(labelled, trajectory=evolve(labelled.trajectory, messages=messages, tools=tools))


def write(path: Path, chosen: Sequence[Labelled]) -> None:
    lines = (json.dumps(dump_trajectory(each.trajectory), ensure_ascii=False) + "\n" for each in chosen)
    path.write_text("".join(lines), encoding="utf-8")


def _sample(found: Sequence[Labelled], count: int, rng: random.Random) -> list[Labelled]:
    return rng.sample(list(found), min(count, len(found)))


def _by_skill(found: Sequence[Labelled], count: int, rng: random.Random) -> list[Labelled]:
    """About as many of each skill, so that no category drowns the others."""
    pools: dict[str, list[Labelled]] = {}
    for each in found:
        pools.setdefault(next(iter(each.skills.values())), []).append(each)
    chosen: list[Labelled] = []
    for left, pool in enumerate(sorted(pools.values(), key=len)):
        chosen += _sample(pool, (count - len(chosen)) // (len(pools) - left), rng)
    return chosen


def _single_turns(seed: int) -> Iterator[Labelled]:
    environment = BFCL(categories=tuple(SINGLE_TURN)).build()
    cases = list(read_cases(environment, SPLITS))
    pool = Pool(cases)
    for case in cases:
        yield _single(case.task, case.tools, Message(role="assistant", tool_calls=case.calls), True)
        if wrong := _wrong_calls(environment, case, pool, seed):
            yield _single(case.task, case.tools, Message(role="assistant", tool_calls=wrong), False)
    for task in (task for split in SPLITS for task in environment.tasks(split)):
        if "irrelevance" in task.metadata["category"]:
            rng = rng_of(seed, task.id)
            tools = {tool.name: tool for tool in environment.open(task).tools}
            yield _single(task, tools, Message(role="assistant", content=rng.choice(DECLINES)), True)
            if tools and rng.random() < 0.5:
                yield _single(task, tools, _needless(tools, rng), False)


def _single(task: Task, tools: Mapping[str, ToolSpec], message: Message, right: bool) -> Labelled:
    message = evolve(
        message, tool_calls=tuple(evolve(c, id=f"call_{i}") for i, c in enumerate(message.tool_calls))
    )
    trajectory = Trajectory(
        id=f"{task.id}/{'right' if right else 'wrong'}",
        task_id=task.id,
        messages=(*task.messages, message),
        tools=tuple(tools.values()),
        outcome=float(right),
    )
    skill = SINGLE_TURN[task.metadata["category"]]
    return Labelled(trajectory=trajectory, skills={len(task.messages): skill}, right=right, task=task.id)


def _wrong_calls(environment: BFCLEnvironment, case: Case, pool: Pool, seed: int) -> Calls | None:
    rng = rng_of(seed, case.task.id)
    for _ in range(8):
        wrong = rng.choice([*STRUCTURAL.values(), *VALUES.values()])(case, rng, pool)
        if wrong is not None and not is_right(environment, case, wrong):
            return wrong
    return None


def _needless(tools: Mapping[str, ToolSpec], rng: random.Random) -> Message:
    """A call where none was due, with values of the right types."""
    tool = rng.choice(list(tools.values()))
    properties = tool.parameters.get("properties", {})
    arguments = {name: made_up(properties.get(name, {}), rng) for name in tool.parameters.get("required", ())}
    return Message(role="assistant", tool_calls=(ToolCall(name=tool.name, arguments=arguments),))
