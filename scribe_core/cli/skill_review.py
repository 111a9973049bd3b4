"""`scribe skills review`: a person walks through drafts, and a library takes up what they accept.

Answers are read line by line, so that they can be typed or piped. Nothing is written but what was accepted, edited or
merged; the drafts stay where they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import evolve, frozen

from scribe_core.cli.common import columns
from scribe_core.errors import ConfigError
from scribe_core.records import replace
from scribe_core.registry import Registry
from scribe_core.skills import (
    GENERAL,
    Check,
    FailureMode,
    Library,
    Prototype,
    Routing,
    dump_prototype,
    lint,
    load_folder,
    load_prototype,
    parse_prototype,
)
from scribe_core.skills.agent_skill import as_yaml
from scribe_core.skills.near import nearest
from scribe_core.skills.yaml_text import parse_yaml

CHOICES = "accept, edit, merge, reject, skip, quit"
MEMBERS = 5


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--into",
    "target",
    required=True,
    metavar="LIBRARY",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of skill files that takes up what is accepted; it is made where there is none.",
)
def review(folder: Path, target: Path) -> None:
    """Walk through drafts and decide about each.

    FOLDER holds the drafts, as `scribe mine` writes them. Each is shown with members that it was mined from and with
    what it is nearest to in LIBRARY. It can be accepted, edited in $EDITOR, merged into a prototype that there is,
    rejected, or skipped for later; `quit` ends the review. What a draft changes gets a new version, and an existing
    prototype is replaced only where you say so.
    """
    drafts = load_folder(folder)
    counts = {"accepted": 0, "merged": 0, "rejected": 0, "skipped": 0}
    for number, draft in enumerate(drafts.values(), 1):
        click.echo(f"\n[{number} of {len(drafts)}] {draft.id}")
        done = _decide(draft, target)
        if done is None:
            break
        counts[done] += 1
    left = len(drafts) - sum(counts.values())
    told = [f"{count} {name}" for name, count in counts.items() if count] + (
        [f"{left} not looked at"] if left else []
    )
    click.echo(f"\n{', '.join(told)}: {target}")


@frozen
class _Written:
    """What goes into the library, and what it replaces."""

    prototype: Prototype
    replaces: Prototype | None


def _decide(draft: Prototype, target: Path) -> str | None:
    """What became of a draft; None where the review is to end."""
    while True:
        library = _library(target)
        _show(draft, library)
        answer = _ask(f"{CHOICES}?", "skip")
        if answer in ("quit", "q"):
            return None
        if answer in ("reject", "r", "skip", "s"):
            return "rejected" if answer.startswith("r") else "skipped"
        if answer in ("edit", "e"):
            draft = _edited(draft)
        elif answer in ("accept", "a"):
            if _accepted(draft, library, target):
                return "accepted"
        elif answer in ("merge", "m"):
            if _merged(draft, library, target):
                return "merged"
        else:
            click.echo(f"{answer!r} is none of: {CHOICES}")


def _library(target: Path) -> dict[str, Prototype]:
    """What the library holds by now."""
    return dict(load_folder(target)) if target.is_dir() and any(target.rglob("*.y*ml")) else {}


def _show(draft: Prototype, library: dict[str, Prototype]) -> None:
    mined = draft.provenance.get("mined", {})
    rows = [("title", draft.title), ("when", draft.when_to_use)]
    rows += [(f"score {level}", text) for level, text in sorted(draft.rubric.items(), reverse=True)]
    rows += [("check", f"{check.question} (else at most {check.caps})") for check in draft.checks]
    rows += [("mistake", f"{mode.description} (at most {mode.caps})") for mode in draft.failure_modes]
    rows += [("members", f"{mined['n']}, for example:")] if "n" in mined else []
    rows += [("", text) for text in _members(draft)]
    near = nearest(draft, library.values())
    rows += [("near", f"{each.prototype.id} ({each.share:.0%}): {each.prototype.title}") for each in near]
    rows += [("problem", text) for text in _problems(draft, library)]
    click.echo(columns(rows))


def _members(draft: Prototype) -> Iterator[str]:
    """What its members are like: their situations, and what was asked in those that are kept as cases."""
    yield from draft.routing.exemplars[:MEMBERS]
    for case in draft.calibration:
        users = [
            m.get("content") for m in case.span["messages"] if isinstance(m, dict) and m.get("role") == "user"
        ]
        yield f"{case.source}, {case.score:g} of 3: {str(users[-1:])[:160]}"


def _problems(draft: Prototype, library: dict[str, Prototype]) -> list[str]:
    """What lint says of the draft among the others."""
    records = Registry.installed().records("programs")
    known = {text for record in records for text in (record.name, record.ref)}
    among = Library([*(p for id_, p in library.items() if id_ != draft.id), _alone(draft, library)])
    return [
        f"{p.rule}: {p.message}" for p in lint(among, known) if p.prototype == draft.id and p.rule != GENERAL
    ]


def _alone(draft: Prototype, library: dict[str, Prototype]) -> Prototype:
    """The draft, without neighbours that the library lacks: other drafts, which may never be accepted."""
    known = tuple(id_ for id_ in draft.routing.confusable_with if id_ in library and id_ != draft.id)
    return evolve(draft, routing=evolve(draft.routing, confusable_with=known))


def _accepted(draft: Prototype, library: dict[str, Prototype], target: Path) -> bool:
    old = library.get(draft.id)
    if old is not None and not _agreed(f"{target} has {draft.id} version {old.version}; replace it?"):
        return False
    _write(_Written(_alone(draft, library), old), target)
    return True


def _merged(draft: Prototype, library: dict[str, Prototype], target: Path) -> bool:
    """Adds what a draft knows to a prototype: exemplars, failure modes and checks that it lacks."""
    if not library:
        click.echo(f"{target} is empty; accept the draft, or skip it")
        return False
    first = nearest(draft, library.values(), 1)
    into = _ask("into which prototype?", first[0].prototype.id if first else "")
    if into not in library:
        click.echo(f"{target} has no prototype {into!r}; it has: {', '.join(library)}")
        return False
    old = library[into]
    new = merged(old, draft)
    problems = [text for text in _problems(new, library) if text not in _problems(old, library)]
    if problems and not _agreed(f"lint would say: {'; '.join(problems)}. Merge anyway?"):
        return False
    _write(_Written(new, old), target)
    return True


def merged(old: Prototype, draft: Prototype) -> Prototype:
    """A prototype with the exemplars, checks and failure modes of a draft that it lacks; its own words stay."""
    own: tuple[Check | FailureMode, ...] = old.checks + old.failure_modes
    programs, ids = {item.program for item in own} - {None}, {item.id for item in own}
    checks = tuple(c for c in draft.checks if c.id not in ids and c.program not in programs)
    ids |= {check.id for check in checks}
    modes = tuple(m for m in draft.failure_modes if m.id not in ids and m.program not in programs)
    exemplars = tuple(dict.fromkeys((*old.routing.exemplars, *draft.routing.exemplars)))
    return evolve(
        old,
        checks=old.checks + checks,
        failure_modes=old.failure_modes + modes,
        routing=Routing(exemplars=exemplars, confusable_with=old.routing.confusable_with),
    )


def _write(written: _Written, target: Path) -> None:
    new, old = written.prototype, written.replaces
    new = evolve(
        new, lifecycle={**new.lifecycle, "status": "active"}, version=old.version + 1 if old else new.version
    )
    path = _place(target, new.id) if old else target / f"{new.id}.yaml"
    target.mkdir(parents=True, exist_ok=True)
    if not old and path.exists():
        raise ConfigError(f"{path}: exists, and holds another prototype; rename that file first")
    replace(path, as_yaml(dump_prototype(new)))
    click.echo(f"{path}: version {new.version}")


def _place(target: Path, id_: str) -> Path:
    """The file of a prototype, whatever its name."""
    for path in sorted(target.rglob("*.y*ml")):
        if load_prototype(path).id == id_:
            return path
    return target / f"{id_}.yaml"


def _edited(draft: Prototype) -> Prototype:
    """The draft as $EDITOR leaves it; the old one where nothing was saved, or what was saved is no skill file."""
    text = click.edit(as_yaml(dump_prototype(draft)), extension=".yaml")
    if text is None:
        return draft
    try:
        return parse_prototype(parse_yaml(text, "the edited draft"), "the edited draft")
    except ConfigError as error:
        click.echo(f"{error}; the draft is as it was")
        return draft


def _agreed(question: str) -> bool:
    return _ask(f"{question} yes, no?", "no") in ("yes", "y")


def _ask(question: str, default: Any) -> str:
    """A line of an answer; `quit` where there are no more lines."""
    try:
        return str(click.prompt(question, default=default)).strip().lower()
    except click.Abort:
        return "quit"
