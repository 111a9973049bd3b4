"""Evaluation: held-out tasks, played and scored like training rollouts."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from attrs import asdict, evolve, frozen

from scribe_core import aio
from scribe_core.builders import build
from scribe_core.crew import check_alone
from scribe_core.episode import episodes
from scribe_core.errors import ConfigError, RunError, suggest
from scribe_core.intervals import bootstrap, wilson
from scribe_core.protocols import Continuing, Environment, Metered, Policy, Tool, Tracker
from scribe_core.records import dumps
from scribe_core.refreshing import ScorerOfRun
from scribe_core.rollout import rollout
from scribe_core.runs import MANIFEST, Checkpoint, RunFolder, make_manifest, pinned, pinned_policy
from scribe_core.settings import EvaluationSettings, RolloutSettings
from scribe_core.tally import Tally
from scribe_core.tools import by_name
from scribe_core.types import Reward, Scored, Task, Trajectory, Usage

if TYPE_CHECKING:
    from scribe_core.config import Config
    from scribe_core.scorer import Scorer

logger = structlog.get_logger("scribe.evaluation")

Closable = TypeVar("Closable", RunFolder, Tracker)

MAY_CHANGE = (
    *("evaluation", "optimizer", "trackers", "training"),
    *("rollout.concurrency", "rollout.group_size", "rollout.temperature"),
)
"""What of a run's config has no part in how its checkpoints do on held-out tasks."""


@frozen(kw_only=True)
class Evaluation:
    """What a policy did on a split. `outcomes` holds the mean outcome of each task, in the split's order.

    `by` is the key of their metadata by which tasks are told apart.
    """

    split: str
    scored: tuple[Scored, ...]
    outcomes: Mapping[str, float]
    by: str | None = None
    usage: Usage | None = None
    """What the policy took, where it costs something."""
    library: str | None = None
    """The digest of the skill library that judged."""

    def groups(self) -> dict[str, list[float]]:
        """The outcomes of the tasks by what their metadata says, in the split's order; none without `by`."""
        found: dict[str, list[float]] = defaultdict(list)
        told = {s.trajectory.task_id: s.trajectory.metadata.get(self.by) for s in self.scored if self.by}
        for task, value in told.items():
            if task in self.outcomes and value is not None:
                found[str(value)].append(self.outcomes[task])
        return dict(found)

    def summary(self) -> dict[str, Any]:
        """The flat record of an `evaluation` event."""
        return {
            "split": self.split,
            "tasks": len({s.trajectory.task_id for s in self.scored}),
            "outcome": fmean(self.outcomes.values()) if self.outcomes else None,
            "outcome_interval": outcome_interval(tuple(self.outcomes.values())),
            "outcome_by": {value: fmean(outcomes) for value, outcomes in self.groups().items()},
            "process": mean(s.reward.process for s in self.scored),
            "skills": skill_scores(self.scored),
            "failed_rollouts": sum(s.trajectory.status == "error" for s in self.scored),
            "usage": asdict(self.usage) if self.usage else None,
            "judging": Tally.of(self.scored).record(),
            "library": self.library,
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
    waves: bool = False,
    played: Mapping[str, Trajectory] | None = None,
    finished: Callable[[Trajectory], None] = lambda _: None,
) -> Evaluation:
    """Plays every task of the split `samples` times; without a scorer only the outcome is known.

    In `waves`, batches do not depend on how long tools take (`scribe_core.rollout`). What was `played` before, by id,
    is taken as it is; `finished` sees each of the others as soon as it ends.
    Rollouts that broke are kept, without a score. Raises ConfigError where the split has no tasks.
    """
    planned = episodes(held_out(environment, settings), settings.samples, settings.split, seed)
    known: dict[str, Scored] = {}
    before = played or {}
    missing = [episode for episode in planned if episode.id not in before]
    if missing and waves and not isinstance(policy, Continuing):
        # A batch's size changes low bits of its logits: play the whole wave again, keep what was logged.
        missing = planned
    took = _taken(policy)

    async def score(group: Sequence[Trajectory]) -> None:
        usable = [trajectory for trajectory in group if trajectory.status != "error"]
        known.update(
            {scored.trajectory.id: scored for scored in await scorer.ascore(usable)} if scorer else {}
        )

    new = rollout(
        policy,
        environment,
        missing,
        evolve(rollouts, temperature=settings.temperature),
        tools=tools,
        waves=waves,
        finished=finished,
        group_finished=score,
    )
    by_id = {**{trajectory.id: trajectory for trajectory in new}, **before}
    whole = [by_id[episode.id] for episode in planned]
    aio.run(score([each for each in whole if each.id in before]))
    per_task: dict[str, list[float]] = defaultdict(list)
    for trajectory in whole:
        if trajectory.outcome is not None:
            per_task[trajectory.task_id].append(trajectory.outcome)
    outcomes = {task: fmean(values) for task, values in per_task.items()}
    scored = tuple(known.get(trajectory.id) or unscored(trajectory) for trajectory in whole)
    usage = _taken(policy, took)
    library = scorer.library.digest if scorer else None
    return Evaluation(
        split=settings.split, scored=scored, outcomes=outcomes, by=settings.by, usage=usage, library=library
    )


