"""`scribe score`: trajectories in, a line of JSON out for each, in order."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from scribe_core.cli import logs
from scribe_core.cli.common import set_option
from scribe_core.cli.main import FAILED
from scribe_core.errors import ConfigError, DataError, ScribeError
from scribe_core.readers import FORMATS, read
from scribe_core.tally import Tally
from scribe_core.trajectories import LineError
from scribe_core.types import Trajectory

if TYPE_CHECKING:
    from scribe_core.scorer import Scorer

CHUNK = 256
"""Lines that are scored together, at most."""

Line = tuple[int, Trajectory | LineError]
Reading = Callable[["BufferedReader[Any]"], Iterator[Line]]


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="CONFIG",
    type=click.Path(path_type=Path),
    help="A TOML file with a [scorer] table; may be repeated, later ones win.",
)
@set_option
@click.option(
    "--out", metavar="FILE", help="Write here instead of to stdout; the file appears when it is complete."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Who saved FILE; unless given, recognised from its first record.",
)
@click.option("--outcome", metavar="NAME", help="Which reward of a foreign FILE is the outcome, or none.")
@click.pass_context
def score(
    ctx: click.Context,
    file: str,
    configs: tuple[Path, ...],
    overrides: tuple[str, ...],
    out: str | None,
    format_: str | None,
    outcome: str | None,
) -> None:
    """Score trajectories: a reward, and a score per subgoal.

    FILE holds one trajectory as JSON per line, or rollouts that TRL, verifiers, verl, LangSmith, OpenAI or
    inspect_ai saved; - is stdin. Prints one line of JSON for each, in order. A bad line gives {"id", "line",
    "error"}; the rest is scored, and the exit code is 1.

    Without a config, subgoals are the turns, prototypes are those of scribe-skills, and programs judge.
    """
    from scribe_core.config import Config

    logs.configure(ctx.obj)
    with redirect_stdout(sys.stderr):
        scorer = Config.load(configs, overrides).scorer.build()
    # What parts print while they work must not stand among the results.
    with _source(file) as source, _sink(source, out) as sink, redirect_stdout(sys.stderr):
        tally = Tally()
        good, bad = _score_all(scorer, source, sink, tally, partial(read, format_=format_, outcome=outcome))
        if not good + bad:
            raise DataError(f"{file}: holds no trajectories")
    if tally.asked:
        click.echo(f"judged: {tally.line()}", err=True)
    if out:
        click.echo(f"{good} trajectories scored, {bad} bad lines: {out}", err=True)
    if bad:
        ctx.exit(FAILED)


def _score_all(
    scorer: "Scorer", source: FileIO, sink: BinaryIO, tally: Tally, read: Reading
) -> tuple[int, int]:
    """Writes a record for each line; returns how many were scored and how many were bad."""
    good = bad = 0
    judged_outcome: dict[str, bool] = {}
    for chunk in _chunks(source, read):
        for record in records(scorer, [consistent(line, judged_outcome) for line in chunk]):
            if "error" in record:
                bad += 1
            else:
                good += 1
                tally.add(record)
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            sink.write(text.encode("utf-8", "replace") + b"\n")
        sink.flush()
    return good, bad


def _chunks(source: FileIO, read: Reading) -> Iterator[list[Line]]:
    """What was read while the lines before it were scored: no line waits for one that has not come yet."""
    queue: Queue[Line | BaseException | None] = Queue(CHUNK)

    def fill() -> None:
        try:
            with BufferedReader(source) as stream:
                for line in read(stream):
                    queue.put(line)
            queue.put(None)
        except BaseException as error:
            queue.put(error)

    Thread(target=fill, name="scribe-read", daemon=True).start()
    last = False
    while not last:
        items = [queue.get(), *(queue.get() for _ in range(queue.qsize()))]
        chunk = [item for item in items if isinstance(item, tuple)]
        last = len(chunk) < len(items)
        if chunk:
            yield chunk
        if isinstance(items[-1], BaseException):
            raise items[-1]


def records(scorer: "Scorer", chunk: Sequence[Line]) -> Iterator[dict[str, Any]]:
    """The score line of each, or its error line."""
    scored = iter(_scored(scorer, [value for _, value in chunk if isinstance(value, Trajectory)]))
    for number, value in chunk:
        result = next(scored) if isinstance(value, Trajectory) else str(value)
        yield {"id": value.id, "line": number, "error": result} if isinstance(result, str) else result


def _scored(scorer: "Scorer", trajectories: Sequence[Trajectory]) -> Iterator[dict[str, Any] | str]:
    """The record of each, or what went wrong with it."""
    from scribe_core.scorer import score_record

    try:
        yield from [score_record(each) for each in scorer.score(trajectories)]
    except ScribeError:
        raise
    except Exception as error:
        # A part that breaks on one trajectory must not cost the others their scores.
        if len(trajectories) == 1:
            yield f"{type(error).__name__}: {error}"
        else:
            for trajectory in trajectories:
                yield from _scored(scorer, [trajectory])


def consistent(line: Line, known: dict[str, bool]) -> Line:
    """The line itself, or what is wrong where its group began with an outcome and it has none, or the reverse."""
    number, value = line
    if isinstance(value, LineError) or not value.group_id:
        return line
    has_outcome = value.outcome is not None
    if known.setdefault(value.group_id, has_outcome) is has_outcome:
        return line
    this, first = ("a number", "null") if has_outcome else ("null", "a number")
    text = (
        f"outcome: {this}, but {first} where group {value.group_id!r} begins; give all of a group one or none"
    )
    return number, LineError(text, value.id)


@contextmanager
def _source(file: str) -> Iterator[FileIO]:
    """Without a buffer: closing one waits for the thread that reads through it."""
    if file == "-":
        if sys.stdin is None:
            raise DataError("-: stdin is closed; give a file, or a pipe")
        # A reader of its own: the interpreter's would have to be free when it ends.
        with FileIO(sys.stdin.fileno(), closefd=False) as stream:
            yield stream
        return
    with cast(FileIO, _opened(Path(file), "rb", DataError(f"{file}: cannot be read"), 0)) as stream:
        yield stream


@contextmanager
def _sink(source: FileIO, out: str | None) -> Iterator[BinaryIO]:
    if out is None:
        if sys.stdout is None:
            raise ConfigError("stdout is closed; write to a file with --out FILE")
        if _is_same(source, sys.stdout.buffer):
            raise ConfigError("stdout is the input; write somewhere else")
        yield sys.stdout.buffer
        return
    problem = ConfigError(f"--out {out}: cannot be written")
    final = _target(out, problem)
    special = final.exists() and not final.is_file()
    draft = final if special else final.with_name(f"{final.name}.part")
    if any(_is_same(source, each) for each in (final, draft)):
        raise ConfigError(f"--out {out}: that is the input; write somewhere else")
    with _opened(draft, "wb", problem) as stream:
        try:
            yield stream
        except BaseException:
            if not special and not stream.tell():
                draft.unlink()
            raise
    if not special:
        draft.replace(final)


def _target(out: str, problem: ScribeError) -> Path:
    """Where the results go; a link stays, and what it leads to is written."""
    try:
        path = Path(out)
        return path.resolve() if path.is_file() else path
    except (OSError, ValueError, RuntimeError) as error:
        raise type(problem)(f"{problem}: {error}") from error


def _opened(path: Path, mode: str, problem: ScribeError, buffering: int = -1) -> BinaryIO:
    try:
        return cast(BinaryIO, path.open(mode, buffering))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise type(problem)(f"{problem}: {reason}") from error


def _is_same(source: FileIO, target: Path | BinaryIO) -> bool:
    """Whether both are one regular file, by whatever names."""
    try:
        input_ = os.fstat(source.fileno())
        output = target.stat() if isinstance(target, Path) else os.fstat(target.fileno())
    except OSError:
        return False
    return stat.S_ISREG(input_.st_mode) and os.path.samestat(input_, output)
