"""One right answer per task, built from the acceptable ones: what a competent policy would say."""

from collections.abc import Mapping, Sequence
from typing import Any

from scribe_core.types import Message, ToolCall
from scribe_env_bfcl.ast_check import accepts
from scribe_env_bfcl.data import Entry, has_answers

DECLINES = "None of the available functions can do this, so I will not call one."


def demonstration(entry: Entry) -> tuple[Message, ...]:
    """The reference as one assistant message; none where the leaderboard has no answer that itself accepts."""
    if "irrelevance" in entry.category:
        return (Message(role="assistant", content=DECLINES),)
    if not has_answers(entry.category):
        return ()
    calls = tuple(_call(entry.functions, answer) for answer in entry.answers)
    if not accepts(entry.category, entry.functions, entry.answers, calls):
        return ()
    return (Message(role="assistant", tool_calls=calls),)


def _call(functions: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> ToolCall:
    ((name, acceptable),) = answer.items()
    parameters: Mapping[str, Any] = next((f["parameters"] for f in functions if f["name"] == name), {})
    declared, required = parameters.get("properties", {}), parameters.get("required", ())
    arguments = {
        parameter: _value(declared[parameter], _first(values))
        for parameter, values in acceptable.items()
        if parameter in declared and (parameter in required or not _left_out(values))
    }
    return ToolCall(name=name, arguments=arguments)


def _left_out(values: Sequence[Any]) -> bool:
    # "" marks what may be left out; the order says what the request suggests: it comes first where the
    # request does not mention the parameter.
    return "" in values and values[0] in ("", None, [], {})


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value != ""), "")


def _value(declared: Mapping[str, Any], value: Any) -> Any:
    """The keys of a dictionary, alone or in a list, have acceptable values of their own, one level deep."""
    if declared.get("type") == "dict" and isinstance(value, Mapping):
        return _fields(value)
    if isinstance(value, list) and declared.get("items", {}).get("type") == "dict":
        return [_fields(item) if isinstance(item, Mapping) else item for item in value]
    return value


def _fields(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _first(items) for key, items in value.items() if not _left_out(items)}
