"""A judge behind any provider that litellm knows."""

from scribe_judge_litellm.builder import LiteLLMJudge

__all__ = ["LiteLLMJudge"]
