"""inspect_ai: evaluation logs, `.json` and `.eval`, and single samples.

Fields of `EvalLog`, `EvalSample`, `ChatMessage`, `ToolCall` and `Score` in inspect_ai 0.3.285. A log is one JSON
document with `samples`, or a zip archive with `samples/ID_epoch_N.json`. Its values C, P, I and N are 1, 0.5, 0, 0. The
target is a reference answer, and left out; so are events.
"""

from collections.abc import Sequence
from typing import Any

from scribe_core.errors import DataError
from scribe_core.readers.common import conversation, listed, mapping, outcome_of, text_or
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def matches(record: Json) -> bool:
    """A log, or a sample of one."""
    return {"eval", "status"} <= record.keys() or {"epoch", "input", "messages"} <= record.keys()


def samples(record: Json) -> Sequence[Any]:
    """The samples of a log, or the sample itself."""
    if "epoch" in record:
        return (record,)
    found = listed(record.get("samples"), "samples")
    if not found:
        raise DataError("samples: the log has none; it was written without them, or its evaluation broke off")
    return found


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one sample; epochs of a sample are one group."""
    name, epoch = text_or(record.get("id"), str(number)), record.get("epoch")
    sample = epoch - 1 if type(epoch) is int and epoch > 0 else 0
    spoken = record.get("messages") or conversation(record.get("input"), None)
    return parse_trajectory(
        {
            "id": f"{name}_epoch_{sample + 1}",
            "task_id": name,
            "group_id": name,
            "sample": sample,
            "messages": [_message(each) for each in listed(spoken, "messages")],
            "outcome": outcome_of(_scores(record), outcome),
            "status": _status(record),
            "metadata": mapping(record.get("metadata"), "metadata"),
        }
    )


def _scores(record: Json) -> dict[str, Any]:
    """The value of each scorer; of one that gives several, each as SCORER/NAME."""
    found: dict[str, Any] = {}
    for key, score in mapping(record.get("scores"), "scores").items():
        value = mapping(score, f"scores.{key}").get("value")
        if isinstance(value, dict):
            found |= {f"{key}/{name}": _number(each) for name, each in value.items()}
        else:
            found[key] = _number(value)
    return found


def _number(value: Any) -> Any:
    return _LETTERS.get(value, value) if isinstance(value, str) else value


def _status(record: Json) -> str:
    stopped = mapping(record.get("output"), "output").get("choices") or [{}]
    last = stopped[0].get("stop_reason") if isinstance(stopped[0], dict) else None
    cut = record.get("limit") or last in ("max_tokens", "model_length")
    return "error" if record.get("error") else "truncated" if cut else "done"


def _message(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    message = {key: value[key] for key in ("role", "tool_call_id") if isinstance(value.get(key), str)}
    message["content"], reasoning = _content(value.get("content"))
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls := listed(value.get("tool_calls"), "tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    if value.get("function"):
        message["name"] = value["function"]
    if error := mapping(value.get("error"), "error"):
        message |= {"is_error": True, "content": message["content"] or error.get("message")}
    return message


def _content(value: Any) -> tuple[Any, str]:
    """The content without reasoning, and the reasoning."""
    if not isinstance(value, list):
        return value, ""
    kinds = [part.get("type") if isinstance(part, dict) else None for part in value]
    thought = [part.get("reasoning") for part, kind in zip(value, kinds, strict=True) if kind == "reasoning"]
    said = [part for part, kind in zip(value, kinds, strict=True) if kind != "reasoning"]
    return said, "\n".join(each for each in thought if isinstance(each, str))


def _call(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {"id": value.get("id"), "name": value.get("function"), "arguments": value.get("arguments")}
