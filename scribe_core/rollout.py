"""Rollouts: a policy plays episodes of an environment until each has ended.

Episodes go on independently: one that waits for a slow tool holds back no other. Conversations that wait for the
policy are continued in batches, in the thread that called, which also opens the sessions; all else happens on
core's background loop. A policy that continues conversations one by one (`Continuing`) is not waited for at all.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field

from scribe_core import aio
from scribe_core.episode import Episode, Play
from scribe_core.protocols import Continuing, Environment, Keeping, Policy, Session, Tool
from scribe_core.settings import RolloutSettings
from scribe_core.types import Completion, Sampling, Task, Trajectory

MOMENT = 0.02
"""Seconds without a newcomer after which a batch begins, although some episodes still wait for their tools."""


def rollout(
    policy: Policy,
    environment: Environment,
    planned: Sequence[Episode],
    settings: RolloutSettings,
    *,
    tools: Mapping[str, Tool] | None = None,
    policy_version: int | None = None,
    waves: bool = False,
    finished: Callable[[Trajectory], None] = lambda _: None,
    group_finished: Callable[[Sequence[Trajectory]], Coroutine[Any, Any, None]] | None = None,
) -> list[Trajectory]:
    """Plays all episodes and returns their trajectories in order.

    `finished` sees each as soon as it ends, and `group_finished` those of a group when the last of them has ended,
    while others still play; both are called on core's background loop. In `waves`, a batch begins when every episode
    under way waits for it, so that batches do not depend on how long tools take.
    """

    def begin(blocking: aio.Blocking) -> Coroutine[Any, Any, list[Trajectory]]:
        return _Rollout(
            policy=policy,
            environment=environment,
            planned=planned,
            settings=settings,
            tools=tools or {},
            policy_version=policy_version,
            waves=waves,
            finished=finished,
            group_finished=group_finished,
            blocking=blocking,
        ).run()

    played = aio.run_beside(begin)
    if isinstance(policy, Keeping):
        policy.forget()
    return played


@define(kw_only=True, eq=False)
class _Rollout:
    policy: Policy
    environment: Environment
    planned: Sequence[Episode]
    settings: RolloutSettings
    tools: Mapping[str, Tool]
    policy_version: int | None
    waves: bool
    finished: Callable[[Trajectory], None]
    group_finished: Callable[[Sequence[Trajectory]], Coroutine[Any, Any, None]] | None
    blocking: aio.Blocking
    done: dict[str, Trajectory] = field(factory=dict)
    waiting: dict[int, tuple[Play, asyncio.Future[Completion]]] = field(factory=dict)
    """By place in the plan, who waits for the policy."""
    playing: int = 0
    generating: bool = False
    _moment: asyncio.TimerHandle | None = None
    _tasks: asyncio.TaskGroup = field(factory=asyncio.TaskGroup)

    async def run(self) -> list[Trajectory]:
        groups: dict[str, list[str]] = defaultdict(list)
        for episode in self.planned:
            groups[episode.group_id].append(episode.id)
        queue = iter(enumerate(self.planned))
        self.playing = min(self.settings.concurrency, len(self.planned))
        try:
            async with self._tasks:
                for _ in range(self.playing):
                    self._tasks.create_task(self._slot(queue, groups))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [self.done[episode.id] for episode in self.planned]

    async def _slot(self, queue: Iterator[tuple[int, Episode]], groups: Mapping[str, list[str]]) -> None:
        """Plays one episode after another."""
        for place, episode in queue:
            play = Play(episode=episode, extra=self.tools, settings=self.settings)
            await play.run(self._opened, partial(self._continued, place))
            self.done[episode.id] = play.trajectory(self.policy_version)
            self.finished(self.done[episode.id])
            group = groups[episode.group_id]
            if self.group_finished and all(name in self.done for name in group):
                self._tasks.create_task(self.group_finished([self.done[name] for name in group]))
        self.playing -= 1
        self._consider()

    async def _opened(self, task: Task) -> Session:
        return await self.blocking(lambda: self.environment.open(task))

    async def _continued(self, place: int, play: Play) -> Completion | None:
        if isinstance(self.policy, Continuing):
            with play.guarded():
                return await self.policy.continue_one(play.conversation(), self._sampling(), play.seed)
            return None
        turn: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self.waiting[place] = (play, turn)
        self._consider()
        return await turn

    def _consider(self) -> None:
        """Begins a batch if everybody waits for it; else in a moment, unless somebody comes meanwhile."""
        if self._moment:
            self._moment.cancel()
        if self.generating or not self.waiting:
            return
        if len(self.waiting) == self.playing:
            self._begin()
        elif not self.waves:
            self._moment = asyncio.get_running_loop().call_later(MOMENT, self._begin)

    def _begin(self) -> None:
        batch = [self.waiting[place] for place in sorted(self.waiting)]
        self.waiting.clear()
        # When the run breaks, those who waited are cancelled, and the moment may still come.
        if not any(turn.cancelled() for _, turn in batch):
            self.generating = True
            self._tasks.create_task(self._generate(batch))

    async def _generate(self, batch: Sequence[tuple[Play, asyncio.Future[Completion]]]) -> None:
        conversations = [play.conversation() for play, _ in batch]
        seeds = [play.seed for play, _ in batch]
        completions = await self.blocking(
            lambda: self.policy.generate(conversations, self._sampling(), seeds)
        )
        self.generating = False
        for (_, turn), completion in zip(batch, completions, strict=True):
            turn.set_result(completion)
        self._consider()

    def _sampling(self) -> Sampling:
        return Sampling(temperature=self.settings.temperature, max_tokens=self.settings.max_tokens)
