"""The builder, and the environment: tasks by split, a session for each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import ClassVar

from attrs import frozen

from scribe_core.errors import ConfigError, suggest
from scribe_core.types import Task
from scribe_env_bfcl.data import CATEGORIES, Entry, data_folder, read_category
from scribe_env_bfcl.reference import demonstration
from scribe_env_bfcl.schema import tool_spec
from scribe_env_bfcl.session import BFCLSession

_SPLITS = ("train",) * 6 + ("validation",) + ("test",) * 3


@frozen(kw_only=True)
class BFCL:
    """Berkeley Function Calling Leaderboard v4, the single-turn categories, with its own AST check as outcome.

    Needs the package bfcl-eval, which holds the data: `pip install --no-deps bfcl-eval`.
    """

    name: ClassVar[str] = "bfcl"

    categories: tuple[str, ...] = ("simple_python",)
    """Which of the leaderboard's categories to draw tasks from."""
    max_tools_chars: int | None = None
    """Leave out tasks whose tools, as JSON, are longer than this: a small model cannot read them."""

    def build(self) -> "BFCLEnvironment":
        """Reads the chosen categories from the installed wheel (well under a second for all of them).

        Raises ConfigError for an option that is wrong or a wheel that is missing, DataError for a damaged one.
        """
        self._check()
        folder = data_folder()
        categories = dict.fromkeys(self.categories)
        entries = [entry for category in categories for entry in read_category(folder, category)]
        limit = self.max_tools_chars
        return BFCLEnvironment([entry for entry in entries if limit is None or _tools_chars(entry) <= limit])

    def _check(self) -> None:
        if not self.categories:
            raise ConfigError(f"environment.categories is empty; name at least one{suggest('', CATEGORIES)}")
        for category in self.categories:
            if category not in CATEGORIES:
                raise ConfigError(
                    f"environment.categories: unknown category {category!r}{suggest(category, CATEGORIES)}"
                )
        if self.max_tools_chars is not None and self.max_tools_chars <= 0:
            raise ConfigError(f"environment.max_tools_chars must be positive; got {self.max_tools_chars}")


class BFCLEnvironment:
    """The tasks of some categories: 60 % to train on, 10 % to validate, 30 % to test.

    A task's split and its place in it depend on the sha256 of its id alone, so both stay the same whichever
    categories are chosen, and any prefix of a split mixes them.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=lambda entry: _digest(entry.id))
        self._entries: Mapping[str, Entry] = {entry.id: entry for entry in ordered}
        self._tasks: dict[str, list[Task]] = {split: [] for split in _SPLITS}
        for entry in ordered:
            self._tasks[split_of(entry.id)].append(_task(entry))

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of "train", "validation" or "test", always in one order.

        Raises ConfigError for a split that does not exist.
        """
        if split not in self._tasks:
            raise ConfigError(f"environment 'bfcl' has no split {split!r}{suggest(split, self._tasks)}")
        return tuple(self._tasks[split])

    def open(self, task: Task) -> BFCLSession:
        """A session for one episode of a task of this environment."""
        if task.id not in self._entries:
            raise ConfigError(
                f"environment 'bfcl' has no task {task.id!r} in its categories; open tasks that its tasks() gave"
            )
        return BFCLSession(self._entries[task.id])


def split_of(task_id: str) -> str:
    """The split that a task id belongs to."""
    return _SPLITS[int(_digest(task_id), 16) % len(_SPLITS)]


def _digest(task_id: str) -> str:
    return sha256(task_id.encode()).hexdigest()


def _task(entry: Entry) -> Task:
    return Task(
        id=entry.id,
        messages=entry.question,
        demonstration=demonstration(entry),
        metadata={"category": entry.category},
    )


def _tools_chars(entry: Entry) -> int:
    tools = [tool_spec(function) for function in entry.functions]
    return len(
        json.dumps([(tool.name, tool.description, tool.parameters) for tool in tools], ensure_ascii=False)
    )
