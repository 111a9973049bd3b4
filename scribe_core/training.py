"""The training loop, top to bottom.

Each step takes tasks, plays a group of rollouts of each, scores them and lets the optimizer learn; every so many
steps the skill library is refreshed with what was played (`scribe_core.refresh`). Rollouts and scores are on disk before the optimizer sees them: a killed run goes on from its last checkpoint and replays from
the log what had been played since, instead of playing it again. Left out: asynchronous rollouts, where the
policy that plays lags behind the one that learns.
"""

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

import structlog
from attrs import define, evolve, field, frozen

from scribe_core import aio, crew
from scribe_core.alarms import Watch
from scribe_core.builders import build
from scribe_core.config import Config
from scribe_core.crew import Crew
from scribe_core.episode import Episode, episodes
from scribe_core.errors import ConfigError, RunError
from scribe_core.evaluation import (
    closing,
    evaluate,
    evaluation_name,
    held_out,
    mean,
    skill_scores,
    unscored,
)
from scribe_core.protocols import Builder, Environment, Optimizer, Tool, Tracker
from scribe_core.records import read_jsonl
from scribe_core.refreshing import Refresher
from scribe_core.rollout import rollout
from scribe_core.runs import MANIFEST, RunFolder, make_manifest, pinned_policy
from scribe_core.scorer import Scorer
from scribe_core.settings import RolloutSettings, TrainingSettings
from scribe_core.tally import Tally
from scribe_core.tools import by_name
from scribe_core.types import Group, Scored, Task, Trajectory

log = structlog.get_logger("scribe.training")


@frozen(kw_only=True)
class Parts:
    """What a config builds besides the policy and the trackers."""

    environment: Environment
    tasks: Sequence[Task]
    scorer: Scorer
    optimizer: Optimizer
    tools: Mapping[str, Tool]
    refresher: Refresher

    @classmethod
    def build(cls, config: Config) -> "Parts":
        """Raises ConfigError for what is wrong with the config, before any weight loads."""
        _, environment, optimizer = config.require("policy", "environment", "optimizer")
        world, learner = build(environment), build(optimizer)
        check_rollouts(learner, config.rollout)
        held_out(world, config.evaluation)
        return cls(
            environment=world,
            tasks=training_tasks(world, learner, config.training),
            scorer=config.scorer.build(),
            optimizer=learner,
            tools=by_name(map(build, config.tools.values())),
            refresher=Refresher.build(config, learner),
        )


def train(config: Config, folder: Path, *, resume: bool = False) -> Path:
    """Trains until the configured steps or minutes have passed; returns the last checkpoint.

    In several processes (`scribe_core.crew`) all but the first only help, and return when that has finished.
    Raises ConfigError for a config that cannot work, RunError where a step has nothing to learn from.
    """
    builder = pinned_policy(config, folder)
    if crew.index() > 0:
        learner = build(config.require("optimizer")[0])
        followed: Path = Crew.of(build(builder), learner).follow()
        return followed
    parts = Parts.build(config)
    manifest = make_manifest(config.to_table(), parts.scorer.library.digest)
    if builder != config.policy:
        manifest["policy"] = evolve(config, policy=builder).to_table()["policy"]
    with ExitStack() as opened:
        # An old folder is checked and locked before weights load; a new one is made when they have.
        exists = (folder / MANIFEST).exists()
        run = closing(RunFolder(folder, manifest, resume), opened) if exists else None
        trackers = [closing(build(tracker), opened) for tracker in config.trackers]
        policy = build(builder)
        check_trainable(policy, builder)
        run = run or closing(RunFolder(folder, manifest, resume), opened)
        together = Crew.of(policy, parts.optimizer)
        last = _Training(config, parts, together, trackers, run, parts.scorer).run()
        together.dismiss(last)
        return last


