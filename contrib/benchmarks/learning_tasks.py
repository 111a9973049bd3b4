"""The stockroom with careless demonstrations: whoever shows the way knows it, and makes mistakes now and then.

A model that imitates them does each step right most of the time, as a large one does after pretraining: what is left
to learn is to leave the mistakes. A config names this environment as "learning_tasks:Careless".
"""

import json
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar, overload

from attrs import evolve, field, frozen
from attrs.validators import ge, le

from scribe_core.builtin.stockroom.environment import (
    Stockroom,
    StockroomEnvironment,
    demonstration,
    puzzle_of,
)
from scribe_core.builtin.stockroom.warehouse import Warehouse, World
from scribe_core.types import Message, Task, ToolCall

MISTAKES = ("number", "name", "skipped", "stopped", "malformed")


@frozen(kw_only=True)
class Careless:
    """The stockroom; each step of a demonstration goes wrong with the chance `rate`, in one of `MISTAKES`."""

    name: ClassVar[str] = "careless"
    size: int = 1000
    hardest: int = 3
    rate: float = field(default=0.3, validator=[ge(0), le(1)])

    def build(self) -> "CarelessEnvironment":
        return CarelessEnvironment(Stockroom(size=self.size, hardest=self.hardest).build(), self.rate)


@frozen
class CarelessEnvironment:
    stockroom: StockroomEnvironment
    rate: float

    def tasks(self, split: str) -> Sequence[Task]:
        return _Tasks(self.stockroom.tasks(split), self.rate)

    def open(self, task: Task) -> Any:
        return self.stockroom.open(task)


@frozen
class _Tasks(Sequence[Task]):
    tasks: Sequence[Task]
    rate: float

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> "_Tasks": ...
    def __getitem__(self, index: int | slice) -> "Task | _Tasks":
        if isinstance(index, slice):
            return evolve(self, tasks=self.tasks[index])
        task = self.tasks[index]
        return evolve(task, demonstration=careless(task.id, self.rate))


def careless(task_id: str, rate: float) -> tuple[Message, ...]:
    """The plan of a task with mistakes, carried out; what follows a mistake goes on as if there had been none."""
    made, rng = puzzle_of(task_id), Random(f"careless/{task_id}")  # noqa: S311
    levels: list[Sequence[ToolCall]] = []
    for level in made.levels:
        mistake = rng.choice(MISTAKES) if rng.random() < rate else None
        if mistake == "stopped":
            break
        if mistake == "malformed":
            messages = demonstration(evolve(made, levels=[*levels, level]), Warehouse(made.world))
            last = max(i for i, message in enumerate(messages) if message.tool_calls)
            return (*messages[:last], _malformed(messages[last], rng))
        if mistake != "skipped":
            levels.append([_wrong(call, mistake, made.world, rng) if mistake else call for call in level])
    return demonstration(evolve(made, levels=levels), Warehouse(made.world))


def _wrong(call: ToolCall, mistake: str, world: World, rng: Random) -> ToolCall:
    """The call with another number, or another name of the same kind; as it is where it has none."""
    arguments = dict(call.arguments)
    kind = int if mistake == "number" else str
    keys = [key for key, value in arguments.items() if isinstance(value, kind) and key != "operator"]
    if not keys:
        return call
    key = rng.choice(keys)
    arguments[key] = rng.randint(1, 80) if kind is int else rng.choice(_others(key, arguments, world))
    return evolve(call, arguments=arguments)


def _others(key: str, arguments: dict[str, Any], world: World) -> list[str]:
    item = arguments.get("item")
    known = {
        "supplier": world.offers.get(item, {}),
        "source": world.units.get(item, {}),
        "target": world.units.get(item, {}),
        "name": world.names.values(),
    }.get(key, world.names)
    return sorted({*known} - {arguments[key]}) or [arguments[key]]


def _malformed(message: Message, rng: Random) -> Message:
    """The first call, cut short."""
    call = message.tool_calls[0]
    text = json.dumps({"name": call.name, "arguments": call.arguments})
    cut = rng.randint(len(text) // 2, len(text) - 2)
    return Message(role="assistant", content=f"<tool_call>\n{text[:cut]}\n</tool_call>")
