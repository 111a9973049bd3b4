"""OpenAI: logs of chat messages, as lines for fine-tuning, request and response, or a batch.

`{"messages": [...], "tools": [...]}`, or an object with the request under `request` or `body` (else at the top) and
the completion under `response` (or `response.body`, as the Batch API writes it): `choices[0].message` follows the
request's messages. Field names of the Chat Completions API as of openai 2.x.
"""

from typing import Any

from scribe_core.errors import DataError
from scribe_core.readers.common import listed, mapping, numbers, outcome_of, text_or
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_REWARDS = ("reward", "score", "outcome")


def matches(record: Json) -> bool:
    """Has messages and no id, which would be ours, or a request or a completion."""
    if "messages" in record:
        return "id" not in record
    return bool({"request", "response", "choices"} & record.keys())


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one exchange, with the conversation before it."""
    key = next((key for key in ("request", "body") if key in record), "")
    asked = mapping(record[key], key) if key else record
    answer = mapping(record.get("response", record if "choices" in record else None), "response")
    answer = mapping(answer["body"], "response.body") if "body" in answer else answer
    messages, status = answered(answer)
    rewards = numbers({key: record.get(key) for key in _REWARDS}, ())
    return parse_trajectory(
        {
            "id": next((text_or(record.get(k), "") for k in ("id", "custom_id") if record.get(k)), "")
            or str(number),
            "messages": [*listed(asked.get("messages"), "messages"), *messages],
            "tools": asked.get("tools"),
            "outcome": outcome_of(rewards, outcome),
            "status": status,
            "metadata": mapping(record.get("metadata"), "metadata"),
        }
    )


def answered(answer: Json) -> tuple[list[Any], str]:
    """The message of a completion, and how it ended."""
    choices = listed(answer.get("choices"), "choices")
    if len(choices) > 1:
        raise DataError(
            f"choices: {len(choices)} of them; write a record for each, since each is a trajectory"
        )
    messages, status = [], "error" if answer.get("error") else "done"
    for choice in choices:
        choice = mapping(choice, "choices[0]")
        messages.append(choice.get("message"))
        status = "truncated" if choice.get("finish_reason") == "length" else status
    return messages, status
