"""`scribe plugins` and `scribe doctor`: what is installed, and what is wrong with it."""

import json
import platform
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import groupby
from typing import Any

import click

from scribe_core import __version__
from scribe_core.cli.common import columns
from scribe_core.cli.main import COMMANDS, FAILED
from scribe_core.errors import ConfigError
from scribe_core.hookspecs import KINDS
from scribe_core.options import option_helps
from scribe_core.registry import Problem, Record, Registry


@click.command(epilog=f"Kinds: {', '.join(KINDS)}.")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def plugins(kind: str | None, as_json: bool) -> None:
    """List what the installed plugins offer.

    These are the names that `use` takes in a config. With KIND, only parts of that kind, and their options.
    """
    records = Registry.installed().records(kind)
    if as_json:
        click.echo(json.dumps([_plain(record) for record in records], indent=2))
    elif kind:
        click.echo("\n\n".join(map(_in_full, records)) or f"no plugin offers {kind}")
    else:
        for name, group in groupby(records, key=lambda record: record.kind):
            click.echo(name)
            click.echo(columns([(each.name, f"{each.dist} {each.version}", each.summary) for each in group]))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Show what is wrong with the installed plugins. Exits with 1 if anything is.

    A broken plugin stops nothing else; set SCRIBE_BLOCK=dist,... to turn plugins off.
    """
    registry = Registry.installed()
    problems = [*registry.problems, *_unreadable_options(registry)]
    report = {
        "versions": {"scribe-core": __version__, "python": platform.python_version()},
        "plugins": sorted({f"{record.dist} {record.version}" for record in registry.records()}),
        "blocked": sorted(registry.blocked),
        "notes": [*_clashes(registry), *_hidden_commands(registry)],
        "problems": [problem._asdict() for problem in problems],
    }
    click.echo(json.dumps(report, indent=2) if as_json else _readable(report, problems))
    if problems:
        ctx.exit(FAILED)


def _plain(record: Record) -> dict[str, Any]:
    try:
        with redirect_stdout(sys.stderr):
            helps = option_helps(record.builder)
            options = [
                {**option.plain(), "help": helps.get(option.attribute, "")}
                for option in record.options.values()
            ]
    except ConfigError:
        options = []
    return {
        "kind": record.kind,
        "name": record.name,
        "dist": record.dist,
        "version": record.version,
        "summary": record.summary,
        "options": options,
    }


def _in_full(record: Record) -> str:
    options = _plain(record)["options"]
    rows = [
        (option["name"], option["type"], "required" if option["required"] else _default(option["default"]))
        for option in options
    ]
    lines = [f"{record.name}  ({record.dist} {record.version})", f"  {record.summary}"]
    for option, row in zip(options, columns(rows, indent=4).splitlines() if rows else (), strict=True):
        lines += [row, *([f"{'':8}{option['help']}"] if option["help"] else [])]
    return "\n".join(lines)


def _default(value: object) -> str:
    return "optional" if value is None else f"default {json.dumps(value)}"


def _unreadable_options(registry: Registry) -> Iterator[Problem]:
    for record in registry.records():
        try:
            with redirect_stdout(sys.stderr):
                for option in record.options.values():
                    _ = option.default_value
        except ConfigError as error:
            yield Problem(record.dist, record.version, "", f"{record.kind} {record.name!r}: {error}")


def _clashes(registry: Registry) -> Iterator[str]:
    for (kind, name), group in groupby(registry.records(), key=lambda record: (record.kind, record.name)):
        refs = [record.ref for record in group]
        if len(refs) > 1:
            yield f"{name!r} is offered by {len(refs)} plugins as one of the {kind}; write {' or '.join(refs)}"


def _hidden_commands(registry: Registry) -> Iterator[str]:
    for record in registry.records("commands"):
        if record.name in COMMANDS:
            yield f"the command {record.name!r} of {record.dist} is hidden by core's own; write {record.ref}"


def _readable(report: dict[str, Any], problems: list[Problem]) -> str:
    lines = [" ".join([name, version]) for name, version in report["versions"].items()]
    lines += [f"plugins: {', '.join(report['plugins']) or 'none'}"]
    lines += [f"turned off by SCRIBE_BLOCK: {', '.join(report['blocked'])}"] if report["blocked"] else []
    lines += [f"note: {note}" for note in report["notes"]]
    for problem in problems:
        where = f"{problem.dist} {problem.version}".strip()
        entry = f", entry point {problem.entry_point!r}" if problem.entry_point else ""
        lines += ["", f"problem: {where}{entry}: {problem.message}"]
        lines += [f"    {line}" for line in problem.traceback.splitlines()]
    lines += ["", f"{len(problems)} problem(s)" if problems else "no problems"]
    return "\n".join(lines)