@define
class _Training:
    config: Config
    parts: Parts
    crew: Crew
    trackers: Sequence[Tracker]
    folder: RunFolder
    scorer: Scorer
    trained: float = 0.0
    evaluated: set[int] = field(factory=set)
    watch: Watch = field(factory=Watch)
    replayed: dict[int, dict[str, Trajectory]] = field(factory=dict)
    scores: dict[str, Scored] = field(factory=dict)

    def run(self) -> Path:
        settings = self.config.training
        first = self._restore()
        self._log("run_started", first)
        step = first
        if self._evaluation_is_due(step):
            self._evaluate(step)
        while step < settings.steps and not self._out_of_time():
            step += 1
            self._step(step)
            self._refresh(step)
            if step % settings.checkpoint_every == 0:
                self._checkpoint(step)
            if self._evaluation_is_due(step):
                self._evaluate(step)
        last = self._checkpoint(step)
        if step not in self.evaluated:
            self._evaluate(step)
        self._log("run_finished", step, checkpoint=str(last))
        return last

    def _step(self, step: int) -> None:
        begun = time.monotonic()
        tasks = step_tasks(
            self.parts.tasks, step, self.config.training.tasks_per_step, self.config.training.seed
        )
        seconds: dict[str, float] = {}
        if self.parts.optimizer.learns_from == "demonstrations":
            groups: list[Group] = [[unscored(demonstration(task, self.parts.environment))] for task in tasks]
            planned = len(tasks)
        else:
            groups = self._play(step, tasks, seconds)
            planned = len(tasks) * self.config.rollout.group_size
        started = time.monotonic()
        metrics = self.crew.step(groups)
        seconds["training"] = time.monotonic() - started
        self.trained += time.monotonic() - begun
        library = self.scorer.library.digest
        self._log("step", step, **_summary(groups, planned), **metrics, library=library, seconds=seconds)

    def _play(self, step: int, tasks: Sequence[Task], seconds: dict[str, float]) -> list[Group]:
        """Groups of scored rollouts, from the log where an earlier process had finished them."""
        started = time.monotonic()
        planned = episodes(tasks, self.config.rollout.group_size, f"step-{step}", self.config.training.seed)
        played = self._replay_or_play(step, planned)
        seconds["generation"] = time.monotonic() - started
        started = time.monotonic()
        usable = [trajectory for trajectory in played if trajectory.status != "error"]
        if not usable:
            raise RunError(
                f"step {step}: all {len(played)} rollouts failed; the first: {played[0].metadata['error']}"
            )
        aio.run(self._score(step, usable))
        groups: dict[str, list[Scored]] = {}
        for trajectory in usable:
            groups.setdefault(trajectory.group_id, []).append(self.scores.pop(trajectory.id))
        seconds["scoring"] = time.monotonic() - started
        return list(groups.values())

    def _replay_or_play(self, step: int, planned: Sequence[Episode]) -> list[Trajectory]:
        finished = self.replayed.pop(step, {})
        missing = [episode for episode in planned if episode.id not in finished]
        if missing and self.config.training.deterministic:
            # A batch's size changes low bits of its logits: play the whole wave again, keep what was logged.
            missing = list(planned)
        played = rollout(
            self.crew.player,
            self.parts.environment,
            missing,
            self.config.rollout,
            tools=self.parts.tools,
            policy_version=self.crew.policy.version,
            waves=self.config.training.deterministic,
            finished=lambda t: None if t.id in finished else self.folder.log_trajectory(step, t),
            group_finished=lambda group: self._score(step, [finished.get(each.id, each) for each in group]),
        )
        known = {**{trajectory.id: trajectory for trajectory in played}, **finished}
        return [known[episode.id] for episode in planned]

    async def _score(self, step: int, played: Sequence[Trajectory]) -> None:
        """Scores what has no score yet."""
        new = [each for each in played if each.status != "error" and each.id not in self.scores]
        for scored in await self.scorer.ascore(new):
            self.scores[scored.trajectory.id] = scored
            self.folder.log_score(step, scored, self.scorer.library.digest)

    def _restore(self) -> int:
        """Loads the last checkpoint and reads what was played since; returns the steps done."""
        step = 0
        if checkpoint := self.folder.last_checkpoint():
            step = checkpoint.step
            self.crew.load(checkpoint.path, checkpoint.policy_version)
            self._recall(step)
        self.scorer = self.parts.refresher.restored(self.folder, self.scorer, step)
        self.replayed, self.scores = self.folder.replay(after=step)
        return step

    def _recall(self, last: int) -> None:
        """From the log: what the steps up to this one took (a replayed one counts once), and which were evaluated."""
        taken: dict[int, float] = {}
        for _, event in read_jsonl(self.folder.path / "events.jsonl"):
            if isinstance(event.get("step"), int) and event["step"] <= last:
                self.watch.see(event)
            match event:
                case {"event": "step", "step": int(step), "seconds": dict(seconds)} if step <= last:
                    taken[step] = sum(value for value in seconds.values() if isinstance(value, float))
                case {"event": "evaluation", "step": int(step)} if step <= last:
                    self.evaluated.add(step)
        self.trained = sum(taken.values())

    def _refresh(self, step: int) -> None:
        self.scorer, record = self.parts.refresher.after(step, self.folder, self.scorer)
        if record is not None:
            self._log("refresh", step, **record)

    def _evaluation_is_due(self, step: int) -> bool:
        every = self.config.evaluation.every
        return step > 0 and every > 0 and step % every == 0 and step not in self.evaluated

    def _evaluate(self, step: int) -> None:
        started = time.monotonic()
        result = evaluate(
            self.crew.player,
            self.parts.environment,
            self.scorer,
            self.config.evaluation,
            self.config.rollout,
            tools=self.parts.tools,
            seed=self.config.training.seed,
            waves=self.config.training.deterministic,
        )
        self.folder.write_evaluation(evaluation_name(result.split, step), result.scored)
        self._log("evaluation", step, **result.summary(), seconds={"evaluation": time.monotonic() - started})
        self.evaluated.add(step)

    def _checkpoint(self, step: int) -> Path:
        started = time.monotonic()
        path = self.folder.checkpoint(step, self.crew.policy.version, self.crew.save)
        self._log("checkpoint", step, path=str(path), seconds={"checkpoint": time.monotonic() - started})
        return path

    def _out_of_time(self) -> bool:
        minutes = self.config.training.minutes
        return minutes is not None and self.trained >= 60 * minutes

    def _log(self, event: str, step: int, **fields: Any) -> None:
        record = self.folder.log(
            {"event": event, "step": step, "steps": self.config.training.steps, **fields}
        )
        for tracker in self.trackers:
            tracker.log(record)
        for alarm in self.watch.see(record):
            log.warning(alarm.message, step=step)
            self._log("alarm", step, alarm=alarm.name, message=alarm.message)


