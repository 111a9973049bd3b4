"""`scribe skills lock | export | import`: libraries and prototypes as files."""

from pathlib import Path

import click

from scribe_core.cli.main import FAILED
from scribe_core.errors import ConfigError, DataError, suggest
from scribe_core.records import dumps, read_json, replace
from scribe_core.registry import Registry
from scribe_core.skills import dump_prototype, load_folder
from scribe_core.skills.agent_skill import as_yaml, export_skill, import_skill
from scribe_core.skills.lock import LOCK_FILE, lock_problems, make_lock

folder_argument = click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))


@click.command()
@folder_argument
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 where the library differs from its lock."
)
@click.pass_context
def lock(ctx: click.Context, folder: Path, check: bool) -> None:
    """Hash a library and the programs that it names into its lock file.

    FOLDER holds the skill files. Runs and colleagues can tell by the lock whether they judge alike.
    """
    library = load_folder(folder)
    new, path = make_lock(library, _program_modules()), folder / LOCK_FILE
    if not check:
        replace(path, dumps(new, indent=2) + "\n")
        click.echo(
            f"{path}: {len(library)} prototypes, {len(new['programs'])} programs, digest {new['digest']}"
        )
        return
    try:
        problems = list(lock_problems(read_json(path), new))
    except DataError as error:
        raise ConfigError(f"{error}; write it with `scribe skills lock {folder}`") from error
    click.echo("\n".join([*problems, f"{path}: {len(problems)} difference(s)"]))
    if problems:
        ctx.exit(FAILED)


@click.command("export")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to.",
)
@click.option(
    "--library",
    "names",
    multiple=True,
    default=["scribe-skills"],
    show_default=True,
    metavar="NAME|FOLDER",
    help="An installed library, or a folder of skill files; may be repeated.",
)
def export_skills(ids: tuple[str, ...], target: Path, names: tuple[str, ...]) -> None:
    """Write prototypes as Agent Skills: a folder with a SKILL.md each; all of them unless IDs are given."""
    from scribe_core.cli.skills import load

    library = load(names)
    for id_ in ids:
        if id_ not in library:
            raise ConfigError(f"{library.source} has no prototype {id_!r}{suggest(id_, library)}")
    for id_ in ids or library:
        click.echo(export_skill(library[id_], target))


@click.command("import")
@click.argument(
    "folders", nargs=-1, required=True, metavar="SKILL_FOLDER...", type=click.Path(path_type=Path)
)
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The library's folder of skill files.",
)
def import_skills(folders: tuple[Path, ...], target: Path) -> None:
    """Read exported Agent Skills back into a folder of skill files; an existing file is not overwritten."""
    prototypes = [import_skill(folder) for folder in folders]
    for prototype in prototypes:
        if (target / f"{prototype.id}.yaml").exists():
            raise ConfigError(
                f"{target / prototype.id}.yaml: exists; remove it first, or choose another --to"
            )
    target.mkdir(parents=True, exist_ok=True)
    for prototype in prototypes:
        path = target / f"{prototype.id}.yaml"
        replace(path, as_yaml(dump_prototype(prototype)))
        click.echo(path)


def _program_modules() -> dict[str, str]:
    """The module of each installed program, by its name and by dist/name."""
    found = {}
    for record in Registry.installed().records("programs"):
        found.update({record.name: record.builder.__module__, record.ref: record.builder.__module__})
    return found
