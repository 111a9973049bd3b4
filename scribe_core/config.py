"""What a run is made of: TOML files and `--set` overrides, merged, then structured into a frozen `Config`.

config = Config.load([Path("base.toml"), Path("mine.toml")], ["training.steps=20"])
policy_builder, environment_builder = config.require("policy", "environment")
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from attrs import Factory, field, frozen

from scribe_core.builders import part
from scribe_core.errors import ConfigError
from scribe_core.options import shown
from scribe_core.protocols import Builder, Environment, Optimizer, Policy, Tool, Tracker
from scribe_core.registry import Registry
from scribe_core.scorer import ScorerBuilder
from scribe_core.settings import EvaluationSettings, RefreshSettings, RolloutSettings, TrainingSettings
from scribe_core.structuring import structure, unstructure

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
DEFAULT_LIBRARY = "scribe-skills"

_EXAMPLES = {"policy": 'use = "hf"', "environment": 'use = "bfcl"', "optimizer": 'use = "grpo"'}


@frozen(kw_only=True)
class Config:
    """Everything a config can say. A table that a command does not need may be absent."""

    policy: Builder[Policy] | None = part("policies", None)
    environment: Builder[Environment] | None = part("environments", None)
    tools: dict[str, Builder[Tool]] = part("tools", Factory(dict))
    rollout: RolloutSettings = field(factory=RolloutSettings)
    scorer: ScorerBuilder
    optimizer: Builder[Optimizer] | None = part("optimizers", None)
    training: TrainingSettings = field(factory=TrainingSettings)
    refresh: RefreshSettings = field(factory=RefreshSettings)
    evaluation: EvaluationSettings = field(factory=EvaluationSettings)
    trackers: tuple[Builder[Tracker], ...] = part("trackers", ())

    @classmethod
    def load(
        cls, paths: Sequence[Path], overrides: Sequence[str] = (), registry: Registry | None = None
    ) -> "Config":
        """The config of these files and overrides; parts come from the installed plugins unless given."""
        return cls.from_table(load_config(paths, overrides), registry)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], registry: Registry | None = None) -> "Config":
        """The config of a merged table, such as that of a run's manifest; without libraries, the curated one."""
        for name, value in table.items():
            if name != "tools" and isinstance(value, Mapping) and "trackers" in value:
                # In TOML a key belongs to the table above it.
                raise ConfigError(
                    f"{name}.trackers: write `trackers = [...]` above the first [table] of the file"
                )
        scorer = table.get("scorer", {})
        if isinstance(scorer, Mapping):
            scorer = {"libraries": [DEFAULT_LIBRARY], **scorer}
        return structure(cls, {**table, "scorer": scorer}, "", registry or Registry.installed())

    def to_table(self, registry: Registry | None = None) -> dict[str, Any]:
        """Plain data, complete with all defaults, that `from_table` turns into an equal config."""
        table: dict[str, Any] = unstructure(self, registry or Registry.installed())
        return table

    def require(self, *tables: str) -> tuple[Any, ...]:
        """The named parts; raises ConfigError for those that the config lacks."""
        missing = [name for name in tables if getattr(self, name) is None]
        if missing:
            lines = [f"[{name}]: missing; add it, for example [{name}] {_EXAMPLES[name]}" for name in missing]
            raise ConfigError("\n".join(lines))
        return tuple(getattr(self, name) for name in tables)


def load_config(paths: Sequence[Path], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The merged table of TOML files, left to right, then of overrides such as "training.steps=20".

    Raises ConfigError for whatever cannot be read.
    """
    return reduce(merge, [*map(_read, paths), *map(_override, overrides)], {})


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`new` over `old`, table by table; where `use` changes, the options of the old part are dropped."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(before, str) and isinstance(value, Mapping):
            before = {"use": before}
        if isinstance(value, str) and isinstance(before, Mapping):
            value = {"use": value}
        if isinstance(before, Mapping) and isinstance(value, Mapping) and not _changes_use(before, value):
            merged[key] = merge(before, value)
        else:
            merged[key] = value
    return merged


def _changes_use(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return "use" in old and "use" in new and old["use"] != new["use"]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; that is no config")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return _parse(text, str(path))


def _override(text: str) -> dict[str, Any]:
    """A table of one value; what is not TOML after the `=` is a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown(text)}: write key=value, for example --set training.steps=20")
    where = f"--set {key.strip()}"
    table = _parse(f"{key} = 0", where)
    try:
        parsed = _parse(f"value = {value}", where)
    except ConfigError:
        parsed = {"value": value.strip()}
    node = table
    while len(node) == 1 and isinstance(inner := next(iter(node.values())), dict):
        node = inner
    if len(node) != 1:
        raise ConfigError(f"{where}: expected one dotted key, for example --set training.steps=20")
    node[next(iter(node))] = parsed["value"] if list(parsed) == ["value"] else value.strip()
    return table


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH} levels") from error
    level: list[Any] = [table]
    for _ in range(MAX_DEPTH):
        level = [each for outer in level for each in _inside(outer) if isinstance(each, (dict, list))]
        if not level:
            return table
    raise ConfigError(f"{where}: nested deeper than {MAX_DEPTH} levels")


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
