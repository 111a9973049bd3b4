"""JSON from outside: read strictly and within bounds, a line at a time."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, BinaryIO

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 100


def strict_json(text: str, max_depth: int = MAX_DEPTH, refuse_nan: bool = True) -> Any:
    """JSON to values. Raises ValueError for repeated keys, half characters, deep nesting, and NaN and Infinity.

    Without `refuse_nan`, these are null: they stand where Python wrote a number that is none.
    """
    constant = _no_constant if refuse_nan else lambda _: None
    try:
        value: Any = json.loads(text, object_pairs_hook=_unique, parse_constant=constant, parse_float=_finite)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a surrogate pair; write the character itself") from None
    if _deeper_than(max_depth, value):
        raise ValueError(f"nested more than {max_depth} levels deep")
    return value


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a stream with their numbers from 1, read one at a time; None for one that is too long."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)
        yield number, None


def _deeper_than(limit: int, value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        inner = (item for each in level for item in (each.values() if isinstance(each, dict) else each))
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} appears twice in one object")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number; write null or a finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_constant(text[:40])
