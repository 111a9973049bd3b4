"""A judge behind any provider that litellm knows."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scribe_judge_litellm.builder import LiteLLMJudge as LiteLLMJudge


def __getattr__(name: str) -> Any:
    # On demand, because the hook's module lives here too and is imported at every start of `scribe`.
    if name == "LiteLLMJudge":
        from scribe_judge_litellm.builder import LiteLLMJudge

        return LiteLLMJudge
    raise AttributeError(f"module 'scribe_judge_litellm' has no attribute {name!r}")
