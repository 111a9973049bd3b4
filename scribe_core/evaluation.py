"""Evaluation: held-out tasks, played and scored like training rollouts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from scribe_core.errors import ConfigError
from scribe_core.protocols import Environment, Policy, Tool
from scribe_core.rollout import episodes, rollout
from scribe_core.settings import EvaluationSettings, RolloutSettings
from scribe_core.types import Reward, Scored, Trajectory

if TYPE_CHECKING:
    from scribe_core.scorer import Scorer


@frozen(kw_only=True)
class Evaluation:
    """What a policy did on a split. `outcomes` holds the mean outcome of each task, in the split's order."""

    split: str
    scored: tuple[Scored, ...]
    outcomes: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """The flat record of an `evaluation` event."""
        return {
            "split": self.split,
            "tasks": len({s.trajectory.task_id for s in self.scored}),
            "outcome": fmean(self.outcomes.values()) if self.outcomes else None,
            "process": mean(s.reward.process for s in self.scored),
            "skills": skill_scores(self.scored),
        }


def evaluate(
    policy: Policy,
    environment: Environment,
    scorer: "Scorer | None",
    settings: EvaluationSettings,
    rollouts: RolloutSettings,
    *,
    tools: Mapping[str, Tool] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Plays every task of the split `samples` times; without a scorer only the outcome is known."""
    tasks = environment.tasks(settings.split)[: settings.limit]
    if not tasks:
        raise ConfigError(f"evaluation.split: {settings.split!r} has no tasks")
    planned = episodes(tasks, settings.samples, settings.split, seed)
    played = rollout(
        policy, environment, planned, evolve(rollouts, temperature=settings.temperature), tools=tools
    )
    scored = scorer.score(played) if scorer else [unscored(trajectory) for trajectory in played]
    per_task: dict[str, list[float]] = defaultdict(list)
    for trajectory in played:
        if trajectory.outcome is not None:
            per_task[trajectory.task_id].append(trajectory.outcome)
    outcomes = {task: fmean(values) for task, values in per_task.items()}
    return Evaluation(split=settings.split, scored=tuple(scored), outcomes=outcomes)


def unscored(trajectory: Trajectory) -> Scored:
    """A trajectory that nobody judged."""
    reward = Reward(value=None, process=None, outcome=trajectory.outcome)
    return Scored(trajectory=trajectory, judgements=(), reward=reward)


def skill_scores(scored: Iterable[Scored]) -> dict[str, float]:
    """Mean score of the scored subgoals of each skill."""
    scores: dict[str, list[float]] = defaultdict(list)
    for row in scored:
        for judgement in row.judgements:
            if judgement.verdict.score is not None:
                scores[judgement.skill].append(judgement.verdict.score)
    return {skill: fmean(values) for skill, values in sorted(scores.items())}


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known: Sequence[float] = [value for value in values if value is not None]
    return fmean(known) if known else None
