"""The JSON of a run's folder: written so that a kill leaves no half of it, read as if a stranger had written it."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scribe_core.errors import DataError
from scribe_core.strict_json import MAX_DEPTH, MAX_LINE_BYTES, lines, strict_json

MAX_LOG_DEPTH = MAX_DEPTH + 20
"""A log's line holds what came from outside, which may be MAX_DEPTH deep, a few levels further down."""


def read_json(path: Path) -> Any:
    """A JSON file of a run; DataError where it is not readable."""
    try:
        return strict_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error


def read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it stands ("file:line"), and the object, of each line of a run's log; nothing where there is no log.

    A last line without its newline is still being written, or was when the run was killed: it is left out.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in lines(file):
            where = f"{path}:{number}"
            if line is None:
                raise DataError(f"{where}: longer than {MAX_LINE_BYTES} bytes")
            if not line.endswith(b"\n"):
                return
            try:
                record = strict_json(line.decode(), MAX_LOG_DEPTH)
            except ValueError as error:
                raise DataError(f"{where}: not a JSON line ({error})") from error
            if not isinstance(record, dict):
                raise DataError(f"{where}: expected an object, found {type(record).__name__}")
            yield where, record


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file of a run, whole or not at all."""
    replace(path, dumps(value, indent=2) + "\n")


def dumps(value: Any, indent: int | None = None) -> str:
    """One JSON text. What JSON cannot hold becomes null or its text, so that no figure ends a run."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str, indent=indent)
    except (TypeError, ValueError):
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def replace(path: Path, text: str) -> None:
    """Writes a file, whole or not at all."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(path)


def drop_partial_line(path: Path) -> None:
    """Cuts off what follows the last newline of a log: a line that a kill interrupted."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            position = start
        file.truncate(0)
