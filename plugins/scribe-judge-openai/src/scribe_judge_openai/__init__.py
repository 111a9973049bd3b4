"""A judge behind any server that speaks OpenAI's chat completions."""

from scribe_judge_openai.builder import OpenAIJudge

__all__ = ["OpenAIJudge"]
