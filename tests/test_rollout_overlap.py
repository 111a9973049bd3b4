"""Episodes that go on independently: what waits for what, and what does not."""

import asyncio
import random
import threading
from collections import Counter

import pytest
from attrs import evolve, field, frozen

from scribe_core import aio
from scribe_core import rollout as rollouts
from scribe_core.episode import episodes
from scribe_core.errors import RunError
from scribe_core.rollout import rollout
from scribe_core.settings import RolloutSettings
from scribe_core.testing import ScriptedPolicy
from scribe_core.types import Completion, Message, Sampled, Task


async def _at_once(task, turn):
    return True


async def _known(task):
    return 1.0


@frozen
class World:
    """`answer` is awaited with the task's id and the turn, from 1; the episode goes on while it says True."""

    answer: object = _at_once
    outcome: object = _known

    def open(self, task):
        return Session(self, task)


@frozen
class Session:
    world: World
    task: Task
    turns: list = field(factory=list)
    tools = ()

    async def respond(self, message):
        self.turns.append(message)
        more = await self.world.answer(self.task.id, len(self.turns))
        return [Message(role="user", content="Go on.")] if more else []

    async def outcome(self, messages):
        return await self.world.outcome(self.task.id)


@frozen
class Recording:
    """A policy that remembers its batches, by the first words of the conversations."""

    batches: list = field(factory=list)
    threads: set = field(factory=set)

    def generate(self, conversations, sampling, seeds):
        self.threads.add(threading.get_ident())
        self.batches.append([conversation.messages[0].content for conversation in conversations])
        return ScriptedPolicy().generate(conversations, sampling, seeds)


def plan(*names, samples=1):
    tasks = [Task(id=name, messages=(Message(role="user", content=name),)) for name in names]
    return episodes(tasks, samples, "test", 0)


def played(planned, world, policy=None, **options):
    settings = {key: options.pop(key) for key in list(options) if hasattr(RolloutSettings(), key)}
    return rollout(policy or Recording(), world, planned, evolve(RolloutSettings(), **settings), **options)


def texts(trajectories):
    return [[message.content for message in each.messages] for each in trajectories]


class TestIndependence:
    def test_a_slow_session_holds_back_no_other(self):
        over = asyncio.Event()

        async def answer(task, turn):
            if task == "slow":
                await over.wait()
                return False
            if turn == 5:
                over.set()
            return turn < 5

        order = []
        found = played(plan("slow", "quick"), World(answer), finished=lambda t: order.append(t.task_id))
        assert order == ["quick", "slow"]
        assert [len(each.messages) for each in found] == [2, 10]

    def test_a_slot_is_taken_as_soon_as_it_is_free(self):
        last_began = asyncio.Event()

        async def answer(task, turn):
            if task == "slow":
                await last_began.wait()
            if task == "last":
                last_began.set()
            return False

        found = played(plan("slow", "a", "b", "last"), World(answer), concurrency=2)
        assert [each.task_id for each in found] == ["slow", "a", "b", "last"]

    def test_no_more_are_under_way_than_allowed(self):
        under_way, most = Counter(), []

        async def answer(task, turn):
            under_way[task] += 1
            most.append(len(+under_way))
            await asyncio.sleep(0)
            if turn == 2:
                del under_way[task]
            return turn < 2

        played(plan(*"abcdefgh"), World(answer), concurrency=3)
        assert max(most) == 3

    def test_a_group_is_concluded_while_others_play(self):
        concluded = asyncio.Event()

        async def answer(task, turn):
            if task == "b":
                await concluded.wait()
            return False

        groups = []

        async def conclude(group):
            groups.append([(each.task_id, each.sample) for each in group])
            concluded.set()

        played(plan("a", "b", samples=2), World(answer), group_finished=conclude)
        assert groups == [[("a", 0), ("a", 1)], [("b", 0), ("b", 1)]]

    def test_what_fails_in_a_conclusion_ends_the_run(self):
        async def never(task, turn):
            await asyncio.Event().wait()

        async def conclude(group):
            raise RunError("no judge")

        async def answer(task, turn):
            return task == "b" and await never(task, turn)

        with pytest.raises(RunError, match="no judge"):
            played(plan("a", "b"), World(answer), group_finished=conclude)

    def test_the_policy_computes_in_the_callers_thread(self):
        policy = Recording()
        played(plan("a"), World(), policy, max_turns=2)
        assert policy.threads == {threading.get_ident()}


