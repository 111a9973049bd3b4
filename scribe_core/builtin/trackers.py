"""Where a run's events go besides its own log: a file of JSON lines, or the terminal.

An event is a flat record: `event` says what happened, and the rest are its figures.
"""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, TextIO

from attrs import define, field, frozen

from scribe_core.errors import ConfigError
from scribe_core.protocols import Tracker

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Event = Mapping[str, Any]


@frozen(kw_only=True)
class JsonlTracker:
    """Appends every event as a line of JSON to a file."""

    name: ClassVar[str] = "jsonl"
    path: str = "metrics.jsonl"

    def build(self) -> Tracker:
        """Opens the file. Raises ConfigError where that fails, so that a run stops before it begins."""
        path = Path(self.path).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"tracker jsonl: path {self.path!r} cannot be opened: {error}") from error
        _end_last_line(file)
        return _Lines(file)


@frozen
class ConsoleTracker:
    """Shows progress: a bar on a terminal, one line per step anywhere else."""

    name: ClassVar[str] = "console"

    def build(self) -> Tracker:
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        return _bar() if terminal else _Plain(sys.stderr)


@define
class _Lines:
    file: IO[bytes]

    def log(self, event: Event) -> None:
        text = json.dumps(_finite(event), ensure_ascii=False, allow_nan=False, default=str)
        self.file.write(text.encode("utf-8", "replace") + b"\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


@define
class _Plain:
    stream: TextIO

    def log(self, event: Event) -> None:
        if line := _line(event):
            print(line, file=self.stream, flush=True)

    def close(self) -> None:
        self.stream.flush()


@define
class _Bar:
    progress: "Progress"
    task: "TaskID | None" = field(default=None)

    def log(self, event: Event) -> None:
        if event.get("event") != "step":
            if line := _line(event):
                self.progress.console.print(line, markup=False, highlight=False)
            return
        total, step = event.get("steps"), event.get("step")
        if self.task is None:
            self.progress.start()
            self.task = self.progress.add_task("training", total=total, figures="")
        self.progress.update(self.task, total=total, completed=step, figures=_figures(event))

    def close(self) -> None:
        self.progress.stop()


def _bar() -> Tracker:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
    )
    return _Bar(Progress(*columns, console=Console(stderr=True)))


def _line(event: Event) -> str:
    """What a person wants to know of an event; empty for what is only for machines."""
    step, steps = event.get("step"), event.get("steps")
    match event.get("event"):
        case "run_started":
            return f"run started: {steps} steps" if not step else f"run resumed after step {step} of {steps}"
        case "step":
            return f"step {step}/{steps}  {_figures(event)}"
        case "evaluation":
            return f"evaluation after step {step}: {event.get('tasks')} {event.get('split')} tasks  {_figures(event)}"
        case "refresh":
            changes = event.get("changes") or ()
            taken = [f"{each['kind']} {each['skill']}" for each in changes if not each["refused"]]
            return f"library after step {step}: {len(changes)} proposal(s); taken up: {', '.join(taken) or 'none'}"
        case "checkpoint":
            return f"checkpoint after step {step}: {event.get('path')}"
        case "run_finished":
            return f"run finished after step {step}"
    return ""


def _figures(event: Event) -> str:
    shown = [f"{name} {_number(event[name])}" for name in ("reward", "outcome", "process") if name in event]
    seconds = event.get("seconds")
    if isinstance(seconds, Mapping):
        shown.append(f"{sum(filter(_is_number, seconds.values())):.1f} s")
    return "  ".join(shown)


def _number(value: object) -> str:
    return f"{value:.3f}" if _is_number(value) else "-"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _end_last_line(file: IO[bytes]) -> None:
    """A run that was killed while writing leaves half a line; the next event must not join it."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