def evaluate_run(config: "Config", folder: Path, checkpoint: Checkpoint | None = None) -> Evaluation:
    """Evaluates the configured policy, or a checkpoint of it, and keeps the result in a run's folder.

    A folder that is not there yet is made when a rollout has finished. Rollouts that an earlier process had finished
    when it was killed are not played again, nor are those of an evaluation in which others broke. A checkpoint is judged
    with the library that its run had there, unless the config names others than the run's. Raises ConfigError where the
    folder holds a run of another config or is in use, RunError where every rollout broke.
    """
    check_alone("scribe eval")
    policy_builder, environment_builder = config.require("policy", "environment")
    environment, scorer = build(environment_builder), config.scorer.build()
    held_out(environment, config.evaluation)
    tools = by_name(map(build, config.tools.values()))
    manifest = make_manifest(config.to_table(), scorer.library.digest)
    with ExitStack() as opened:
        exists = (folder / MANIFEST).exists()
        run = _open(folder, manifest, opened) if exists else None
        trackers = [closing(build(builder), opened) for builder in config.trackers]
        builder = (
            pinned_policy(config, checkpoint.path.parent.parent) if checkpoint else pinned(policy_builder)
        )
        policy = build(builder)
        if checkpoint:
            policy.load(checkpoint.path / "policy")
            scorer = ScorerOfRun.configured(checkpoint.path.parent.parent, config, scorer).after(
                checkpoint.step
            )
        name = evaluation_name(config.evaluation.split, checkpoint.step if checkpoint else None)
        of = _follows_from(evolve(config, policy=builder), checkpoint)
        played, earlier = run.evaluated(name, of) if run else ({}, Usage())
        if played:
            logger.warning("an unfinished evaluation goes on", evaluation=name, finished=len(played))

        def finished(trajectory: Trajectory) -> None:
            nonlocal run
            if trajectory.status != "error" and trajectory.id not in played:
                run = run or _open(folder, manifest, opened)
                run.log_evaluated(name, of, trajectory, earlier + (_taken(policy) or Usage()))

        started = time.monotonic()
        result = evaluate(
            policy,
            environment,
            scorer,
            config.evaluation,
            config.rollout,
            tools=tools,
            seed=config.training.seed,
            waves=config.training.deterministic,
            played=played,
            finished=finished,
        )
        if result.usage:
            result = evolve(result, usage=earlier + result.usage)
        seconds = time.monotonic() - started
        _check_any_played(result)
        assert run is not None
        event = _keep(run, name, result, checkpoint, seconds)
        for tracker in trackers:
            tracker.log(event)
    return result


def _open(folder: Path, manifest: Mapping[str, Any], opened: ExitStack) -> RunFolder:
    return closing(RunFolder(folder, manifest, resume=True, may_change=MAY_CHANGE), opened)


def closing(each: Closable, opened: ExitStack) -> Closable:
    """Closes it when the stack unwinds."""
    opened.callback(each.close)
    return each


def evaluation_name(split: str, step: int | None) -> str:
    """What an evaluation is kept under: of a run's step, or of a policy as it came."""
    return split if step is None else f"step-{step:06d}-{split}"


def _follows_from(config: "Config", checkpoint: Checkpoint | None) -> str:
    """A digest of what an evaluation's rollouts depend on, besides what a run's folder holds fast anyway."""
    of = {
        "policy": config.to_table()["policy"],
        "checkpoint": str(checkpoint.path) if checkpoint else None,
        "temperature": config.evaluation.temperature,
        "seed": config.training.seed,
    }
    return hashlib.sha256(dumps(of).encode()).hexdigest()


def _taken(policy: Policy, before: Usage | None = None) -> Usage | None:
    """What the policy has taken since; None where it costs nothing."""
    if not isinstance(policy, Metered):
        return None
    now, then = policy.usage, before or Usage()
    return Usage(
        calls=now.calls - then.calls,
        prompt_tokens=now.prompt_tokens - then.prompt_tokens,
        completion_tokens=now.completion_tokens - then.completion_tokens,
        usd=None if now.usd is None else now.usd - (then.usd or 0.0),
    )


def _check_any_played(result: Evaluation) -> None:
    if all(scored.trajectory.status == "error" for scored in result.scored):
        error = result.scored[0].trajectory.metadata.get("error")
        raise RunError(f"all {len(result.scored)} rollouts failed; the first: {error}")


def _keep(
    run: RunFolder, name: str, result: Evaluation, checkpoint: Checkpoint | None, seconds: float
) -> dict[str, Any]:
    run.write_evaluation(name, result.scored)
    return run.log(
        {
            "event": "evaluation",
            "step": checkpoint.step if checkpoint else 0,
            "checkpoint": str(checkpoint.path) if checkpoint else None,
            **result.summary(),
            "seconds": {"evaluation": seconds},
        }
    )


def held_out(environment: Environment, settings: EvaluationSettings) -> Sequence[Task]:
    """The tasks to evaluate on. Raises ConfigError where there are none, or none that says what tells them apart."""
    tasks = environment.tasks(settings.split)[: settings.limit]
    if not tasks:
        raise ConfigError(f"evaluation.split: {settings.split!r} has no tasks")
    if settings.by is not None and not any(settings.by in task.metadata for task in tasks):
        raise ConfigError(
            f"evaluation.by: no task has {settings.by!r} in its metadata{suggest(settings.by, tasks[0].metadata)}"
        )
    return tasks


def unscored(trajectory: Trajectory) -> Scored:
    """A trajectory that nobody judged."""
    reward = Reward(value=None, process=None, outcome=trajectory.outcome)
    return Scored(trajectory=trajectory, judgements=(), reward=reward)


def outcome_interval(outcomes: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean outcome: Wilson's where each is 0 or 1, else a bootstrap's."""
    if not outcomes:
        return None
    if {*outcomes} <= {0.0, 1.0}:
        return wilson(round(sum(outcomes)), len(outcomes))
    return bootstrap(outcomes, draws=2000)


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