class TestWaves:
    def batches(self, seed):
        dice = random.Random(seed)

        async def answer(task, turn):
            await asyncio.sleep(dice.choice([0, 0.001, 0.03]))
            return turn < 1 + ord(task) % 4

        policy = Recording()
        played(plan(*"abcdefghij"), World(answer), policy, concurrency=4, waves=True)
        return policy.batches

    def test_batches_do_not_depend_on_how_long_tools_take(self):
        first = self.batches(0)
        assert first == self.batches(1) == self.batches(2)
        assert [len(batch) for batch in first[:3]] == [4, 4, 4]

    def test_without_them_a_batch_begins_with_who_is_there(self, monkeypatch):
        free = asyncio.Event()
        monkeypatch.setattr(rollouts, "MOMENT", 3600)

        async def answer(task, turn):
            if task == "slow" and turn == 1:
                monkeypatch.setattr(rollouts, "MOMENT", 0.001)
                await free.wait()
            if task == "quick" and turn == 2:
                free.set()
            return turn < 3

        policy = Recording()
        played(plan("slow", "quick"), World(answer), policy)
        assert policy.batches[:2] == [["slow", "quick"], ["quick"]]


class TestLimits:
    async def forever(self, *_):
        await asyncio.Event().wait()

    def test_of_time(self):
        async def answer(task, turn):
            return turn < 2 if task == "quick" else await self.forever()

        slow, quick = played(plan("slow", "quick"), World(answer), episode_seconds=0.05)
        assert (slow.status, slow.outcome, quick.status) == ("truncated", 1.0, "done")

    def test_of_time_hold_over_all_turns_together(self):
        async def answer(task, turn):
            await asyncio.sleep(0.03)
            return True

        (found,) = played(plan("a"), World(answer), episode_seconds=0.1, max_turns=1000)
        assert found.status == "truncated"
        assert len(found.messages) <= 2 * 4

    def test_of_time_hold_for_the_outcome(self):
        (found,) = played(plan("a"), World(outcome=self.forever), episode_seconds=0.05, max_turns=1)
        assert (found.status, found.outcome) == ("error", None)
        assert "TimeoutError" in found.metadata["error"]

    def test_that_the_session_runs_into_are_its_own_failure(self):
        async def answer(task, turn):
            raise TimeoutError("its own")

        (found,) = played(plan("a"), World(answer))
        assert found.status == "error"

    @pytest.mark.parametrize(("most", "turns"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
    def test_of_tokens(self, most, turns):
        sampled = Sampled(context_ids=(), token_ids=(1,) * 4, logprobs=(0.0,) * 4, offsets=(0,) * 4)
        policy = ScriptedPolicy((Message(role="assistant", content="More.", sampled=sampled),))
        (found,) = played(plan("a"), World(), policy, episode_tokens=most)
        assert sum(message.role == "assistant" for message in found.messages) == turns
        assert found.status == "truncated"


@frozen
class OneByOne:
    """A policy that continues each conversation by itself; `turn` is awaited with its first words."""

    turn: object

    def generate(self, conversations, sampling, seeds):
        raise AssertionError("it is asked one by one")

    async def continue_one(self, conversation, sampling, seed):
        await self.turn(conversation.messages[0].content)
        return Completion(message=Message(role="assistant", content=str(seed)))


class TestOneByOne:
    def test_no_turn_waits_for_another(self):
        quick_done = asyncio.Event()

        async def turn(name):
            if name == "slow":
                await quick_done.wait()

        async def answer(task, turn):
            if task == "quick" and turn == 3:
                quick_done.set()
            return turn < 3

        found = played(plan("slow", "quick"), World(answer), OneByOne(turn))
        assert [each.status for each in found] == ["done", "done"]
        batched = played(plan("slow", "quick"), World(answer), ScriptedPolicy(lambda _, seed: str(seed)))
        assert texts(found) == texts(batched)

    def test_one_that_breaks_ends_its_own_episode(self):
        async def turn(name):
            if name == "bad":
                raise OSError("no route")

        bad, good = played(plan("bad", "good"), World(), OneByOne(turn), max_turns=1)
        assert (bad.status, good.status) == ("error", "truncated")
        assert "no route" in bad.metadata["error"]

    def test_a_policy_that_cannot_work_at_all_ends_the_run(self):
        async def turn(name):
            raise RunError("the budget is spent")

        with pytest.raises(RunError, match="budget"):
            played(plan("a", "b"), World(), OneByOne(turn))


class TestBeside:
    def test_calls_are_made_in_the_callers_thread(self):
        async def begin(blocking):
            return await blocking(threading.get_ident), threading.get_ident()

        here, there = aio.run_beside(begin)
        assert here == threading.get_ident() != there

    @pytest.mark.parametrize("error", [ValueError("lost"), SystemExit(3), asyncio.CancelledError("lost")])
    def test_what_a_call_raises_can_be_caught_where_it_was_made(self, error):
        def fail():
            raise error

        async def begin(blocking):
            try:
                await blocking(fail)
            except BaseException as caught:
                return caught

        assert aio.run_beside(begin) is error

    def test_an_interrupt_cancels(self):
        ended = threading.Event()

        def interrupt():
            raise KeyboardInterrupt

        async def begin(blocking):
            try:
                await blocking(interrupt)
            finally:
                ended.set()

        with pytest.raises(KeyboardInterrupt):
            aio.run_beside(begin)
        assert ended.wait()