def _summary(groups: Sequence[Group], planned: int) -> dict[str, Any]:
    """What was learnt from; of as many rollouts as were planned, those that broke are missing."""
    rows = [scored for group in groups for scored in group]
    return {
        "reward": mean(s.reward.value for s in rows),
        "outcome": mean(s.reward.outcome for s in rows),
        "process": mean(s.reward.process for s in rows),
        "truncated": fmean(s.trajectory.status == "truncated" for s in rows),
        "failed_rollouts": planned - len(rows),
        "subgoals": fmean(len(s.judgements) for s in rows),
        "skills": skill_scores(rows),
        "judging": Tally.of(rows).record(),
    }


def training_tasks(
    environment: Environment, optimizer: Optimizer, settings: TrainingSettings
) -> Sequence[Task]:
    """What the optimizer learns from. Raises ConfigError where a step takes more tasks than there are."""
    demonstrations = optimizer.learns_from == "demonstrations"
    tasks = [task for task in environment.tasks("train") if task.demonstration or not demonstrations]
    tasks = tasks[: settings.limit]
    if not tasks:
        needed = "tasks with demonstrations" if demonstrations else "tasks"
        raise ConfigError(
            f"environment: the split 'train' has no {needed}; choose another environment or optimizer"
        )
    if len(tasks) < settings.tasks_per_step:
        raise ConfigError(
            f"training.tasks_per_step: {settings.tasks_per_step} is more than the {len(tasks)} training tasks"
        )
    return tasks


def check_trainable(policy: Any, builder: Builder[Any]) -> None:
    """Raises ConfigError where it has no weights, as one behind a server."""
    if not all(hasattr(policy, name) for name in ("version", "save", "load")):
        raise ConfigError(
            f"policy.use: {builder.name!r} has no weights that could be trained; `scribe eval` plays and scores with "
            'it, and to train choose one that has, such as "hf"'
        )


def check_rollouts(optimizer: Optimizer, settings: RolloutSettings) -> None:
    """Raises ConfigError where the optimizer cannot learn from what is sampled."""
    if optimizer.learns_from == "rollouts" and settings.temperature == 0:
        raise ConfigError(
            "rollout.temperature: 0 plays every rollout of a task alike, which leaves nothing to compare; "
            "choose a number above 0, such as 1.0"
        )


def step_tasks(tasks: Sequence[Task], step: int, count: int, seed: int) -> list[Task]:
    """The tasks of a step (counted from 1), all different: a new shuffle each time the tasks have been used."""
    epoch, slot = divmod(step - 1, len(tasks) // count)
    order = random.Random(f"{seed}/{epoch}").sample(range(len(tasks)), len(tasks))  # noqa: S311
    return [tasks[i] for i in order[slot * count : (slot + 1) * count]]


def demonstration(task: Task, environment: Environment) -> Trajectory:
    """The trajectory of somebody who did it right."""
    return Trajectory(
        id=task.id,
        task_id=task.id,
        group_id=task.id,
        messages=task.messages + task.demonstration,
        tools=tuple(environment.open(task).tools),
    )
