"""Trajectory files: JSONL to records and back. Every line is untrusted.

    {"id": "1", "messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}

Only `id` and `messages` are required; unknown keys survive a round trip.
"""

import reprlib
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, get_args

from scribe_core.errors import DataError, suggest
from scribe_core.strict_json import MAX_LINE_BYTES, lines, strict_json
from scribe_core.types import SCHEMA_VERSION, Json, Message, Sampled, Status, ToolCall, ToolSpec, Trajectory

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_TOP = (
    *("schema_version", "id", "task_id", "group_id", "sample", "messages", "tools"),
    *("outcome", "status", "policy_version", "metadata"),
)
_SAMPLED = ("context_ids", "token_ids", "logprobs", "offsets")
_MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "name", "raw", *_SAMPLED)
_TEMPERATURE = "temperature"
_CALL = ("name", "arguments")
_TOOL = ("name", "description", "parameters")


class LineError(DataError):
    """A line that is no trajectory; `id` is the trajectory's where it could be read."""

    def __init__(self, message: str, id: str | None = None) -> None:  # noqa: A002  (the record's own name)
        super().__init__(message)
        self.id = id


def read_trajectories(path: Path | str) -> list[Trajectory]:
    """Reads a JSONL file. Raises DataError that names the file and the line at the first bad one."""
    found = []
    try:
        with Path(path).open("rb") as stream:
            for line, trajectory in iterate_trajectories(stream):
                if isinstance(trajectory, DataError):
                    raise DataError(f"{path}, line {line}: {trajectory}")
                found.append(trajectory)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    return found


def iterate_trajectories(stream: BinaryIO) -> Iterator[tuple[int, Trajectory | LineError]]:
    """Reads line by line: its number, and its trajectory or what is wrong with it; empty lines are skipped."""
    for number, line in lines(stream):
        if line is None:
            yield (
                number,
                LineError(f"the line is longer than {MAX_LINE_BYTES} bytes; a line is one trajectory"),
            )
        elif line.strip():
            yield number, _parsed_line(line)


def parse_trajectory(value: Any) -> Trajectory:
    """A trajectory from JSON values. Raises DataError with the key path, the value and what is right."""
    _expect(isinstance(value, Mapping), "the trajectory", "a JSON object", value)
    _check_version(value.get("schema_version"))
    messages = _items(value, "messages", "", required=True)
    tools = _items(value, "tools", "")
    return Trajectory(
        id=_filled(value, "id", ""),
        messages=tuple(_message(item, f"messages[{index}]") for index, item in enumerate(messages)),
        task_id=_text(value, "task_id", ""),
        group_id=_text(value, "group_id", ""),
        sample=_integer(value, "sample", "") or 0,
        tools=tuple(_tool(item, f"tools[{index}]") for index, item in enumerate(tools)),
        outcome=_outcome(value.get("outcome")),
        status=_status(value.get("status")),
        policy_version=_integer(value, "policy_version", ""),
        metadata=_object(value, "metadata", ""),
        extra=_rest(value, _TOP),
    )


def dump_trajectory(trajectory: Trajectory) -> dict[str, Any]:
    """The JSON object of a trajectory: the inverse of `parse_trajectory`."""
    return {
        **trajectory.extra,
        "schema_version": SCHEMA_VERSION,
        "id": trajectory.id,
        "task_id": trajectory.task_id,
        "group_id": trajectory.group_id,
        "sample": trajectory.sample,
        "messages": [_dump_message(message) for message in trajectory.messages],
        "tools": [_dump_tool(tool) for tool in trajectory.tools],
        "outcome": trajectory.outcome,
        "status": trajectory.status,
        "policy_version": trajectory.policy_version,
        "metadata": trajectory.metadata,
    }


def _parsed_line(line: bytes) -> Trajectory | LineError:
    value = None
    try:
        value = strict_json(line.decode())
        return parse_trajectory(value)
    except UnicodeDecodeError as error:
        return LineError(f"byte {error.start} of the line is not UTF-8")
    except DataError as error:
        return LineError(str(error), _readable_id(value))
    except ValueError as error:
        return LineError(f"not JSON: {error}")


def _readable_id(value: Any) -> str | None:
    id_ = value.get("id") if isinstance(value, dict) else None
    return id_ if isinstance(id_, str) else None


