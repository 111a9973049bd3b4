"""Labelled subgoals for `scribe bench routing`, from trajectories of real policies and environments.

    python contrib/benchmarks/routing_data.py --out FOLDER [--runs RUN...] [--seed 0]
    scribe bench routing --file FOLDER/test.jsonl --set scorer.router.use=trained \\
        --set scorer.router.members=FOLDER/members.jsonl

Writes members.jsonl, to fit a router on, and test.jsonl; all subgoals of a group of tasks (those with the same tools
on offer, or of the same conversation) are in one of them. Sources: reference calls of the Berkeley Function Calling
Leaderboard, copies with one mistake (`corruptions.py`), conversations replayed against the leaderboard's simulated
APIs (`routing_turns.py`), and with --runs what a policy sampled during `scribe train` on its tasks.

The label is what the environment knows: its category, its reference, and what its tools answered. Neither exemplars
nor routers are looked at. A subgoal that fits no row, or more than one, is left out.

| the environment says | the turn holds | label |
|---|---|---|
| anything | neither word nor call | say-or-do-something |
| anything | a call whose arguments cannot be read | write-calls-that-parse |
| anything | a call of a tool that is not offered | call-offered-tools |
| no tools are offered | words | answer-without-tools |
| irrelevance; or a first request whose function is held back | words | decline-when-none-fits |
| the request lacks a parameter (miss_param) | words | ask-for-missing |
| one reference call, several tools offered | one call | choose-tool |
| one reference call, one tool; it takes a list or an object | one call | lists-and-objects |
| ... it takes numbers, and no text | one call | quantities-and-units |
| ... it takes text that names a place, a time, a person or a title, and no number | one call | places-dates-and-names |
| ... it takes other text or switches | one call | single-call |
| one reference call | calls of different tools | no-surplus-calls |
| several reference calls | one call | cover-every-part |
| several reference calls of one tool | several calls of one tool | parallel-calls-one-tool |
| several reference calls of different tools | calls of different tools | parallel-calls-many-tools |
| the last result is an error | a call | recover-from-error |
| the last result is an error | words | report-failure |
| a result, and a value of the next reference call stands in results alone | one call | ground-from-results |
| a result, and several reference calls are left | several calls | continue-with-several-calls |
| a result, and no reference call is left | words | answer-from-results |
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from corruptions import STRUCTURAL, VALUES, Calls, Case, Pool
from pairs import SPLITS, read_cases
from routing_turns import DECLINES, half, replayed
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES
from scribe_env_bfcl.environment import BFCLEnvironment

from scribe_core.errors import DataError
from scribe_core.spans import canonical_json
from scribe_core.trajectories import dump_trajectory, parse_trajectory
from scribe_core.types import Message, Task, ToolCall, ToolSpec, Trajectory

_NAMES = (
    "city location place country state region address destination origin venue area date time day "
    "month year deadline departure arrival name title artist author player team person user "
    "customer company restaurant hotel movie movies song book event landmark museum building "
    "president leader"
)
"""Words of a parameter's name that say that it takes a place, a time, a person or a title."""
_NO_QUANTITY = "id ids code zip year month day date time index port phone"


@frozen(kw_only=True)
class Labelled:
    """The last turn of a trajectory, from message `start`, and its skill; `group` decides its half."""

    trajectory: Trajectory
    start: int
    skill: str
    group: str
    source: str

    def line(self) -> str:
        """A line of members.jsonl or test.jsonl."""
        span = {"start": [self.start, 0], "end": [len(self.trajectory.messages), 0]}
        record = {"skill": self.skill, "task": self.group, "source": self.source, "span": span}
        return json.dumps({**record, "trajectory": dump_trajectory(self.trajectory)}, ensure_ascii=False)


