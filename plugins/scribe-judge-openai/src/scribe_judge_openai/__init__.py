"""A judge behind any server that speaks OpenAI's chat completions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scribe_judge_openai.builder import OpenAIJudge as OpenAIJudge


def __getattr__(name: str) -> Any:
    # On demand, because the hook's module lives here too and is imported at every start of `scribe`.
    if name == "OpenAIJudge":
        from scribe_judge_openai.builder import OpenAIJudge

        return OpenAIJudge
    raise AttributeError(f"module 'scribe_judge_openai' has no attribute {name!r}")
