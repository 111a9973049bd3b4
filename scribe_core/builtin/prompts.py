"""Prompts to tasks: ids, splits and demonstrations."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from scribe_core.errors import ConfigError, DataError
from scribe_core.options import shown
from scribe_core.references import resolve
from scribe_core.spans import canonical_json
from scribe_core.strict_json import strict_json
from scribe_core.tools import described
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Message, Task

Prompt = str | Json
Splits = dict[str, tuple[Task, ...]]

_BY_HASH = ("train",) * 8 + ("validation", "test")
_OWN_KEYS = ("prompt", "messages", "id", "split", "demonstration", "metadata")


def read_prompts(source: str | Iterable[Prompt]) -> Splits:
    """Tasks by split, in the order of the prompts.

    `source` is prompts, a .jsonl file (a prompt a line), a .txt file (a text a line), or "module:attribute".
    Raises ConfigError for a source that is not there, DataError for a prompt that is malformed.
    """
    named = list(_named(source))
    if not named:
        raise DataError(f"prompts: {source!r} holds no prompts")
    tasks: dict[str, Task] = {}
    splits: dict[str, str] = {}
    for where, prompt in named:
        task, split = _task(prompt, where)
        if task.id in tasks:
            raise DataError(
                f"{where}: the id {task.id!r} is taken by an earlier prompt; give each its own `id`"
            )
        tasks[task.id], splits[task.id] = task, split
    return _by_split(tasks, splits)


def _by_split(tasks: Mapping[str, Task], splits: Mapping[str, str]) -> Splits:
    explicit = [split for split in splits.values() if split]
    if not explicit:
        splits = {name: split_of(name) for name in tasks}
    elif len(explicit) < len(tasks):
        name = next(name for name, split in splits.items() if not split)
        raise DataError(
            f"prompts: {name!r} has no `split` while others do; give it to all prompts or to none"
        )
    names = dict.fromkeys(splits.values()) if explicit else dict.fromkeys(_BY_HASH)
    return {name: tuple(task for task in tasks.values() if splits[task.id] == name) for name in names}


def split_of(task_id: str) -> str:
    """The split of a task whose prompt names none: it depends on the id alone."""
    return _BY_HASH[int(sha256(task_id.encode("utf-8", "replace")).hexdigest(), 16) % len(_BY_HASH)]


def _named(source: str | Iterable[Prompt]) -> Iterator[tuple[str, Any]]:
    """Each prompt with where it stands, for error messages."""
    if not isinstance(source, str):
        yield from ((f"prompts[{index}]", prompt) for index, prompt in enumerate(source))
    elif source.endswith((".jsonl", ".txt")):
        yield from _from_file(Path(source))
    else:
        yield from _named(_listed(resolve(source, "prompts"), source))


def _listed(value: Any, source: str) -> list[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise ConfigError(f"prompts: {source!r} is {shown(value)}; it must be a list of prompts")
    try:
        return list(value)
    except Exception as error:
        raise ConfigError(f"prompts: {source!r} cannot be read through: {described(error)}") from error


def _from_file(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"prompts: {str(path)!r} is not UTF-8 (byte {error.start})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"prompts: {str(path)!r} cannot be read: {reason}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path}:{number}"
        if line.strip():
            yield where, line.strip() if path.suffix == ".txt" else _parsed(line, where)


def _parsed(line: str, where: str) -> Any:
    try:
        return strict_json(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}") from error


def _task(prompt: Any, where: str) -> tuple[Task, str]:
    """A task, and its split where the prompt names one."""
    record = {"prompt": prompt} if isinstance(prompt, str) else prompt
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: a prompt is a text or a table; got {type(record).__name__}")
    if ("prompt" in record) == ("messages" in record):
        raise DataError(
            f"{where}: a prompt needs either `prompt` or `messages`; it has {sorted(map(str, record))}"
        )
    messages = _messages(record, "prompt" if "prompt" in record else "messages", "user", where)
    demonstration = (
        _messages(record, "demonstration", "assistant", where) if "demonstration" in record else ()
    )
    task = Task(
        id=_id(record, where),
        messages=messages,
        demonstration=demonstration,
        metadata=_metadata(record, where),
    )
    split = record.get("split", "")
    if not isinstance(split, str) or ("split" in record and not split):
        raise DataError(f'{where}.split: {shown(split)} is no split; write "train", "validation" or "test"')
    return task, split


def _messages(record: Json, key: str, role: str, where: str) -> tuple[Message, ...]:
    """A text as one message of that role, or a list of chat messages."""
    value = record[key]
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{where}.{key}: it is empty")
        return (Message(role=role, content=value),)
    if key == "prompt" or not value:
        expected = "a text" if key == "prompt" else "a text or chat messages"
        raise DataError(f"{where}.{key}: expected {expected}; got {shown(value)}")
    try:
        return parse_trajectory({"id": where, "messages": value}).messages
    except DataError as error:
        raise DataError(f"{where}.{key}: {error}") from error


def _id(record: Json, where: str) -> str:
    """The given id, or one that the content determines, so that reordering prompts moves none between splits."""
    if "id" not in record:
        return sha256(_canonical(record, where).encode("utf-8", "replace")).hexdigest()[:16]
    name = record["id"]
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        raise DataError(f"{where}.id: {shown(name)} is no id; write a text or a whole number")
    return str(name)


def _canonical(record: Json, where: str) -> str:
    try:
        return canonical_json(dict(record))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{where}: it is not plain JSON ({error}); give the prompt an `id`") from error


def _metadata(record: Json, where: str) -> dict[str, Any]:
    metadata = record.get("metadata", {})
    if not isinstance(metadata, Mapping):
        raise DataError(f"{where}.metadata: expected a table; got {type(metadata).__name__}")
    rest = {str(key): value for key, value in record.items() if key not in _OWN_KEYS}
    return {**rest, **metadata}
