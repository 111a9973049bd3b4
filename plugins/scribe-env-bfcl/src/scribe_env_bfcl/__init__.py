"""The Berkeley Function Calling Leaderboard (v4, single turn) as a scribe environment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scribe_env_bfcl.environment import BFCL as BFCL


def __getattr__(name: str) -> Any:
    # On demand, because the hook's module lives here too and is imported at every start of `scribe`.
    if name == "BFCL":
        from scribe_env_bfcl.environment import BFCL

        return BFCL
    raise AttributeError(f"module 'scribe_env_bfcl' has no attribute {name!r}")
