"""What several formats share: conversations in two halves, rewards to choose from, and digests."""

import hashlib
import reprlib
from collections.abc import Mapping
from typing import Any

from scribe_core.errors import DataError, suggest
from scribe_core.spans import canonical_json

NONE = "none"


def conversation(prompt: Any, completion: Any) -> list[Any]:
    """A prompt and what followed it, each a text or a list of messages."""
    return _half(prompt, "user", "prompt") + _half(completion, "assistant", "completion")


def _half(value: Any, role: str, key: str) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, list):
        return value
    raise DataError(f"{key}: expected text or a list of messages, got {reprlib.repr(value)}")


def outcome_of(rewards: Mapping[str, Any], wanted: str | None, usual: str = "reward") -> float | None:
    """The reward that is the outcome: the one `wanted`, else the `usual` one, else the only one."""
    if wanted == NONE or (wanted is None and not rewards):
        return None
    key = wanted or (usual if usual in rewards else next(iter(rewards)))
    if key not in rewards:
        raise DataError(f"--outcome: there is no reward {key!r}{suggest(key, [*rewards, NONE])}")
    if wanted is None and usual not in rewards and len(rewards) > 1:
        names = ", ".join(sorted(rewards))
        raise DataError(f"several rewards ({names}); say with --outcome NAME which is the outcome, or none")
    value = rewards[key]
    if value is None:
        return None
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DataError(
            f"{key}: an outcome is a number in [0, 1], got {reprlib.repr(value)}; name another reward with "
            "--outcome NAME, or none"
        )
    return float(value)


def numbers(record: Mapping[str, Any], but: tuple[str, ...]) -> dict[str, Any]:
    """The entries that are numbers, some names apart."""
    return {key: value for key, value in record.items() if type(value) in (int, float) and key not in but}


def digest(value: Any) -> str:
    """A short name for a prompt."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def text_or(value: Any, default: str) -> str:
    """An id, which is text or a whole number."""
    return str(value) if (isinstance(value, str) and value) or type(value) is int else default


def mapping(value: Any, key: str) -> dict[str, Any]:
    """An object, or an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DataError(f"{key}: expected an object, got {reprlib.repr(value)}")
    return value


def listed(value: Any, key: str) -> list[Any]:
    """A list, or an empty one for null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataError(f"{key}: expected a list, got {reprlib.repr(value)}")
    return value