def _message(value: Any, path: str) -> Message:
    _expect(isinstance(value, Mapping), path, "a chat message object", value)
    role = _filled(value, "role", path)
    if role not in ROLES:
        raise DataError(f"{path}.role: {reprlib.repr(role)} is no role{suggest(role[:64], ROLES)}")
    calls = _items(value, "tool_calls", path)
    raw = _optional_text(value, "raw", path)
    sampled = _sampled(value, path, raw)
    return Message(
        role=role,
        content=_content(value.get("content"), f"{path}.content"),
        tool_calls=tuple(_call(item, f"{path}.tool_calls[{index}]") for index, item in enumerate(calls)),
        tool_call_id=_optional_text(value, "tool_call_id", path),
        name=_optional_text(value, "name", path),
        raw=raw,
        sampled=sampled,
        extra=_rest(value, (*_MESSAGE, _TEMPERATURE) if sampled else _MESSAGE),
    )


def _content(value: Any, path: str) -> str:
    if not isinstance(value, list):
        _expect(value is None or isinstance(value, str), path, "text, null or a list of text parts", value)
        return value or ""
    for index, part in enumerate(value):
        is_text = (
            isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
        )
        _expect(
            is_text, f"{path}[{index}]", 'a part {"type": "text", "text": ...}; scribe judges text only', part
        )
    return "".join(part["text"] for part in value)


def _call(value: Any, path: str) -> ToolCall:
    function, extra, path = _function(value, path, _CALL, with_id=True)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _object_in(arguments)
    elif arguments is None:
        arguments = {}
    _expect(isinstance(arguments, (str, Mapping)), f"{path}.arguments", "an object or a string", arguments)
    # A policy may well call nothing by name; a writer that leaves the name out is another matter.
    _expect(isinstance(function.get("name"), str), f"{path}.name", "the name of a tool", function.get("name"))
    return ToolCall(name=function["name"], arguments=arguments, id=_text(value, "id", path), extra=extra)


