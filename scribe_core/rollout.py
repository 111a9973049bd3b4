"""Rollouts: a policy plays episodes of an environment until each has ended.

Conversations that wait for the policy are continued in batches; what follows an assistant message (tools, user
turns) is awaited for the whole batch together. An episode that breaks is data (`status` "error"), never the end
of a run; only a RunError, by which a part says that it cannot work at all, ends it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import structlog
from attrs import define, evolve, frozen

from scribe_core import aio
from scribe_core.errors import RunError
from scribe_core.protocols import Environment, Policy, Session, Tool
from scribe_core.settings import RolloutSettings
from scribe_core.tools import call_tools
from scribe_core.types import Completion, Conversation, Message, Sampling, Status, Task, Trajectory

logger = structlog.get_logger("scribe.rollout")


@frozen(kw_only=True)
class Episode:
    """One rollout to be made: the task, which sample of it, and the seed of its randomness."""

    id: str
    task: Task
    sample: int
    group_id: str
    seed: int


def episodes(tasks: Iterable[Task], samples: int, label: str, seed: int) -> list[Episode]:
    """`samples` episodes of each task; ids and seeds follow from label, task and sample alone."""
    made = []
    for task in tasks:
        group = f"{label}/{task.id}"
        for sample in range(samples):
            name = f"{group}/{sample}"
            made.append(Episode(id=name, task=task, sample=sample, group_id=group, seed=_seed(seed, name)))
    return made


def rollout(
    policy: Policy,
    environment: Environment,
    planned: Sequence[Episode],
    settings: RolloutSettings,
    *,
    tools: Mapping[str, Tool] | None = None,
    policy_version: int | None = None,
    finished: Callable[[Trajectory], None] = lambda _: None,
) -> list[Trajectory]:
    """Plays all episodes and returns their trajectories in order; `finished` sees each as soon as it ends."""
    waiting = iter(planned)
    done: dict[str, Trajectory] = {}
    live: list[_Play] = []
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    while True:
        live += [
            _Play(e, environment.open(e.task), tools or {})
            for e in islice(waiting, settings.concurrency - len(live))
        ]
        if not live:
            return [done[episode.id] for episode in planned]
        completions = policy.generate(
            [play.conversation() for play in live],
            sampling,
            [_seed(play.episode.seed, play.turns) for play in live],
        )
        aio.run(_advance(live, completions, settings.max_turns))
        for play in live:
            if play.status is not None:
                done[play.episode.id] = play.trajectory(policy_version)
                finished(done[play.episode.id])
        live = [play for play in live if play.status is None]


@define
class _Play:
    """An episode under way."""

    episode: Episode
    session: Session
    extra: Mapping[str, Tool]
    added: tuple[Message, ...] = ()
    turns: int = 0
    status: Status | None = None
    outcome: float | None = None
    error: str = ""

    def conversation(self) -> Conversation:
        offered = (*self.session.tools, *(tool.spec for tool in self.extra.values()))
        return Conversation(messages=self.episode.task.messages + self.added, tools=offered)

    async def advance(self, completion: Completion, max_turns: int) -> None:
        try:
            await self._respond(completion, max_turns)
        except RunError:
            raise
        except (Exception, SystemExit) as error:
            logger.warning("episode failed", task=self.episode.task.id, error=repr(error))
            self.status, self.outcome, self.error = "error", None, repr(error)

    async def _respond(self, completion: Completion, max_turns: int) -> None:
        self.added += (completion.message,)
        self.turns += 1
        if completion.finish_reason == "length":
            self.status = "truncated"
        else:
            follow = await self._follow(completion.message)
            self.added += tuple(follow)
            if not follow:
                self.status = "done"
            elif self.turns >= max_turns:
                self.status = "truncated"
        if self.status is not None:
            self.outcome = _checked(await self.session.outcome(self.episode.task.messages + self.added))

    async def _follow(self, message: Message) -> list[Message]:
        """Results of the configured tools, then whatever the session adds."""
        own = tuple(call for call in message.tool_calls if call.name in self.extra)
        rest = tuple(call for call in message.tool_calls if call.name not in self.extra)
        follow = list(await call_tools(self.extra, own, timeout=None)) if own else []
        if rest or not own:
            follow += await self.session.respond(evolve(message, tool_calls=rest))
        return follow

    def trajectory(self, policy_version: int | None) -> Trajectory:
        assert self.status is not None
        task = self.episode.task
        return Trajectory(
            id=self.episode.id,
            task_id=task.id,
            group_id=self.episode.group_id,
            sample=self.episode.sample,
            messages=task.messages + self.added,
            tools=self.conversation().tools,
            outcome=self.outcome,
            status=self.status,
            policy_version=policy_version,
            metadata={**task.metadata, **({"error": self.error} if self.error else {})},
        )


async def _advance(live: Sequence[_Play], completions: Sequence[Completion], max_turns: int) -> None:
    turns = (play.advance(done, max_turns) for play, done in zip(live, completions, strict=True))
    await asyncio.gather(*turns)


def _checked(outcome: float | None) -> float | None:
    if outcome is not None and not 0 <= outcome <= 1:
        raise ValueError(f"a session's outcome is a number from 0 to 1, or None; got {outcome!r}")
    return None if outcome is None else float(outcome)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
