"""verifiers: saved evaluations, `results.jsonl` up to 0.3 and `traces.jsonl` from 0.4 on.

Read in verifiers 0.3.0 (`save_utils.state_to_output`: `example_id`, `prompt`, `completion`, `reward`, `metrics`,
`tool_defs`, calls as texts of JSON) and 0.4.0 (`Episode`, `Trace`, `MessageNode`: an episode with a trace per agent,
a trace with nodes that name their parents). Of a trace that branches, the branch of its last node is read.
"""

from collections.abc import Sequence
from typing import Any

from scribe_core.errors import DataError
from scribe_core.readers.common import conversation, listed, mapping, numbers, outcome_of, text_or
from scribe_core.strict_json import strict_json
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_KEPT = ("stop_condition", "metrics", "info")


def matches(record: Json) -> bool:
    """An episode, a trace, or a row with an example's id."""
    is_row = {"example_id", "prompt", "completion"} <= record.keys()
    return is_row or {"traces", "task"} <= record.keys() or {"nodes", "rewards"} <= record.keys()


def traces(record: Json) -> Sequence[Any]:
    """The traces of an episode, each with its episode's group; of anything else, itself."""
    if "traces" not in record:
        return (record,)
    group = mapping(record.get("group"), "group")
    found = listed(record["traces"], "traces")
    return [{**each, "group": group} if isinstance(each, dict) else each for each in found]


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one row or one trace."""
    value = _of_trace(record, outcome) if "nodes" in record else _of_row(record, number, outcome)
    kept = {key: record[key] for key in _KEPT if key in record}
    return parse_trajectory({"id": text_or(record.get("id"), str(number)), **value, "metadata": kept})


def _of_row(record: dict[str, Any], number: int, outcome: str | None) -> dict[str, Any]:
    messages = [_message(each) for each in conversation(record.get("prompt"), record.get("completion"))]
    rewards = numbers(mapping(record.get("metrics"), "metrics"), ()) | numbers(
        {"reward": record.get("reward")}, ()
    )
    example = text_or(record.get("example_id"), "")
    return {
        "id": str(number),
        "task_id": example,
        "group_id": example,
        "messages": messages,
        "tools": record.get("tool_defs"),
        "outcome": outcome_of(rewards, outcome),
        "status": _status(record.get("error"), record.get("is_truncated")),
    }


def _of_trace(record: dict[str, Any], outcome: str | None) -> dict[str, Any]:
    task = mapping(record.get("task"), "task")
    data = mapping(task.get("data"), "task.data")
    name = text_or(task.get("key"), "") or text_or(data.get("id"), "") or text_or(data.get("idx"), "")
    rewards = mapping(record.get("rewards"), "rewards")
    scores = {key: mapping(value, f"rewards.{key}").get("score") for key, value in rewards.items()}
    scores |= mapping(record.get("metrics"), "metrics")
    total = _total(rewards)
    return {
        "task_id": name,
        "group_id": text_or(mapping(record.get("group"), "group").get("id"), ""),
        "messages": [_message(node.get("message")) for node in _branch(record)],
        "tools": record.get("tools"),
        "outcome": outcome_of(scores | ({} if total is None else {"reward": total}), outcome)
        if scores or outcome
        else None,
        "status": _status(record.get("errors") and not record.get("ok"), record.get("is_timeout")),
    }


def _total(rewards: Json) -> float | None:
    """The sum of scores times weights, as `Trace.reward`; None where one of them was not given."""
    total = 0.0
    for each in rewards.values():
        score, weight = (each or {}).get("score"), (each or {}).get("weight", 1.0)
        if type(score) not in (int, float) or type(weight) not in (int, float):
            return None
        total += score * weight
    return total if rewards else None


def _branch(record: Json) -> list[dict[str, Any]]:
    """From the root to the last node. A parent stands before its child, so no path is without end."""
    nodes = listed(record["nodes"], "nodes")
    path: list[dict[str, Any]] = []
    index: Any = len(nodes) - 1 if nodes else None
    while index is not None:
        node = mapping(nodes[index], f"nodes[{index}]")
        path.append(node)
        parent = node.get("parent")
        if parent is not None and not (type(parent) is int and 0 <= parent < index):
            raise DataError(f"nodes[{index}].parent: expected a node before it or null, got {parent!r}")
        index = parent
    return path[::-1]


def _message(value: Any) -> Any:
    """A message whose calls are objects; calls are saved as texts of JSON, too."""
    if not isinstance(value, dict) or not isinstance(calls := value.get("tool_calls"), list):
        return value
    return {**value, "tool_calls": [_object(call) if isinstance(call, str) else call for call in calls]}


def _object(text: str) -> Any:
    try:
        return strict_json(text)
    except ValueError as error:
        raise DataError(f"tool_calls: a call that is not JSON: {error}") from None


def _status(error: Any, cut: Any) -> str:
    return "error" if error else "truncated" if cut else "done"
