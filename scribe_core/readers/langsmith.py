"""LangSmith: exported runs, one a line, with the messages in `inputs` and `outputs`.

Keys of `langsmith.schemas.Run` in langsmith 0.15.0: `id`, `run_type`, `inputs`, `outputs`, `error`, `extra`,
`reference_example_id`, `feedback_stats`. Messages are OpenAI's, or LangChain's in any of their serialised forms:
`{"type": "human", ...}`, `{"type": "human", "data": {...}}`, `{"lc": 1, "id": [..., "HumanMessage"], "kwargs": {...}}`.
Rewards are the averages of the feedback.
"""

from typing import Any

from scribe_core.readers.common import listed, mapping, outcome_of, text_or
from scribe_core.readers.openai import answered
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_ROLES = {"human": "user", "ai": "assistant", "chat": "user"}


def matches(record: Json) -> bool:
    """Has the type of a run."""
    return {"run_type", "inputs"} <= record.keys()


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one run."""
    inputs = mapping(record.get("inputs"), "inputs")
    outputs = mapping(record.get("outputs"), "outputs")
    extra = mapping(record.get("extra"), "extra")
    asked = _messages(inputs.get("messages", inputs.get("input")), "user")
    said, status = _said(outputs)
    # The state of a graph repeats what went in.
    messages = said if asked and _texts(said)[: len(asked)] == _texts(asked) else asked + said
    parameters = mapping(extra.get("invocation_params"), "extra.invocation_params")
    feedback = mapping(record.get("feedback_stats"), "feedback_stats")
    rewards = {key: mapping(each, f"feedback_stats.{key}").get("avg") for key, each in feedback.items()}
    example = text_or(record.get("reference_example_id"), "")
    return parse_trajectory(
        {
            "id": text_or(record.get("id"), str(number)),
            "task_id": example,
            "group_id": example,
            "messages": messages,
            "tools": inputs.get("tools") or parameters.get("tools"),
            "outcome": outcome_of(rewards, outcome),
            "status": "error" if record.get("error") else status,
            "metadata": mapping(extra.get("metadata"), "extra.metadata"),
        }
    )


def _said(outputs: Json) -> tuple[list[Any], str]:
    """What a run gave: a completion, generations, the messages of a graph, or one message."""
    if "choices" in outputs:
        return answered(outputs)
    if "generations" in outputs:
        first = listed(outputs["generations"], "outputs.generations")[:1]
        first = first[0][:1] if first and isinstance(first[0], list) else first
        each = mapping(first[0], "outputs.generations") if first else {}
        return _messages(each.get("message") or each.get("text"), "assistant"), "done"
    for key in ("messages", "output", "message"):
        if key in outputs:
            inner = outputs[key]
            inner = inner["messages"] if isinstance(inner, dict) and "messages" in inner else inner
            return _messages(inner, "assistant"), "done"
    return _messages(dict(outputs), "assistant") if outputs else [], "done"


def _messages(value: Any, role: str) -> list[Any]:
    """Messages in OpenAI's form, of one, of a list, or of a list in a list as chat models get it."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    items = value if isinstance(value, list) else [value]
    items = items[0] if len(items) == 1 and isinstance(items[0], list) else items
    return [_message(item) for item in items]


def _message(value: Any) -> Any:
    if not isinstance(value, dict) or "role" in value:
        return value
    kind, inner = value.get("type"), value
    if isinstance(value.get("data"), dict):
        inner = value["data"]
    elif isinstance(value.get("kwargs"), dict):
        inner = value["kwargs"]
        names = value.get("id")
        kind = names[-1] if isinstance(names, list) and names else kind
    kind = str(kind).removesuffix("Chunk").removesuffix("Message").lower()
    known = ("content", "tool_call_id", "name", "reasoning_content")
    message: dict[str, Any] = {key: inner[key] for key in known if inner.get(key) is not None}
    if calls := listed(inner.get("tool_calls"), "tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    if inner.get("status") == "error":
        message["is_error"] = True
    return {"role": _ROLES.get(kind, kind), **message}


def _call(value: Any) -> Any:
    """LangChain says `args` for arguments."""
    if not isinstance(value, dict) or "args" not in value:
        return value
    return {"id": value.get("id"), "name": value.get("name"), "arguments": value["args"]}


def _texts(messages: list[Any]) -> list[Any]:
    return [(m.get("role"), m.get("content")) if isinstance(m, dict) else m for m in messages]
