"""One episode: who is right, what a second use does, and outputs that mean harm."""

import asyncio
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scribe_core.errors import RunError
from scribe_core.types import Message, ToolCall


def outcome(environment, task, *answer):
    return asyncio.run(environment.open(task).outcome((*task.messages, *answer)))


def says(*calls, content=""):
    return Message(role="assistant", content=content, tool_calls=calls)


@pytest.fixture(scope="module")
def by_id(all_tasks):
    return {task.id: task for task in all_tasks}


def of_category(all_tasks, category):
    return [task for task in all_tasks if task.metadata["category"] == category]


def test_nothing_follows_an_answer(everything, by_id):
    session = everything.open(by_id["simple_python_0"])
    assert asyncio.run(session.respond(says(content="hello"))) == ()


@pytest.mark.parametrize("steps", [("outcome", "outcome"), ("outcome", "respond")])
def test_a_session_is_used_once(everything, by_id, steps):
    task = by_id["simple_python_0"]
    session = everything.open(task)

    def use(step):
        return asyncio.run(session.respond(says()) if step == "respond" else session.outcome(task.messages))

    use(steps[0])
    with pytest.raises(RunError, match=r"'simple_python_0' is over; open a new one"):
        use(steps[1])


def test_sessions_of_one_task_are_independent(everything, by_id):
    task = by_id["simple_python_0"]
    right = task.demonstration[0]
    assert [
        outcome(everything, task, right),
        outcome(everything, task),
        outcome(everything, task, right),
    ] == [1, 0, 1]


def test_no_call_is_wrong_where_one_is_expected(everything, all_tasks):
    for category in ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple"):
        task = of_category(all_tasks, category)[0]
        assert outcome(everything, task, says(content="It is 42.")) == 0.0
        assert outcome(everything, task) == 0.0


def test_irrelevance_is_right_exactly_without_a_call(everything, all_tasks):
    for category in ("irrelevance", "live_irrelevance"):
        for task in of_category(all_tasks, category)[:20]:
            assert outcome(everything, task, says(content="I cannot.")) == 1.0
            assert outcome(everything, task, says(ToolCall(name="f"))) == 0.0
            assert outcome(everything, task, says(ToolCall(name="f"), content="I cannot.")) == 0.0


def test_relevance_is_right_exactly_with_a_call(everything, all_tasks):
    for task in of_category(all_tasks, "live_relevance"):
        assert outcome(everything, task, says(content="I cannot.")) == 0.0
        assert outcome(everything, task, says(ToolCall(name="f", arguments={"x": 1}))) == 1.0


def test_unreadable_arguments_count_as_no_call(everything, all_tasks):
    # The official runner decodes all calls at once: one that does not decode takes the others with it.
    broken = says(ToolCall(name="f", arguments={}), ToolCall(name="g", arguments='{"x": '))
    assert outcome(everything, of_category(all_tasks, "live_relevance")[0], broken) == 0.0
    assert outcome(everything, of_category(all_tasks, "irrelevance")[0], broken) == 1.0


def test_a_reference_with_one_unreadable_call_is_wrong(everything, all_tasks):
    task = of_category(all_tasks, "parallel")[0]
    first, *rest = task.demonstration[0].tool_calls
    assert outcome(everything, task, says(ToolCall(name=first.name, arguments="{}"), *rest)) == 0.0


def test_calls_of_the_question_are_not_the_answer(everything, by_id):
    task = by_id["simple_python_0"]
    assert outcome(everything, task, Message(role="user", tool_calls=task.demonstration[0].tool_calls)) == 0.0


def test_parallel_calls_come_in_any_order(everything, all_tasks):
    for task in of_category(all_tasks, "parallel_multiple")[:40]:
        calls = task.demonstration[0].tool_calls
        assert outcome(everything, task, says(*reversed(calls))) == 1.0
        assert outcome(everything, task, says(*calls, calls[0])) == 0.0
        assert outcome(everything, task, says(*calls[1:])) == 0.0


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = [
    math.nan,
    math.inf,
    10**400,
    -(10**5000),
    "\ud800",
    "a" * 1_000_000,
    deep(50_000),
    {"a": deep(50_000)},
    [{"a": {}}] * 10_000,
    None,
    {1: 2},
    [None],
    "",
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_hostile_values_are_wrong_and_never_raise(everything, all_tasks, index):
    for category in ("simple_python", "multiple", "parallel", "live_simple", "live_multiple"):
        for task in of_category(all_tasks, category)[:60]:
            first, *rest = task.demonstration[0].tool_calls if task.demonstration else [ToolCall(name="f")]
            required = dict.fromkeys(first.arguments, HOSTILE[index])
            if required:
                assert (
                    outcome(everything, task, says(ToolCall(name=first.name, arguments=required), *rest))
                    == 0.0
                )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_output_gets_0_or_1(everything, all_tasks, data):
    task = data.draw(st.sampled_from(all_tasks))
    tools = everything.open(task).tools
    names = [*(tool.name for tool in tools), "", "nope"]
    parameters = sorted({"x"} | {name for tool in tools for name in tool.parameters.get("properties", {})})
    call = st.builds(
        ToolCall,
        name=st.sampled_from(names),
        arguments=st.dictionaries(st.sampled_from(parameters), json_values, max_size=4) | st.text(max_size=8),
    )
    calls = data.draw(st.lists(call, max_size=3))
    assert outcome(everything, task, says(*calls)) in (0.0, 1.0)
