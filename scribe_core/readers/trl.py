"""TRL: the rows of a completions table of its GRPO and RLOO trainers.

Columns as `GRPOTrainer.log` writes them in trl 1.16.0: `step`, `prompt`, `completion`, a column per reward function,
those of `log_extra`, and `advantage`. The table is Parquet; pandas writes it as JSON lines. A file of `prompt`,
`completion` and `reward` is read alike.
"""

from typing import Any

from scribe_core.readers.common import conversation, digest, numbers, outcome_of
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_KNOWN = ("prompt", "completion", "tools", "step", "advantage")


def matches(record: Json) -> bool:
    """Has a prompt and a completion."""
    return "prompt" in record and "completion" in record


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one row; its number in the file is its id, and rows of one prompt have one `task_id`."""
    prompt = record.get("prompt")
    return parse_trajectory(
        {
            "id": str(number),
            "task_id": digest(prompt),
            "messages": conversation(prompt, record.get("completion")),
            "tools": record.get("tools"),
            "outcome": outcome_of(numbers(record, _KNOWN), outcome),
            "metadata": {key: value for key, value in record.items() if key not in _KNOWN[:3]},
        }
    )
