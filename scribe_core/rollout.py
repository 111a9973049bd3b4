"""Rollouts: a policy plays episodes of an environment until each has ended.

Conversations that wait for the policy are continued in batches; what follows an assistant message (tools, user
turns) is awaited for the whole batch together. An episode that breaks is data (`status` "error"), never the end
of a run; only a RunError, by which a part says that it cannot work at all, ends it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import structlog
from attrs import define, evolve, frozen

from scribe_core import aio
from scribe_core.errors import RunError
from scribe_core.protocols import Environment, Policy, Session, Tool
from scribe_core.settings import RolloutSettings
from scribe_core.tools import call_tools, failure
from scribe_core.types import (
    Completion,
    Conversation,
    Message,
    Sampling,
    Status,
    Task,
    ToolCall,
    ToolSpec,
    Trajectory,
)

logger = structlog.get_logger("scribe.rollout")

RESULT_ROLES = ("tool", "function")


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
        live += [_Play(e, tools or {}) for e in islice(waiting, settings.concurrency - len(live))]
        if not live:
            return [done[episode.id] for episode in planned]
        ready = [play for play in live if play.prepared(environment)]
        if ready:
            completions = policy.generate(
                [play.conversation() for play in ready],
                sampling,
                [_seed(play.episode.seed, play.turns) for play in ready],
            )
            aio.run(_advance(ready, completions, settings))
        for play in live:
            if play.status is not None:
                done[play.episode.id] = play.trajectory(policy_version)
                finished(done[play.episode.id])
        live = [play for play in live if play.status is None]


@define
class _Play:
    """An episode under way."""

    episode: Episode
    extra: Mapping[str, Tool]
    session: Session | None = None
    tools: tuple[ToolSpec, ...] = ()
    added: tuple[Message, ...] = ()
    turns: int = 0
    status: Status | None = None
    outcome: float | None = None
    error: str = ""

    def prepared(self, environment: Environment) -> bool:
        """Opens the session, and asks it for its tools before each turn; whether the episode can go on."""
        with self._guarded():
            if self.session is None:
                self.session = environment.open(self.episode.task)
            self.tools = (*self.session.tools, *(tool.spec for tool in self.extra.values()))
        return self.status is None

    def conversation(self) -> Conversation:
        return Conversation(messages=self.episode.task.messages + self.added, tools=self.tools)

    async def advance(self, completion: Completion, settings: RolloutSettings) -> None:
        with self._guarded():
            await self._respond(completion, settings)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except RunError:
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if aio.cancelled():
                raise
            logger.warning("episode failed", task=self.episode.task.id, error=repr(error))
            self.status, self.outcome, self.error = "error", None, repr(error)

    async def _respond(self, completion: Completion, settings: RolloutSettings) -> None:
        assert self.session is not None
        self.added += (completion.message,)
        self.turns += 1
        if completion.finish_reason == "length":
            self.status = "truncated"
        else:
            follow, over = await self._follow(self.session, completion.message, settings.tool_timeout)
            self.added += tuple(follow)
            if over:
                self.status = "done"
            elif self.turns >= settings.max_turns:
                self.status = "truncated"
        if self.status is not None:
            self.outcome = _checked(await self.session.outcome(self.episode.task.messages + self.added))

    async def _follow(
        self, session: Session, message: Message, timeout: float
    ) -> tuple[Sequence[Message], bool]:
        """Results in the order of the calls, then whatever else the session adds; and whether that was all.

        Configured tools answer their own calls. A session that adds nothing to what it is asked ends the episode.
        """
        calls = message.tool_calls
        rest = [index for index, call in enumerate(calls) if call.name not in self.extra]
        own = [index for index, call in enumerate(calls) if call.name in self.extra]
        results = await call_tools(self.extra, [calls[index] for index in own], timeout)
        answered = dict(zip(own, results, strict=True))
        if own and not rest:
            return results, False
        asked = evolve(message, tool_calls=tuple(calls[index] for index in rest))
        added = await session.respond(asked)
        if not added:
            return results, True
        answered |= zip(rest, _matched(asked.tool_calls, added), strict=True)
        return [*(answered[index] for index in range(len(calls))), *_without_results(added)], False

    def trajectory(self, policy_version: int | None) -> Trajectory:
        assert self.status is not None
        task = self.episode.task
        return Trajectory(
            id=self.episode.id,
            task_id=task.id,
            group_id=self.episode.group_id,
            sample=self.episode.sample,
            messages=task.messages + self.added,
            tools=self.tools,
            outcome=self.outcome,
            status=self.status,
            policy_version=policy_version,
            metadata={**task.metadata, **({"error": self.error} if self.error else {})},
        )


async def _advance(
    live: Sequence[_Play], completions: Sequence[Completion], settings: RolloutSettings
) -> None:
    turns = (play.advance(done, settings) for play, done in zip(live, completions, strict=True))
    await asyncio.gather(*turns)


def _matched(calls: Sequence[ToolCall], added: Sequence[Message]) -> list[Message]:
    """A result for each call: by its id, those without one in order; an error where the session gave none.

    Raises ValueError for a result of a call that was not made, or that has one already.
    """
    found: dict[int, Message] = {}
    results = [message for message in added if message.role in RESULT_ROLES]
    for result in sorted(results, key=lambda each: not each.tool_call_id):
        given = result.tool_call_id
        fits = (i for i, call in enumerate(calls) if i not in found and (not given or given == call.id))
        index = next(fits, None)
        if index is None:
            text = "more tool results than calls" if given in (None, "", *_ids(calls)) else "a foreign result"
            raise ValueError(f"the session gave {text}: tool_call_id {given!r}, calls {_ids(calls)}")
        call = calls[index]
        found[index] = evolve(result, tool_call_id=call.id or None, name=result.name or call.name)
    missing = failure("the environment gave no result for this call").content
    return [
        found.get(i, Message(role="tool", content=missing, tool_call_id=call.id or None, name=call.name))
        for i, call in enumerate(calls)
    ]


def _without_results(added: Sequence[Message]) -> list[Message]:
    return [message for message in added if message.role not in RESULT_ROLES]


def _ids(calls: Sequence[ToolCall]) -> list[str]:
    return [call.id for call in calls]


def _checked(outcome: float | None) -> float | None:
    if outcome is not None and not 0 <= outcome <= 1:
        raise ValueError(f"a session's outcome is a number from 0 to 1, or None; got {outcome!r}")
    return None if outcome is None else float(outcome)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
