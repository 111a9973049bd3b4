"""verl: rollout dumps, `trainer.rollout_data_dir/STEP.jsonl`.

Keys as `_write_generations` and `_log_rollout_data` write them in verl 0.9.1: `input` and `output` (decoded, special
tokens left out), `gts`, `score`, `step`, columns of the reward function, and `uid` or `request_id`. Where a turn ends
is not in the text, so a trajectory is one user message and one assistant message.
"""

from typing import Any

from scribe_core.readers.common import conversation, digest, numbers, outcome_of, text_or
from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Json, Trajectory

_ANSWER = "gts"


def matches(record: Json) -> bool:
    """Has input, output and score."""
    return {"input", "output", "score"} <= record.keys()


def trajectory(record: dict[str, Any], number: int, outcome: str | None) -> Trajectory:
    """Of one line. A uid SAMPLE_ROLLOUT_OUTPUT also tells the group; the reference answer is left out."""
    uid = text_or(record.get("uid"), "")
    parts = uid.rsplit("_", 2)
    return parse_trajectory(
        {
            "id": uid or text_or(record.get("request_id"), str(number)),
            "task_id": digest(record.get("input")),
            "group_id": parts[0] if len(parts) == 3 else "",
            "messages": conversation(record.get("input"), record.get("output")),
            "outcome": outcome_of(numbers(record, ("step",)), outcome, usual="score"),
            "metadata": {k: v for k, v in record.items() if k not in ("input", "output", _ANSWER)},
        }
    )
