"""Episodes that break, and results that are put to their calls."""

import asyncio

import pytest
from attrs import evolve, field, frozen

from scribe_core.episode import episodes
from scribe_core.errors import RunError
from scribe_core.rollout import rollout
from scribe_core.settings import RolloutSettings
from scribe_core.testing import ScriptedPolicy
from scribe_core.tools import function_tool
from scribe_core.types import Message, Task, ToolCall, ToolSpec


def _nothing(message):
    return ()


@frozen
class World:
    """Its session answers as told; `broken` says where it raises."""

    answer: object = _nothing
    broken: str = ""
    error: BaseException = field(factory=lambda: KeyError("lost"))

    def open(self, task):
        self.check("open", task)
        return Session(self, task)

    def check(self, where, task):
        if where == self.broken and task.id == "bad":
            raise self.error


@frozen
class Session:
    world: World
    task: Task

    @property
    def tools(self):
        self.world.check("tools", self.task)
        return (ToolSpec(name="theirs", description="", parameters={}),)

    async def respond(self, message):
        self.world.check("respond", self.task)
        return self.world.answer(message)

    async def outcome(self, messages):
        return 1.0


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


TOOLS = {"add": function_tool(add)}


def played(world, first="Hello.", names=("good",), **changes):
    tasks = [Task(id=name, messages=(Message(role="user", content="Go."),)) for name in names]
    policy = ScriptedPolicy((first, "Done."))
    settings = evolve(RolloutSettings(max_turns=2), **changes)
    return rollout(policy, world, episodes(tasks, 1, "test", 0), settings, tools=TOOLS)


def calling(*calls):
    made = (ToolCall(name=n, arguments={"a": 1, "b": 2} if n == "add" else {}, id=i) for n, i in calls)
    return Message(role="assistant", tool_calls=tuple(made))


def answering(*results):
    """A session that answers calls with (content, id) and is silent otherwise."""
    messages = [Message(role="tool", content=content, tool_call_id=each) for content, each in results]
    return World(lambda message: messages if message.tool_calls else ())


def results(trajectory):
    return [(m.tool_call_id, m.content) for m in trajectory.messages if m.role == "tool"]


class TestBroken:
    @pytest.mark.parametrize("where", ["open", "tools", "respond"])
    @pytest.mark.parametrize("error", [KeyError("lost"), SystemExit(3), asyncio.CancelledError("lost")])
    @pytest.mark.parametrize("concurrency", [1, 8])
    def test_session_ends_its_own_episode_alone(self, where, error, concurrency):
        world = World(broken=where, error=error)
        found = played(world, names=("bad", "good", "also"), concurrency=concurrency)
        assert [each.status for each in found] == ["error", "done", "done"]
        assert [each.outcome for each in found] == [None, 1.0, 1.0]
        assert repr(error) in found[0].metadata["error"]

    def test_session_that_cannot_work_at_all_ends_the_run(self):
        with pytest.raises(RunError, match="no disk"):
            played(World(broken="open", error=RunError("no disk")), names=("bad",))


class TestResults:
    def test_stand_in_the_order_of_the_calls(self):
        world = answering(("second", "c"), ("first", "a"))
        (found,) = played(world, calling(("theirs", "a"), ("add", "b"), ("theirs", "c")))
        assert results(found) == [("a", "first"), ("b", "3"), ("c", "second")]
        assert [each.name for each in found.messages if each.role == "tool"] == ["theirs", "add", "theirs"]
        assert found.status == "done"

    def test_without_ids_are_of_the_calls_in_order(self):
        world = answering(("second", None), ("first", "a"))
        (found,) = played(world, calling(("theirs", "a"), ("theirs", "b")))
        assert results(found) == [("a", "first"), ("b", "second")]

    def test_of_calls_with_one_id_are_in_order(self):
        (found,) = played(answering(("1", "x"), ("2", "x")), calling(("theirs", "x"), ("theirs", "x")))
        assert results(found) == [("x", "1"), ("x", "2")]

    def test_that_are_missing_are_errors_to_learn_from(self):
        (found,) = played(answering(("here", "b")), calling(("theirs", "a"), ("theirs", "b")))
        missing = "Error: the environment gave no result for this call"
        assert results(found) == [("a", missing), ("b", "here")]

    def test_come_before_the_users_turn(self):
        added = (Message(role="user", content="And?"), Message(role="tool", content="yes"))
        world = World(lambda message: added if message.tool_calls else ())
        (found,) = played(world, calling(("theirs", "a")))
        assert [each.role for each in found.messages] == ["user", "assistant", "tool", "user", "assistant"]

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ([("1", "a"), ("again", "a")], "more tool results than calls: tool_call_id 'a', calls ['a']"),
            ([("1", None), ("again", None)], "more tool results than calls: tool_call_id None"),
            ([("1", "z")], "a foreign result: tool_call_id 'z', calls ['a']"),
        ],
    )
    def test_of_no_call_break_the_episode(self, given, told):
        (found,) = played(answering(*given), calling(("theirs", "a")))
        assert (found.status, found.outcome) == ("error", None)
        assert told in found.metadata["error"]

    def test_of_none_of_its_calls_end_the_episode(self):
        (found,) = played(World(), calling(("theirs", "a"), ("add", "b")))
        assert (found.status, results(found)) == ("done", [("b", "3")])
        assert found.messages[-1].role == "tool"

    def test_of_configured_tools_alone_go_on_without_the_session(self):
        (found,) = played(World(broken="respond"), calling(("add", "b")), names=("bad",), max_turns=1)
        assert (found.status, results(found)) == ("truncated", [("b", "3")])

    def test_that_do_not_come_in_time_are_errors(self):
        async def slow() -> None:
            await asyncio.Event().wait()

        task = Task(id="t", messages=(Message(role="user", content="Go."),))
        policy = ScriptedPolicy((calling(("slow", "a")), "Done."))
        settings = RolloutSettings(tool_timeout=0.01)
        tools = {"slow": function_tool(slow)}
        (found,) = rollout(policy, World(), episodes([task], 1, "test", 0), settings, tools=tools)
        assert results(found) == [("a", "Error: timed out after 0.01 seconds")]


class TestWhatAPolicyKeeps:
    def test_is_dropped_when_all_episodes_are_over(self):
        told = []

        class Keeper(ScriptedPolicy):
            def generate(self, conversations, sampling, seeds):
                told.append("played")
                return super().generate(conversations, sampling, seeds)

            def forget(self):
                told.append("forgot")

        planned = episodes([Task(id=name, messages=()) for name in ("a", "b")], 1, "x", 0)
        rollout(Keeper(), World(), planned, RolloutSettings(concurrency=1))
        assert told == ["played", "played", "forgot"]

    def test_of_a_run_that_broke_is_left_to_whoever_broke_it(self):
        """Other processes may wait for something else by then."""

        class Keeper(ScriptedPolicy):
            def forget(self):
                raise AssertionError("nobody asked")

        planned = episodes([Task(id=name, messages=()) for name in ("good", "bad")], 1, "x", 0)
        with pytest.raises(RunError, match="lost"):
            rollout(Keeper(), World(broken="open", error=RunError("lost")), planned, RolloutSettings())
