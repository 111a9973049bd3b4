"""Judging with a model: what it is asked, how what a policy wrote is fenced off, and how its reply becomes a verdict.

`ModelJudge` is the judge; a plugin brings the `Endpoint` that it asks.
"""

from scribe_core.judging.asking import (
    CallError,
    Endpoint,
    Mode,
    Prompt,
    Question,
    Remembering,
    Replies,
    Reply,
    TooLongError,
    digest,
)
from scribe_core.judging.estimate import model_estimate
from scribe_core.judging.lending import Lending, Model, borrow
from scribe_core.judging.model_judge import ModelJudge

__all__ = [
    "CallError",
    "Endpoint",
    "Lending",
    "Mode",
    "Model",
    "ModelJudge",
    "Prompt",
    "Question",
    "Remembering",
    "Replies",
    "Reply",
    "TooLongError",
    "borrow",
    "digest",
    "model_estimate",
]