def main() -> None:
    options = _options()
    environment = BFCL(categories=CATEGORIES).build()
    found = list(single_turns(environment, options.seed))
    found += [Labelled(**fields) for fields in replayed(options.seed)]
    for run in options.runs:
        found += logged(environment, run)
    options.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"found": len(found)}
    for number, name in enumerate(("members", "test")):
        most = (options.members, options.per_skill)[number]
        mine = [each for each in found if half(each.group, options.seed) == number]
        chosen = balanced(mine, most, options.seed)
        text = "".join(each.line() + "\n" for each in chosen)
        (options.out / f"{name}.jsonl").write_text(text, encoding="utf-8")
        report[name] = {
            "subgoals": len(chosen),
            "tasks": len({each.group for each in chosen}),
            "skills": dict(sorted(Counter(each.skill for each in chosen).items())),
            "sources": dict(sorted(Counter(each.source for each in chosen).items())),
        }
    print(json.dumps(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for members.jsonl and test.jsonl")
    parser.add_argument(
        "--runs", type=Path, nargs="*", default=[], metavar="RUN", help="folders of runs on bfcl"
    )
    parser.add_argument("--per-skill", type=int, default=60, help="at most so many of a skill in the test")
    parser.add_argument(
        "--members", type=int, default=150, help="at most so many of a skill among the members"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="which tasks are whose, and which mistakes are made"
    )
    return parser.parse_args()


def balanced(found: Iterable[Labelled], per_skill: int, seed: int) -> list[Labelled]:
    """At most so many of each skill, from its sources in turn, at most two of a group in each."""
    pools: dict[str, dict[str, list[Labelled]]] = defaultdict(lambda: defaultdict(list))
    for each in sorted(
        found, key=lambda each: sha256(f"{seed}/{each.trajectory.id}/{each.start}".encode()).digest()
    ):
        pool = pools[each.skill][each.source]
        if sum(other.group == each.group for other in pool) < 2:
            pool.append(each)
    chosen = []
    for skill in sorted(pools):
        sources = [pool for _, pool in sorted(pools[skill].items())]
        rounds = [pool[i] for i in range(max(map(len, sources))) for pool in sources if i < len(pool)]
        chosen += rounds[:per_skill]
    return chosen


def single_turns(environment: BFCLEnvironment, seed: int) -> Iterator[Labelled]:
    """References, their corrupted copies, and what is no call at all."""
    cases = list(read_cases(environment, SPLITS))
    pool = Pool(cases)
    for case in cases:
        rng = random.Random(f"{seed}/{case.task.id}")  # noqa: S311 - a sample, not a secret
        tools = tuple(case.tools.values())
        yield from _labelled(case.task, tools, case.calls, _called(case.calls), "reference")
        for kind in ("dropped_call", "wrong_function", rng.choice([*STRUCTURAL, *VALUES])):
            wrong = {**STRUCTURAL, **VALUES}[kind](case, rng, pool)
            if wrong is not None:
                yield from _labelled(case.task, tools, case.calls, _called(wrong), f"corrupted/{kind}")
        if len(tools) > 1 and len(case.calls) == 1:
            other = rng.choice([tool for tool in tools if tool.name != case.calls[0].name] or tools)
            surplus = (*case.calls, ToolCall(name=other.name, arguments=case.calls[0].arguments))
            yield from _labelled(case.task, tools, case.calls, _called(surplus), "corrupted/surplus")
        yield from _unreadable(case, tools, rng)
    for task in (task for split in SPLITS for task in environment.tasks(split)):
        rng = random.Random(f"{seed}/{task.id}")  # noqa: S311
        if "irrelevance" in task.metadata["category"]:
            tools = environment.open(task).tools
            answer = Message(role="assistant", content=rng.choice(DECLINES[half(_group(task, tools), seed)]))
            yield from _labelled(task, tools, (), answer, "reference")
        else:
            answer = Message(
                role="assistant", content="I will do my best to help with: " + task.messages[-1].content
            )
            yield from _labelled(task, (), (), answer, "no tools")
        yield from _labelled(task, environment.open(task).tools, (), Message(role="assistant"), "silent")


def _called(calls: Calls) -> Message:
    numbered = tuple(evolve(call, id=f"call_{i}") for i, call in enumerate(calls))
    return Message(role="assistant", tool_calls=numbered)


def _unreadable(case: Case, tools: Sequence[ToolSpec], rng: random.Random) -> Iterator[Labelled]:
    """The reference cut short, as at a token limit, and with arguments that are no JSON."""
    call = {"name": case.calls[0].name, "arguments": case.calls[0].arguments}
    text = f"<tool_call>{json.dumps(call)}</tool_call>"
    cut = text[: rng.randrange(len(text) // 2, len(text) - len("</tool_call>"))]
    yield from _labelled(
        case.task, tools, case.calls, Message(role="assistant", content=cut), "corrupted/cut"
    )
    broken = ToolCall(
        name=case.calls[0].name, arguments=json.dumps(case.calls[0].arguments)[:-2], id="call_0"
    )
    yield from _labelled(case.task, tools, case.calls, _called((broken,)), "corrupted/arguments")


def logged(environment: BFCLEnvironment, run: Path) -> Iterator[Labelled]:
    """The first sample of each task that a policy made in a run, by its trajectory log."""
    tasks = {task.id: task for split in SPLITS for task in environment.tasks(split)}
    seen: set[str] = set()
    log = run / "trajectories.jsonl"
    if not log.is_file():
        raise SystemExit(f"{log}: no such file; --runs takes folders of training runs")
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                trajectory = parse_trajectory(json.loads(line)["trajectory"])
            except (DataError, ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"{log}: {error}") from None
            task = tasks.get(trajectory.task_id)
            if task is None or f"{task.id}/{trajectory.sample % 4}" in seen:
                continue
            seen.add(f"{task.id}/{trajectory.sample % 4}")
            calls = tuple(call for message in task.demonstration for call in message.tool_calls)
            answer = evolve(trajectory.messages[-1], sampled=None)
            yield from _labelled(task, trajectory.tools, calls, answer, f"sampled/{trajectory.id}")


def _labelled(
    task: Task, tools: Sequence[ToolSpec], reference: Calls, answer: Message, source: str
) -> Iterator[Labelled]:
    skill = first_action(task.metadata["category"], tools, reference, answer)
    if skill:
        kind = source.partition("/")[0] if source.startswith("sampled") else source
        trajectory = Trajectory(
            id=f"{task.id}/{source}", task_id=task.id, messages=(*task.messages, answer), tools=tuple(tools)
        )
        yield Labelled(
            trajectory=trajectory,
            start=len(task.messages),
            skill=skill,
            group=_group(task, tools),
            source=kind,
        )


def _group(task: Task, tools: Sequence[ToolSpec]) -> str:
    """Tasks with the same tools on offer are one group."""
    names = canonical_json(sorted(tool.name for tool in tools)) if tools else task.id
    return sha256(names.encode()).hexdigest()[:16]


def first_action(category: str, tools: Sequence[ToolSpec], reference: Calls, answer: Message) -> str | None:
    """The label of what follows a single request, by the table above; None where no row or several fit."""
    calls, offered = answer.tool_calls, {tool.name for tool in tools}
    if not calls and not answer.content.strip() and not (answer.raw or "").strip():
        return "say-or-do-something"
    if any(isinstance(call.arguments, str) for call in calls) or (
        not calls and "<tool_call>" in answer.content
    ):
        return "write-calls-that-parse" if tools else None
    if not offered:
        return None if calls else "answer-without-tools"
    if any(call.name not in offered for call in calls):
        return "call-offered-tools"
    if not calls:
        return "decline-when-none-fits" if "irrelevance" in category else None
    if not reference:
        return None
    return _by_reference(tools, reference, calls)


def _by_reference(tools: Sequence[ToolSpec], reference: Calls, calls: Calls) -> str | None:
    wanted, made = len({call.name for call in reference}), len({call.name for call in calls})
    match len(reference) > 1, len(calls) > 1:
        case False, False:
            return "choose-tool" if len(tools) > 1 else by_arguments(tools[0], reference[0])
        case False, True:
            return "no-surplus-calls" if made > 1 else None
        case True, False:
            return "cover-every-part"
    if (wanted > 1) != (made > 1):
        return None
    return "parallel-calls-many-tools" if wanted > 1 else "parallel-calls-one-tool"


def by_arguments(tool: ToolSpec, call: ToolCall) -> str | None:
    """The label of a single call of the single tool, by the types of what the reference gives it."""
    declared: Mapping[str, Any] = tool.parameters.get("properties", {})
    given = dict(call.arguments) if isinstance(call.arguments, Mapping) else {}
    if any(isinstance(value, (list, dict)) for value in given.values()):
        return "lists-and-objects"
    texts = [
        name
        for name, value in given.items()
        if isinstance(value, str) and "enum" not in declared.get(name, {})
    ]
    numbers = [name for name, value in given.items() if type(value) in (int, float)]
    if (texts and numbers) or any(_words(name) & {*_NO_QUANTITY.split()} for name in numbers):
        return None
    if numbers:
        return "quantities-and-units"
    named = sum(bool(_words(name) & {*_NAMES.split()}) for name in texts)
    if named not in (0, len(texts)):
        return None
    return "places-dates-and-names" if named else "single-call"


def _words(name: str) -> set[str]:
    return {*"".join(c if c.islower() else f" {c.lower()}" for c in name).replace("_", " ").split()}


if __name__ == "__main__":
    main()
