"""The environment `stockroom`: puzzles as tasks by split, and a session for each."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, overload

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le

from scribe_core.builtin.stockroom.puzzles import HARDEST, Puzzle, puzzle
from scribe_core.builtin.stockroom.warehouse import Refused, State, Warehouse
from scribe_core.errors import ConfigError, RunError, suggest
from scribe_core.tools import by_name, call_tools, described, failure, function_tool, render
from scribe_core.types import Message, Task, ToolCall, ToolSpec

SPLITS = ("train", "validation", "test")
_ID = re.compile(r"stockroom-(-?\d{1,20})-(train|validation|test)-(\d{1,12})-([1-6])")
_LEVEL = and_(ge(1), le(HARDEST))


@frozen(kw_only=True)
class Stockroom:
    """Multi-step tasks in a simulated warehouse, made on demand: look up, compare, calculate, order, move, recover.

    The difficulty of a task, 1 to 6, is the length of the chain of dependent calls that it takes. An episode
    succeeds (1, else 0) if the warehouse ends as it should and a number that was asked for is the last message.
    """

    name: ClassVar[str] = "stockroom"

    size: int = field(default=500, validator=gt(0))
    """Tasks per split; a smaller one is the beginning of a larger one."""
    easiest: int = field(default=1, validator=_LEVEL)
    """The least difficulty."""
    hardest: int = field(default=HARDEST, validator=_LEVEL)
    """The greatest; tasks go through the range in turn."""
    seed: int = 0
    """Other tasks for another seed."""

    def build(self) -> "StockroomEnvironment":
        """Raises ConfigError for an empty range of difficulties."""
        if self.easiest > self.hardest:
            raise ConfigError(
                f"environment.easiest: {self.easiest} is more than environment.hardest, {self.hardest}; "
                f"give a range within 1 to {HARDEST}"
            )
        return StockroomEnvironment(self)


class StockroomEnvironment:
    """A task's id says all that it is made of, so any of them can be opened without making the others."""

    def __init__(self, options: Stockroom) -> None:
        self._options = options

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of "train", "validation" or "test", made when they are asked for.

        Raises ConfigError for a split that does not exist.
        """
        if split not in SPLITS:
            raise ConfigError(f"environment 'stockroom' has no split {split!r}{suggest(split, SPLITS)}")
        return Tasks(self._options, split, range(self._options.size))

    def open(self, task: Task) -> "StockroomSession":
        """A session for one episode of a task of any stockroom."""
        return StockroomSession(task.id, puzzle_of(task.id))


@frozen
class Tasks(Sequence[Task]):
    """Tasks of a split, made anew each time they are looked at."""

    options: Stockroom
    split: str
    indices: range

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> "Tasks": ...
    def __getitem__(self, index: int | slice) -> "Task | Tasks":
        if isinstance(index, slice):
            return Tasks(self.options, self.split, self.indices[index])
        place = self.indices[index]
        difficulty = self.options.easiest + place % (self.options.hardest - self.options.easiest + 1)
        return _task(f"stockroom-{self.options.seed}-{self.split}-{place}-{difficulty}")


def puzzle_of(task_id: str) -> Puzzle:
    """What a task is made of. Raises ConfigError for an id that no stockroom gave."""
    found = _ID.fullmatch(task_id)
    if found is None:
        raise ConfigError(
            f"environment 'stockroom' has no task {task_id[:100]!r}; open tasks that its tasks() gave"
        )
    split = SPLITS.index(found[2])
    # A request belongs to one split only, whatever the seeds lead to.
    return puzzle(task_id, int(found[4]), lambda drawn: drawn.digest % len(SPLITS) == split)


def _task(task_id: str) -> Task:
    made = puzzle_of(task_id)
    return Task(
        id=task_id,
        messages=(Message(role="user", content=made.request),),
        demonstration=demonstration(made, Warehouse(made.world)),
        metadata={"difficulty": len(made.levels), "plan_length": sum(map(len, made.levels))},
    )


def demonstration(made: Puzzle, warehouse: Warehouse) -> tuple[Message, ...]:
    """The plan, carried out in the warehouse: a message for each level, with the true results."""
    tools = {tool.__name__: tool for tool in warehouse.tools}
    messages: list[Message] = []
    for number, level in enumerate(made.levels):
        calls = [
            ToolCall(id=f"call_{number}_{i}", name=call.name, arguments=call.arguments)
            for i, call in enumerate(level)
        ]
        messages.append(Message(role="assistant", tool_calls=tuple(calls)))
        messages += [
            Message(
                role="tool", content=_result(tools[call.name], call), tool_call_id=call.id, name=call.name
            )
            for call in calls
        ]
    return (*messages, Message(role="assistant", content=made.closing))


def _result(tool: Any, call: ToolCall) -> str:
    try:
        return render(tool(**call.arguments))  # type: ignore[arg-type]
    except Refused as refused:
        return failure(described(refused)).content


class StockroomSession:
    """One episode: calls are carried out one after another, a message without calls ends it. Used once."""

    def __init__(self, task_id: str, made: Puzzle) -> None:
        self._task_id = task_id
        self._puzzle = made
        self._warehouse = Warehouse(made.world)
        self._tools = by_name(map(function_tool, self._warehouse.tools))
        self._over = False

    @property
    def tools(self) -> Sequence[ToolSpec]:
        return tuple(tool.spec for tool in self._tools.values())

    async def respond(self, message: Message) -> Sequence[Message]:
        """The results of the message's calls; nothing where it makes none."""
        self._check_open()
        return [each for call in message.tool_calls for each in await call_tools(self._tools, [call])]

    async def outcome(self, messages: Sequence[Message]) -> float:
        """1.0 where the warehouse is as the plan would leave it, and the last message is the answer; else 0.0."""
        self._check_open()
        self._over = True
        done = self._warehouse.state == _goal(self._puzzle)
        return float(done and _answers(self._puzzle.answer, messages))

    def _check_open(self) -> None:
        if self._over:
            raise RunError(f"the session of task {self._task_id!r} is over; open a new one for each episode")


def _goal(made: Puzzle) -> State:
    warehouse = Warehouse(made.world)
    demonstration(made, warehouse)
    return warehouse.state


def _answers(answer: str | None, messages: Sequence[Message]) -> bool:
    if answer is None:
        return True
    last = messages[-1] if messages else Message(role="user")
    return last.role == "assistant" and not last.tool_calls and _normal(last.content) == answer


def _normal(text: str) -> str:
    """Without what may stand around a number: spaces, a full stop, thousands separators, the currency."""
    bare = text[:200].strip().rstrip(".").replace(",", "").replace("€", "").casefold()
    return re.sub(r"\s*euros?$", "", bare).strip()
