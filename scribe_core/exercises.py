"""Which judgements count, so that a policy cannot earn by what it adds, hides or cuts in two."""

from collections.abc import Sequence
from itertools import groupby

from attrs import frozen

from scribe_core.spans import covered
from scribe_core.types import Judgement


@frozen(kw_only=True)
class Exercise:
    """Neighbouring judgements of one skill, which count once, with their lowest score in [0, 3].

    `counts` is False for what a policy may add at will: abstained verdicts, and spans that repeat an earlier one
    word for word. Those may lower a result and never raise it.
    """

    judgements: tuple[Judgement, ...]
    score: float
    counts: bool


def exercises(judgements: Sequence[Judgement], abstained_score: float) -> list[Exercise]:
    """In order, without judgements that failed."""
    found: list[Exercise] = []
    seen: set[tuple[str, str]] = set()
    for _, neighbours in groupby(judgements, key=lambda judgement: judgement.skill):
        # A failed judgement is dropped only here, so that it makes no neighbours of those around it.
        judged = tuple(judgement for judgement in neighbours if judgement.verdict.status != "failed")
        if not judged:
            continue
        scores = [judgement.verdict.score for judgement in judged]
        written = {_written(each) for each in judged}
        found.append(
            Exercise(
                judgements=judged,
                score=min(abstained_score if score is None else score for score in scores),
                counts=None not in scores and bool(written - seen),
            )
        )
        seen |= written
    return found


def _written(judgement: Judgement) -> tuple[str, str]:
    """The skill, and the words that the policy itself wrote in the span."""
    words = (text for message, text in covered(judgement.subgoal) if message.role == "assistant")
    return judgement.skill, " ".join(" ".join(words).split())
