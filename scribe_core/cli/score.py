"""`scribe score`: trajectories in, a line of JSON out for each, in order."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from scribe_core.cli import logs
from scribe_core.cli.common import set_option
from scribe_core.cli.main import FAILED
from scribe_core.errors import ConfigError, DataError, ScribeError
from scribe_core.trajectories import LineError, iterate_trajectories
from scribe_core.types import Trajectory

if TYPE_CHECKING:
    from scribe_core.scorer import Scorer

CHUNK = 256
"""Lines that are scored together."""

Line = tuple[int, Trajectory | LineError]


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
@click.pass_context
def score(
    ctx: click.Context, file: str, configs: tuple[Path, ...], overrides: tuple[str, ...], out: str | None
) -> None:
    """Score trajectories: a reward, and a score per subgoal.

    FILE holds one trajectory as JSON per line; - is stdin. Prints one line of JSON for each, in order. A bad
    line gives {"id", "line", "error"}; the rest is scored, and the exit code is 1.

    Without a config, subgoals are the turns, prototypes are those of scribe-skills, and programs judge.
    """
    from scribe_core.config import Config

    logs.configure(ctx.obj)
    scorer = Config.load(configs, overrides).scorer.build()
    with _source(file) as source, _sink(file, out) as sink:
        good, bad = _score_all(scorer, source, sink)
        if not good + bad:
            raise DataError(f"{file}: holds no trajectories")
    if out:
        click.echo(f"{good} trajectories scored, {bad} bad lines: {out}", err=True)
    if bad:
        ctx.exit(FAILED)


def _score_all(scorer: "Scorer", source: BinaryIO, sink: BinaryIO) -> tuple[int, int]:
    """Writes a record for each line; returns how many were scored and how many were bad."""
    good = bad = 0
    judged_outcome: dict[str, bool] = {}
    lines = iterate_trajectories(source)
    while chunk := [_consistent(line, judged_outcome) for line in islice(lines, CHUNK)]:
        for record in _records(scorer, chunk):
            bad += "error" in record
            good += "error" not in record
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            sink.write(text.encode("utf-8", "replace") + b"\n")
        sink.flush()
    return good, bad


def _records(scorer: "Scorer", chunk: Sequence[Line]) -> Iterator[dict[str, Any]]:
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


def _consistent(line: Line, known: dict[str, bool]) -> Line:
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
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with _opened(Path(file), "rb", DataError(f"{file}: cannot be read")) as stream:
        yield stream


@contextmanager
def _sink(source: str, out: str | None) -> Iterator[BinaryIO]:
    if out is None:
        yield sys.stdout.buffer
        return
    final = Path(out)
    special = final.exists() and not final.is_file()
    draft = final if special else final.with_name(f"{final.name}.part")
    if any(_is_same(Path(source), each) for each in (final, draft)):
        raise ConfigError(f"--out {out}: that is the input; write somewhere else")
    with _opened(draft, "wb", ConfigError(f"--out {out}: cannot be written")) as stream:
        yield stream
    if not special:
        draft.replace(final)


def _opened(path: Path, mode: str, problem: ScribeError) -> BinaryIO:
    try:
        return cast(BinaryIO, path.open(mode))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise type(problem)(f"{problem}: {reason}") from error


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
