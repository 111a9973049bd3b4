"""What a skill file says, as a Prototype and back: validation, structure and digest.

An error names the file, the key path, the value, and what would be right.
"""

import hashlib
import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any

from attrs import asdict, evolve

from scribe_core.errors import ConfigError, suggest
from scribe_core.skills.prototype import CalibrationCase, Check, FailureMode, Prototype, Routing
from scribe_core.spans import canonical_json

SCHEMA_VERSION = 1
MAX_DEPTH = 64

_OPTIONAL = ("routing", "calibration", "provenance", "lifecycle")


def parse_prototype(content: Any, source: str) -> Prototype:
    """Makes a prototype of what a skill file holds; `source` is the file's name in error messages.

    The levels that are the keys of `rubric` may be integers, as YAML reads them. Raises ConfigError.
    """
    content = _with_text_levels(content)
    for message in _problems(content):
        raise ConfigError(f"{source}: {message}")
    prototype = _structure(content)
    return evolve(prototype, digest=digest_of(prototype))


def dump_prototype(prototype: Prototype) -> dict[str, Any]:
    """What the skill file of a prototype holds, without optional fields that say nothing."""
    content = asdict(prototype)
    del content["digest"]
    content["rubric"] = {str(level): text for level, text in sorted(prototype.rubric.items())}
    content["checks"] = [_without(check, program=None, evidence="none") for check in content["checks"]]
    content["failure_modes"] = [_without(mode, program=None, example="") for mode in content["failure_modes"]]
    content["routing"] = {key: value for key, value in content["routing"].items() if value}
    content = json.loads(json.dumps(content))
    return _without(content, **{key: type(content[key])() for key in _OPTIONAL})


def digest_of(prototype: Prototype) -> str:
    """The sha256 of a prototype's canonical JSON; layout and spelt-out defaults do not change it."""
    return hashlib.sha256(canonical_json(dump_prototype(prototype)).encode()).hexdigest()


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema (2020-12) of a skill file."""
    text = files("scribe_core.skills").joinpath("prototype.schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def _with_text_levels(content: Any) -> Any:
    if not isinstance(content, dict) or not isinstance(content.get("rubric"), dict):
        return content
    rubric = {str(key) if type(key) is int else key: text for key, text in content["rubric"].items()}
    # 0 and "0" in one rubric would become one; left alone, the integer is reported.
    return content if len(rubric) < len(content["rubric"]) else {**content, "rubric": rubric}


def _structure(content: dict[str, Any]) -> Prototype:
    texts = ("id", "title", "level", "scope", "when_to_use", "when_not_to_use")
    return Prototype(
        **{key: content[key] for key in texts},
        schema_version=SCHEMA_VERSION,
        version=int(content["version"]),
        domain=tuple(content["domain"]),
        reasoning_pattern=tuple(content["reasoning_pattern"]),
        rubric={int(level): text for level, text in content["rubric"].items()},
        checks=tuple(Check(**{**check, "caps": int(check["caps"])}) for check in content["checks"]),
        failure_modes=tuple(
            FailureMode(**{**mode, "caps": int(mode["caps"])}) for mode in content["failure_modes"]
        ),
        routing=Routing(**{key: tuple(value) for key, value in content.get("routing", {}).items()}),
        calibration=tuple(_cases(content.get("calibration", ()))),
        provenance=dict(content.get("provenance", {})),
        lifecycle=dict(content.get("lifecycle", {})),
    )


def _cases(cases: Iterable[Mapping[str, Any]]) -> Iterator[CalibrationCase]:
    for case in cases:
        yield CalibrationCase(span=case["span"], score=float(case["score"]), source=case["source"])


def _without(mapping: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in defaults or value != defaults[key]}


def _problems(content: Any) -> Iterator[str]:
    """What is wrong, most basic first; a later step relies on the earlier ones."""
    if not isinstance(content, dict):
        yield f"expected a mapping of prototype fields, got {reprlib.repr(content)}"
    yield from _not_json(content, "")
    version = content.get("schema_version")
    if type(version) is int and version > SCHEMA_VERSION:
        yield f"schema_version: {version} is newer than {SCHEMA_VERSION}, the latest here; upgrade scribe-core"
    errors = _validator().iter_errors(content)
    yield from map(_explained, sorted(errors, key=lambda error: (error.json_path, error.validator)))
    yield from _repeated_ids(content)


def _not_json(value: Any, path: str, depth: int = 0) -> Iterator[str]:
    where = path or "the file"
    if depth > MAX_DEPTH:
        yield f"{where[:80]}...: nested more than {MAX_DEPTH} levels deep; a prototype needs few"
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or _half_character(key):
                yield f"{where}: key {reprlib.repr(key)} is not text; put it in quotes"
            yield from _not_json(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _not_json(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, float) and not isfinite(value):
        yield f"{where}: {value} is not a number in JSON; write a finite one"
    elif isinstance(value, str) and _half_character(value):
        yield f"{where}: {reprlib.repr(value)} holds half a surrogate pair; write the character itself"
    elif not isinstance(value, (str, int, float, type(None))):
        yield f"{where}: {reprlib.repr(value)} is no text, number, list or mapping; write one of these"


def _half_character(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _repeated_ids(content: dict[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for key in ("checks", "failure_modes"):
        for index, item in enumerate(content[key]):
            if item["id"] in seen:
                yield f"{key}[{index}].id: {item['id']!r} appears twice among checks and failure modes"
            seen.add(item["id"])


@cache
def _validator() -> Any:
    # Imported here because it is slow and only a library that is loaded needs it.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def _explained(error: Any) -> str:
    """A violation of the schema: key path, value, and what is right."""
    where = error.json_path.removeprefix("$").removeprefix(".") or "the file"
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            unknown = next(key for key in value if key not in known)
            return f"{where}: unknown key {reprlib.repr(unknown)}{suggest(unknown[:64], known)}"
        case "required":
            missing = next(key for key in rule if key not in value)
            return f"{where}: the key {missing!r} is missing; needed are {', '.join(rule)}"
        case "enum":
            return f"{where}: {reprlib.repr(value)} is not a choice{suggest(str(value)[:64], rule)}"
        case "pattern":
            right = next(
                right for name, right in _PATTERNS.items() if schema()["$defs"][name]["pattern"] == rule
            )
            return f"{where}: {reprlib.repr(value)} does not fit; {right}"
        case "type":
            return f"{where}: expected {_TYPES[rule]}, got {reprlib.repr(value)}"
    return f"{where}: {reprlib.repr(value)} does not fit; expected {_BOUNDS[error.validator].format(rule)}"


_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text (in quotes where YAML reads something else)",
    "integer": "a whole number",
    "number": "a number",
}
_PATTERNS = {
    "text": "write some text",
    "slug": "an id is lower-case words joined by '-', such as 'single-call'",
    "program": "write the name of a program, or dist/name",
}
_BOUNDS = {
    "const": "{}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "minItems": "at least {} item",
}
