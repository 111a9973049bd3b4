"""Labelled subgoals, from a JSONL file: what a router is fitted on, or measured with.

    {"skill": "single-call", "trajectory": {...}, "span": {"start": [1, 0], "end": [2, 0]}, "task": "..."}
    {"skill": "bounds", "text": "Both bounds meet, so the value is 44."}

`span` is the whole of the trajectory where it is left out. `task` says which subgoals are not independent of one
another; without it the trajectory's task_id does, then its id or the text. Other keys are passed over.
"""

import hashlib
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from scribe_core.errors import DataError
from scribe_core.spans import whole
from scribe_core.strict_json import strict_json
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Span, Subgoal, Trajectory


@frozen(kw_only=True)
class Labelled:
    """A subgoal, or a text that describes one, with the id of its prototype."""

    skill: str
    subgoal: Subgoal | None
    text: str
    task: str


@frozen(kw_only=True)
class LabelledFile:
    """All subgoals of a file, and the sha256 of its bytes, which alone tells two files apart."""

    items: tuple[Labelled, ...] = field(default=(), eq=False)
    digest: str = ""
    source: str = ""


def read_labelled(path: Path) -> LabelledFile:
    """Reads a file of labelled subgoals. Raises DataError that names the line, the key and what would be right."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    items = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                items.append(_item(strict_json(line.decode())))
            except (DataError, ValueError) as error:
                raise DataError(f"{path}, line {number}: {error}") from None
    if not items:
        raise DataError(
            f"{path}: holds no labelled subgoals; a line is a JSON object with skill and trajectory"
        )
    return LabelledFile(items=tuple(items), digest=hashlib.sha256(data).hexdigest(), source=str(path))


def _item(value: Any) -> Labelled:
    if not isinstance(value, Mapping):
        raise DataError(f"{reprlib.repr(value)} is no JSON object")
    skill, text = value.get("skill"), value.get("text", "")
    if not isinstance(skill, str) or not skill:
        raise DataError(f"skill: {reprlib.repr(skill)}; write the id of a prototype")
    if not isinstance(text, str):
        raise DataError(f"text: {reprlib.repr(text)} is no text")
    if "trajectory" not in value:
        if not text:
            raise DataError("needs a `trajectory` (and a `span`), or a `text`")
        return Labelled(skill=skill, subgoal=None, text=text, task=str(value.get("task", text)))
    trajectory = parse_trajectory(value["trajectory"])
    subgoal = Subgoal(trajectory=trajectory, span=_span(value.get("span"), trajectory))
    task = str(value.get("task") or trajectory.task_id or trajectory.id)
    return Labelled(skill=skill, subgoal=subgoal, text="", task=task)


def _span(value: Any, trajectory: Trajectory) -> Span:
    """The span that a line gives; the whole trajectory where it gives none. Raises DataError."""
    if value is None:
        return whole(trajectory)
    places = list(_places(value))
    end = (len(trajectory.messages), 0)
    if len(places) != 2 or not (0, 0) <= places[0] < places[1] <= end:
        raise DataError(
            f'span: {reprlib.repr(value)}; write {{"start": [message, char], "end": [message, char]}} within {end}'
        )
    return Span(places[0], places[1])


def _places(value: Any) -> Iterator[tuple[int, int]]:
    for key in ("start", "end"):
        place = value.get(key) if isinstance(value, Mapping) else None
        if (
            isinstance(place, list)
            and len(place) == 2
            and all(type(each) is int and each >= 0 for each in place)
        ):
            yield place[0], place[1]
