"""`scribe skills`: what is in a skill library, and whether it is sound."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from scribe_core import aio
from scribe_core.builders import build
from scribe_core.cli.common import columns
from scribe_core.cli.main import FAILED
from scribe_core.cli.skill_files import export_skills, import_skills, lock
from scribe_core.cli.skill_review import review
from scribe_core.errors import ConfigError, suggest
from scribe_core.registry import Registry
from scribe_core.skills import Library, Prototype, calibration_problems, dump_prototype, lint, merge
from scribe_core.skills.lint import NOT_CHECKED

DEFAULT_LIBRARY = "scribe-skills"

library_option = click.option(
    "--library",
    "names",
    multiple=True,
    default=[DEFAULT_LIBRARY],
    show_default=True,
    metavar="NAME|FOLDER",
    help="An installed library, or a folder of skill files; may be repeated.",
)


@click.group(invoke_without_command=True)
@click.pass_context
def skills(ctx: click.Context) -> None:
    """List, show and check skill prototypes."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (lock, export_skills, import_skills, review):
    skills.add_command(command)


@skills.command("list")
@library_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_skills(names: tuple[str, ...], as_json: bool) -> None:
    """List the prototypes of a library."""
    rows = [_summary(prototype) for prototype in load(names).values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        click.echo(columns([(row["id"], row["level"], row["scope"], row["title"]) for row in rows], indent=0))


@skills.command()
@click.argument("skill", metavar="ID")
@library_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
def show(skill: str, names: tuple[str, ...], as_json: bool) -> None:
    """Show one prototype as its skill file holds it."""
    library = load(names)
    if skill not in library:
        raise ConfigError(f"{library.source} has no prototype {skill!r}{suggest(skill, library)}")
    content = dump_prototype(library[skill])
    if as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        import yaml

        click.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), nl=False)


@skills.command("lint")
@library_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_context
def lint_skills(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Check a library; exits with 1 if there are problems.

    Every score must be some rubric's, every check decidable, every prototype told from the others, and the
    calibration cases judged as labelled by the programs that the prototypes name.
    """
    library = load(names)
    registry = Registry.installed()
    known = {text for record in registry.records("programs") for text in (record.name, record.ref)}
    problems = lint(library, known)
    if not any(problem.rule == "programs" for problem in problems):
        judge = build(registry.get("judges", "programs")())
        with redirect_stdout(sys.stderr):
            problems += aio.run(calibration_problems(library, judge))
    notes = [problem for problem in problems if problem.rule == NOT_CHECKED]
    problems = [problem for problem in problems if problem.rule != NOT_CHECKED]
    rows = [{"prototype": p.prototype, "rule": p.rule, "message": p.message} for p in problems]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        lines = [f"{row['prototype']}: {row['rule']}: {row['message']}" for row in rows]
        if notes:
            lines.append(f"not checked: {len(notes)} calibration case(s) that a model must decide")
        click.echo("\n".join([*lines, f"{len(library)} prototypes, {len(rows)} problem(s)"]))
    if problems:
        ctx.exit(FAILED)


def load(names: tuple[str, ...]) -> Library:
    """One library of installed ones and folders."""
    registry = Registry.installed()
    known = {text for record in registry.records("skill_libraries") for text in (record.name, record.ref)}
    folder: Callable[..., Any] = registry.get("skill_libraries", "folder")
    builders = [
        folder(path=name)
        if name not in known and Path(name).is_dir()
        else registry.get("skill_libraries", name)()
        for name in names
    ]
    return merge(map(build, builders))


def _summary(prototype: Prototype) -> dict[str, Any]:
    return {
        "id": prototype.id,
        "version": prototype.version,
        "level": prototype.level,
        "scope": prototype.scope,
        "title": prototype.title,
        "domain": list(prototype.domain),
        "checks": len(prototype.checks),
        "failure_modes": len(prototype.failure_modes),
        "digest": prototype.digest,
    }
