"""Text of skill files to plain values: YAML cut down to what JSON can say, for the files are untrusted."""

import reprlib
from pathlib import Path
from typing import Any

import yaml

from scribe_core.errors import ConfigError

MAX_BYTES = 256 * 1024


def read_text(path: Path) -> str:
    """The text of a regular UTF-8 file of at most MAX_BYTES. Raises ConfigError."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; a skill file is one prototype")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def parse_yaml(text: str, source: str) -> Any:
    """YAML to values; `source` names the text in errors. Raises ConfigError."""
    try:
        return yaml.load(text, Loader=PlainLoader)  # noqa: S506  (a SafeLoader that accepts less)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {_message(error)}") from None
    except RecursionError:
        raise ConfigError(f"{source}: not valid YAML: nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{source}: not valid YAML: {reprlib.repr(str(error))}") from None


class PlainLoader(yaml.SafeLoader):
    """A SafeLoader without aliases (they can explode), merge keys, repeated keys, and texts read as dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own way to set it)
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":timestamp", ":merge"))]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not allowed; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # PyYAML calls this on every mapping before it drops all but the last of equal keys.
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                raise yaml.MarkedYAMLError(
                    problem=f"key {reprlib.repr(key.value)} appears twice; keep one",
                    problem_mark=key.start_mark,
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)


def _message(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or error).partition("\n")[0]
