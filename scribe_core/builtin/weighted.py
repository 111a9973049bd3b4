"""The aggregator `weighted`: what the subgoals were worth, and how it ended, as one number.

    reward = (0.3 process + 0.7 outcome) / (0.3 + 0.7)      process = mean score of the subgoals / 3

The weights are the paper's (arXiv 2601.03555). What it leaves open is decided so that a policy cannot earn by
what it adds or hides: a mean, not a sum, and the rules of `scribe_core.exercises`.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import ge, le, lt

from scribe_core.errors import ConfigError
from scribe_core.exercises import exercises
from scribe_core.protocols import Aggregator
from scribe_core.types import Judgement, Reward, Trajectory

TOP_SCORE = 3


def _weight(default: float) -> Any:
    return field(default=default, validator=[ge(0), lt(inf)])


@frozen(kw_only=True)
class Weighted:
    """A weighted mean of process (subgoal scores), outcome, and planning where it has a weight."""

    name: ClassVar[str] = "weighted"

    process: float = _weight(0.3)
    outcome: float = _weight(0.7)
    planning: float = _weight(0.0)
    abstained_score: float = field(default=1.0, validator=[ge(0), le(TOP_SCORE)])
    """What an abstained verdict counts as, in [0, 3]."""

    def __attrs_post_init__(self) -> None:
        if self.process + self.outcome + self.planning == 0:
            raise ConfigError("weighted: process, outcome and planning are all 0; give at least one a weight")

    def build(self) -> Aggregator:
        return _WeightedMean(self)


@frozen
class _WeightedMean:
    options: Weighted

    def combine(
        self, trajectory: Trajectory, judgements: Sequence[Judgement], planning: Sequence[Judgement]
    ) -> Reward:
        process, outcome = self._mean_score(judgements), trajectory.outcome
        terms = [(self.options.process, process)]
        if outcome is not None:
            terms.append((self.options.outcome, outcome))
        if planning:
            terms.append((self.options.planning, self._mean_score(planning)))
        return Reward(value=_weighted_mean(terms), process=process, outcome=outcome)

    def _mean_score(self, judgements: Sequence[Judgement]) -> float | None:
        """The mean score in [0, 1]; None where judging failed for all.

        What a policy may add at will counts only where it lowers the mean. Where there is nothing to judge, that
        counts as abstained.
        """
        if not judgements:
            return self.options.abstained_score / TOP_SCORE
        found = exercises(judgements, self.options.abstained_score)
        return _lowest_mean(
            [each.score for each in found if each.counts], [each.score for each in found if not each.counts]
        )


def _lowest_mean(counted: Sequence[float], added: Sequence[float]) -> float | None:
    """The mean of `counted` and of as many of `added` as lower it, in [0, 1]."""
    scores = list(counted)
    for score in sorted(added):
        if not scores or score < sum(scores) / len(scores):
            scores.append(score)
    return sum(scores) / len(scores) / TOP_SCORE if scores else None


def _weighted_mean(terms: Sequence[tuple[float, float | None]]) -> float | None:
    """None where a value with a weight is missing, or nothing has a weight."""
    needed = [(weight, value) for weight, value in terms if weight > 0]
    values = [weight * value for weight, value in needed if value is not None]
    if not needed or len(values) < len(needed):
        return None
    return sum(values) / sum(weight for weight, _ in needed)
