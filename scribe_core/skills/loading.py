"""Skill files and folders of them to prototypes."""

from pathlib import Path

from scribe_core.errors import ConfigError
from scribe_core.skills.content import parse_prototype
from scribe_core.skills.library import Library
from scribe_core.skills.prototype import Prototype
from scribe_core.skills.yaml_text import parse_yaml, read_text

SUFFIXES = (".yaml", ".yml")


def load_prototype(path: Path | str) -> Prototype:
    """Reads one skill file. Raises ConfigError that names the file, the key and what would be right."""
    path = Path(path)
    return parse_prototype(parse_yaml(read_text(path), str(path)), str(path))


def load_folder(folder: Path | str, source: str = "") -> Library:
    """Reads every *.yaml and *.yml file under a folder; `source` names it in errors, else its path does."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder; a skill library is a folder of YAML files, one per prototype"
        )
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder}: no skill files; put one *.yaml file per prototype there")
    first: dict[str, Path] = {}
    prototypes = [load_prototype(path) for path in paths]
    for path, prototype in zip(paths, prototypes, strict=True):
        if first.setdefault(prototype.id, path) != path:
            raise ConfigError(
                f"{path}: id {prototype.id!r} is also that of {first[prototype.id]}; rename one"
            )
    return Library(prototypes, source or str(folder))
