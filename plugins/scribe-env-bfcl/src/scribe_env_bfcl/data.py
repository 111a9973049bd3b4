"""The leaderboard's own files, read where the `bfcl-eval` wheel was installed and copied nowhere."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import frozen

from scribe_core.errors import ConfigError, DataError
from scribe_core.types import Message

INSTALL = "pip install --no-deps bfcl-eval"

CATEGORIES = (
    "simple_python",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
    "live_relevance",
)
"""The single-turn categories that are checked by the syntax tree of the calls."""


@frozen(kw_only=True)
class Entry:
    """One row of the leaderboard, in its own vocabulary of types.

    `answers` has one `{function: {parameter: [acceptable values]}}` per expected call; none where the
    category is about calling or not calling at all.
    """

    id: str
    category: str
    question: tuple[Message, ...]
    functions: tuple[dict[str, Any], ...]
    answers: tuple[dict[str, Any], ...] = ()


def has_answers(category: str) -> bool:
    """Whether the leaderboard says which calls are right, not just whether to call."""
    return "relevance" not in category


def data_folder() -> Path:
    """Where the wheel keeps its data; the package itself is not imported, for its dependencies are absent.

    Raises ConfigError where the wheel is not installed.
    """
    try:
        spec = find_spec("bfcl_eval")
    except ValueError:
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise ConfigError(
            f"environment 'bfcl' needs the package bfcl-eval, which is not installed; run: {INSTALL}"
        )
    return Path(folders[0]) / "data"


def read_category(folder: Path, category: str) -> list[Entry]:
    """The rows of one category, with their acceptable answers where it has any.

    Raises DataError for a file that is missing or is not the leaderboard's.
    """
    path = folder / f"BFCL_v4_{category}.json"
    answers: dict[str, Any] = {}
    if has_answers(category):
        answer_path = folder / "possible_answer" / path.name
        answers = {row["id"]: row["ground_truth"] for row in _rows(answer_path, ("id", "ground_truth"))}
    entries = []
    for row in _rows(path, ("id", "question", "function")):
        if has_answers(category) and row["id"] not in answers:
            raise DataError(f"{path}: {row['id']!r} has no acceptable answers; {_REINSTALL}")
        entries.append(_entry(row, category, answers.get(row["id"], [])))
    return entries


_REINSTALL = f"the installed bfcl-eval is damaged or too old; run: {INSTALL} --force-reinstall"


def _rows(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); {_REINSTALL}") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({error}); {_REINSTALL}") from error
        if not isinstance(row, dict) or not all(key in row for key in keys) or not isinstance(row["id"], str):
            raise DataError(f"{path}, line {number}: needs {', '.join(keys)}; {_REINSTALL}")
        yield row


def _entry(row: dict[str, Any], category: str, answers: list[dict[str, Any]]) -> Entry:
    try:
        (turn,) = row["question"]
        return Entry(
            id=row["id"],
            category=category,
            question=tuple(Message(role=message["role"], content=message["content"]) for message in turn),
            functions=tuple(_function(function) for function in row["function"]),
            answers=tuple(_answer(answer) for answer in answers),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{category}: {row['id']!r} is not a single-turn question; {_REINSTALL}") from error


def _function(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function["parameters"]
    if not (
        function["name"]
        and isinstance(parameters["properties"], dict)
        and isinstance(parameters["required"], list)
    ):
        raise ValueError("a function doc without name, properties or required")
    return function


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    ((_, parameters),) = answer.items()
    if not all(isinstance(values, list) for values in parameters.values()):
        raise ValueError("a parameter without a list of acceptable values")
    return answer
