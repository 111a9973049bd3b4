"""Rollouts that others saved, as trajectories: one module a format, each a function from a record to a Trajectory.

The format is named, or recognised from the first record; what no other claims is our own. A file is JSON lines, one
JSON document, or the zip archive of an inspect_ai log.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

from attrs import frozen

from scribe_core.errors import DataError
from scribe_core.readers import inspect_ai, langsmith, openai, trl, verifiers, verl
from scribe_core.readers.containers import Record, records
from scribe_core.trajectories import LineError, parse_trajectory
from scribe_core.types import Json, Trajectory

OWN = "scribe"


def _itself(record: Json) -> Sequence[Any]:
    return (record,)


def _own(record: Any, number: int, outcome: str | None) -> Trajectory:
    if outcome is not None:
        raise DataError("--outcome: trajectories in our own format have one `outcome`; leave the option out")
    del number
    return parse_trajectory(record)


@frozen(kw_only=True)
class Reader:
    """A format: which records are of it, what parts one has, and the trajectory of a part.

    `trajectory` takes the part, its number in the file, and which of its rewards is the outcome (None: the one there
    is; "none": none). It raises DataError with the key, the value and what is right.
    """

    name: str
    matches: Callable[[Json], bool]
    parts: Callable[[Json], Sequence[Any]] = _itself
    trajectory: Callable[[Any, int, str | None], Trajectory]


READERS = (
    Reader(
        name="inspect_ai",
        matches=inspect_ai.matches,
        parts=inspect_ai.samples,
        trajectory=inspect_ai.trajectory,
    ),
    Reader(name="langsmith", matches=langsmith.matches, trajectory=langsmith.trajectory),
    Reader(
        name="verifiers", matches=verifiers.matches, parts=verifiers.traces, trajectory=verifiers.trajectory
    ),
    Reader(name="verl", matches=verl.matches, trajectory=verl.trajectory),
    Reader(name="trl", matches=trl.matches, trajectory=trl.trajectory),
    Reader(name="openai", matches=openai.matches, trajectory=openai.trajectory),
    Reader(name=OWN, matches=lambda _: True, trajectory=_own),
)
FORMATS = tuple(sorted(reader.name for reader in READERS))


def read(
    stream: BinaryIO, format_: str | None = None, outcome: str | None = None
) -> Iterator[tuple[int, Trajectory | LineError]]:
    """The number of each record, and its trajectory or what is wrong with it. Raises DataError for the file itself."""
    reader = next((each for each in READERS if each.name == format_), None)
    for record in records(stream):
        if reader is None and isinstance(value := record.value(strict=False), dict):
            reader = next(each for each in READERS if each.matches(value))
        yield from _read(record, reader or READERS[-1], outcome)


def _read(
    record: Record, reader: Reader, outcome: str | None
) -> Iterator[tuple[int, Trajectory | LineError]]:
    value = record.value(strict=reader.name == OWN)
    if isinstance(value, LineError):
        yield record.number, value
        return
    make = partial(_made, reader, outcome=outcome)
    try:
        parts = reader.parts(value) if isinstance(value, dict) else (value,)
    except DataError as error:
        yield record.number, LineError(str(error), _id(value))
        return
    for index, part in enumerate(parts):
        number = index + 1 if record.whole else record.number
        yield number, make(part, number)


def _made(reader: Reader, part: Any, number: int, outcome: str | None) -> Trajectory | LineError:
    try:
        if not isinstance(part, dict):
            return LineError(f"expected a JSON object, got {type(part).__name__}")
        return reader.trajectory(part, number, outcome)
    except DataError as error:
        return LineError(str(error), _id(part))


def _id(value: Any) -> str | None:
    id_ = value.get("id") if isinstance(value, dict) else None
    return id_ if isinstance(id_, str) else None
