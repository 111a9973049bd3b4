"""Prototypes as Agent Skills: a folder with a SKILL.md that an agent reads, and the prototype itself beside it.

    <id>/SKILL.md         name, description, and the rubric in words
    <id>/prototype.yaml   the prototype; what is imported, so that nothing is lost

SKILL.md is made from the prototype: the skill is changed by changing prototype.yaml.
"""

import re
from pathlib import Path
from typing import Any

from scribe_core.errors import ConfigError
from scribe_core.skills.content import dump_prototype
from scribe_core.skills.loading import load_prototype
from scribe_core.skills.prototype import Prototype
from scribe_core.skills.yaml_text import parse_yaml, read_text

MAX_DESCRIPTION = 1024
"""Characters of a description, by the format's own rule."""
SKILL, PROTOTYPE = "SKILL.md", "prototype.yaml"


def export_skill(prototype: Prototype, folder: Path) -> Path:
    """Writes a prototype as the Agent Skill `folder`/<id>. Raises ConfigError where another one is there."""
    target = folder / prototype.id
    if target.exists() and not (target / PROTOTYPE).is_file():
        raise ConfigError(f"{target}: exists, and is no exported skill; choose another folder")
    target.mkdir(parents=True, exist_ok=True)
    (target / PROTOTYPE).write_text(as_yaml(dump_prototype(prototype)), "utf-8")
    (target / SKILL).write_text(_skill_text(prototype), "utf-8")
    return target


def import_skill(folder: Path) -> Prototype:
    """The prototype of an exported Agent Skill.

    Raises ConfigError where there is none, or where SKILL.md tells of another skill than prototype.yaml.
    """
    if not (folder / PROTOTYPE).is_file():
        raise ConfigError(
            f"{folder}: has no {PROTOTYPE}; a skill without a rubric cannot judge: write one "
            f"(`scribe skills show ID` shows one), with what {SKILL} says as its reasoning_pattern"
        )
    prototype = load_prototype(folder / PROTOTYPE)
    header = _header(folder / SKILL)
    for key, expected in (("name", prototype.id), ("description", _description(prototype))):
        if header.get(key) != expected:
            raise ConfigError(
                f"{folder / SKILL}: {key}: {header.get(key)!r:.200} is not what {PROTOTYPE} says; change it there, "
                f"and export again"
            )
    return prototype


def as_yaml(content: Any) -> str:
    """The text of a skill file."""
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _description(prototype: Prototype) -> str:
    text = f"{' '.join(prototype.when_to_use.split())} Not for: {' '.join(prototype.when_not_to_use.split())}"
    return text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 3]}..."


def _header(path: Path) -> dict[str, Any]:
    match = re.match(r"---\n(.*?)\n---\n", read_text(path).replace("\r\n", "\n"), re.DOTALL)
    header = parse_yaml(match[1], str(path)) if match else None
    if not isinstance(header, dict):
        raise ConfigError(f"{path}: needs a header between two lines `---`, with name and description")
    return header


def _skill_text(prototype: Prototype) -> str:
    header = as_yaml(
        {
            "name": prototype.id,
            "description": _description(prototype),
            "metadata": {"version": str(prototype.version), "scribe-digest": prototype.digest},
        }
    )
    steps = "\n".join(f"{n}. {step}" for n, step in enumerate(prototype.reasoning_pattern, 1))
    levels = "\n".join(
        f"- **{level}**: {text}" for level, text in sorted(prototype.rubric.items(), reverse=True)
    )
    checks = "\n".join(f"- {check.question} (if not: at most {check.caps})" for check in prototype.checks)
    mistakes = "\n".join(
        f"- {mode.description} (at most {mode.caps}){f' For example: {mode.example}' if mode.example else ''}"
        for mode in prototype.failure_modes
    )
    return (
        f"---\n{header}---\n\n# {prototype.title}\n\n{steps}\n\n## What it is worth\n\n{levels}\n\n"
        f"## Before you finish\n\n{checks}\n\n## Common mistakes\n\n{mistakes}\n"
    )