def _object_in(text: str) -> dict[str, Any] | str:
    try:
        value = strict_json(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def _tool(value: Any, path: str) -> ToolSpec:
    function, extra, path = _function(value, path, _TOOL, with_id=False)
    return ToolSpec(
        name=_filled(function, "name", path),
        description=_text(function, "description", path),
        parameters=_object(function, "parameters", path),
        extra=extra,
    )


def _function(
    value: Any, path: str, known: tuple[str, ...], with_id: bool
) -> tuple[Json, dict[str, Any], str]:
    """The inner object of {"type": "function", "function": {...}} or a bare one, the rest, and its path."""
    _expect(isinstance(value, Mapping), path, "an object", value)
    outer = ("id",) if with_id else ()
    if value.get("type") == "function":
        outer = (*outer, "type")
    if "function" not in value:
        return value, _rest(value, (*outer, *known)), path
    inner = value["function"]
    path = f"{path}.function"
    _expect(isinstance(inner, Mapping), path, "an object", inner)
    unknown = _rest(inner, known)
    return inner, _rest(value, (*outer, "function")) | ({"function": unknown} if unknown else {}), path


def _sampled(value: Json, path: str, raw: str | None) -> Sampled | None:
    present = [key for key in _SAMPLED if value.get(key) is not None]
    if not present:
        return None
    if len(present) < len(_SAMPLED) or raw is None:
        missing = [key for key in ("raw", *_SAMPLED) if value.get(key) is None]
        raise DataError(f"{path}: it has {', '.join(present)} but not {', '.join(missing)}; give all or none")
    context, tokens, offsets = (
        _numbers(value, key, path, int) for key in ("context_ids", "token_ids", "offsets")
    )
    logprobs = tuple(map(float, _numbers(value, "logprobs", path, float)))
    if not len(tokens) == len(logprobs) == len(offsets):
        lengths = f"{len(tokens)}, {len(logprobs)} and {len(offsets)}"
        raise DataError(f"{path}: token_ids, logprobs and offsets need one length, got {lengths}")
    if list(offsets) != sorted(offsets) or (offsets and offsets[-1] > len(raw)):
        raise DataError(f"{path}.offsets: expected ascending characters of raw, up to {len(raw)}")
    temperature = _temperature(value.get(_TEMPERATURE), f"{path}.{_TEMPERATURE}")
    return Sampled(
        context_ids=context, token_ids=tokens, logprobs=logprobs, offsets=offsets, temperature=temperature
    )


def _temperature(value: Any, path: str) -> float:
    value = 1.0 if value is None else value
    is_number = _is_integer(value) or (isinstance(value, float) and isfinite(value))
    _expect(is_number and value > 0, path, "a finite number above 0", value)
    return float(value)


def _numbers(value: Json, key: str, path: str, kind: type) -> tuple[Any, ...]:
    items = _items(value, key, path)
    for index, item in enumerate(items):
        if kind is int:
            _expect(_is_integer(item) and item >= 0, f"{path}.{key}[{index}]", "an integer from 0", item)
        else:
            is_number = _is_integer(item) or (isinstance(item, float) and isfinite(item))
            _expect(is_number, f"{path}.{key}[{index}]", "a finite number", item)
    return tuple(items)


def _check_version(version: Any) -> None:
    if _is_integer(version) and version > SCHEMA_VERSION:
        raise DataError(
            f"schema_version: {version} is newer than {SCHEMA_VERSION}, the latest known; upgrade scribe-core"
        )
    known = version is None or (_is_integer(version) and version == SCHEMA_VERSION)
    _expect(known, "schema_version", str(SCHEMA_VERSION), version)


def _outcome(value: Any) -> float | None:
    if value is None:
        return None
    _expect(type(value) in (int, float) and 0 <= value <= 1, "outcome", "a number in [0, 1] or null", value)
    return float(value)


def _status(value: Any) -> Status:
    if value is None:
        return "done"
    choices = get_args(Status)
    if value not in choices:
        raise DataError(f"status: {reprlib.repr(value)} is no status{suggest(str(value)[:64], choices)}")
    return value  # type: ignore[no-any-return]


def _dump_message(message: Message) -> dict[str, Any]:
    dumped: dict[str, Any] = {**message.extra, "role": message.role, "content": message.content}
    if message.tool_calls:
        dumped["tool_calls"] = [_dump_call(call) for call in message.tool_calls]
    optional = {"tool_call_id": message.tool_call_id, "name": message.name, "raw": message.raw}
    dumped |= {key: value for key, value in optional.items() if value is not None}
    if message.sampled is not None:
        dumped |= {key: list(getattr(message.sampled, key)) for key in _SAMPLED}
        if message.sampled.temperature != 1:
            dumped[_TEMPERATURE] = message.sampled.temperature
    return dumped


def _dump_call(call: ToolCall) -> dict[str, Any]:
    inner = {**call.extra.get("function", {}), "name": call.name, "arguments": call.arguments}
    outer = {"type": "function", **call.extra, "function": inner}
    return {"id": call.id, **outer} if call.id else outer


def _dump_tool(tool: ToolSpec) -> dict[str, Any]:
    inner = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **tool.extra, "function": {**tool.extra.get("function", {}), **inner}}


def _items(value: Json, key: str, path: str, required: bool = False) -> list[Any]:
    items = value.get(key)
    if items is None and not required:
        return []
    _expect(isinstance(items, (list, tuple)), _joined(path, key), "a list", items)
    return list(items)  # type: ignore[arg-type]


def _object(value: Json, key: str, path: str) -> Json:
    found = value.get(key)
    _expect(found is None or isinstance(found, Mapping), _joined(path, key), "an object", found)
    return found or {}


def _optional_text(value: Json, key: str, path: str) -> str | None:
    text = value.get(key)
    _expect(text is None or isinstance(text, str), _joined(path, key), "text", text)
    return text


def _text(value: Json, key: str, path: str) -> str:
    return _optional_text(value, key, path) or ""


def _filled(value: Json, key: str, path: str) -> str:
    text = value.get(key)
    _expect(isinstance(text, str) and text != "", _joined(path, key), "text that is not empty", text)
    return str(text)


def _integer(value: Json, key: str, path: str) -> int | None:
    number = value.get(key)
    _expect(
        number is None or (_is_integer(number) and number >= 0),
        _joined(path, key),
        "an integer from 0",
        number,
    )
    return number


def _is_integer(value: Any) -> bool:
    """True is no integer here; what 64 bits cannot hold neither."""
    return type(value) is int and -(2**63) <= value < 2**63


def _rest(value: Json, known: tuple[str, ...]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in known}


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _expect(holds: bool, path: str, expected: str, value: Any) -> None:
    if not holds:
        raise DataError(f"{path}: expected {expected}, got {reprlib.repr(value)}")
