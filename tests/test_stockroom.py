"""The stockroom: its plans succeed, guessing does not, and a task depends on nothing but its id."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from attrs import evolve

from scribe_core import aio
from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.builtin.stockroom.warehouse import Refused, Warehouse, World
from scribe_core.config import Config
from scribe_core.errors import ConfigError, RunError
from scribe_core.evaluation import evaluate, held_out
from scribe_core.settings import EvaluationSettings, RolloutSettings
from scribe_core.types import Completion, Message, Task, ToolCall

SPLITS = ("train", "validation", "test")
STOCKROOM = Stockroom(size=10**9).build()

WORLD = World(
    names={"B100": "long steel bolt", "K417": "steel bolt"},
    offers={"B100": {"Abbot": 3}, "K417": {"Abbot": 9, "Orson": 4}},
    units={"B100": {"north": 1, "south": 2}, "K417": {"north": 5, "south": 12}},
    renamed={"A200": "K417", "iron bolt": "steel bolt"},
    sold_out=frozenset({("K417", "Orson")}),
)

Say = Callable[[Sequence[Message]], Message]


@pytest.fixture(scope="module")
def many() -> list[Task]:
    return [task for split in SPLITS for task in STOCKROOM.tasks(split)[:720]]


@pytest.fixture(scope="module")
def hard(many: list[Task]) -> list[Task]:
    """Those of difficulty 2 and more."""
    return [task for task in many if task.metadata["difficulty"] >= 2][:600]


async def play(task: Task, say: Say, turns: int = 8) -> tuple[list[Message], float]:
    session, messages = STOCKROOM.open(task), list(task.messages)
    for _ in range(turns):
        messages.append(say(messages))
        follow = await session.respond(messages[-1])
        if not follow:
            break
        messages += follow
    return messages, await session.outcome(messages)


def success(tasks: Sequence[Task], say: Say) -> float:
    async def all_played() -> list[float]:
        return [(await play(task, say))[1] for task in tasks]

    return sum(aio.run(all_played())) / len(tasks)


def scripted(script: Sequence[Message]) -> Say:
    own = [message for message in script if message.role == "assistant"]
    return lambda messages: own[sum(message.role == "assistant" for message in messages)]


def outcome(task: Task, script: Sequence[Message]) -> float:
    return aio.run(play(task, scripted([*script, Message(role="assistant", content="?")])))[1]


def make(tool: str, **arguments: Any) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(name=tool, arguments=arguments, id="c"),))


class TestTheReferencePlan:
    def test_always_succeeds(self, many):
        async def all_played() -> None:
            for task in many:
                messages, reached = await play(task, scripted(task.demonstration))
                assert reached == 1.0, task.id
                assert tuple(messages[1:]) == task.demonstration, task.id

        aio.run(all_played())
        assert {task.metadata["difficulty"] for task in many} == {1, 2, 3, 4, 5, 6}

    def test_is_as_long_as_the_task_is_difficult(self, many):
        for task in many:
            acts = [message for message in task.demonstration if message.tool_calls]
            assert len(acts) == task.metadata["difficulty"], task.id
            assert sum(len(act.tool_calls) for act in acts) == task.metadata["plan_length"]

    def test_says_nothing_that_it_cannot_know(self, many):
        """Every value of a call stands in the request or in a result."""
        for task in many:
            known = words(task.messages[0].content)
            for message in task.demonstration:
                for call in message.tool_calls:
                    said = words(" ".join(str(v) for k, v in call.arguments.items() if k != "operator"))
                    assert said <= known, (task.id, said - known)
                known |= words(message.content) if message.role == "tool" else set()

    def test_each_level_needs_the_one_before(self, many):
        for task in many:
            for before, after in pairwise(levels(task)):
                results = " ".join(message.content for message in before if message.role == "tool")
                values = {str(v) for call in after[0].tool_calls for v in call.arguments.values()}
                after_order = "ordered " in results
                assert (
                    values & set(re.findall(r"[\w ]+(?=\")|\w+", results))
                    or after_order
                    or "Error" in results
                )


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def levels(task: Task) -> list[list[Message]]:
    """Each message with calls, and its results."""
    found: list[list[Message]] = []
    for message in task.demonstration[:-1]:
        found.append([message]) if message.tool_calls else found[-1].append(message)
    return found


class TestTasks:
    def test_are_made_on_demand(self):
        tasks = STOCKROOM.tasks("train")
        assert len(tasks) == 10**9
        assert tasks[987_654_321] == tasks[-(10**9 - 987_654_321)]
        assert list(tasks[10:20:5]) == [tasks[10], tasks[15]]
        with pytest.raises(IndexError):
            tasks[10**9]

    def test_of_a_small_stockroom_begin_a_large_one(self):
        assert list(Stockroom(size=7).build().tasks("test")) == list(STOCKROOM.tasks("test")[:7])

    def test_of_two_splits_never_ask_the_same(self):
        asked = {split: {t.messages[0].content for t in STOCKROOM.tasks(split)[:720]} for split in SPLITS}
        assert sum(map(len, asked.values())) == len(set().union(*asked.values())) >= 0.99 * 3 * 720

    def test_go_through_the_range_of_difficulties(self):
        tasks = Stockroom(size=9, easiest=3, hardest=5).build().tasks("train")
        assert [task.metadata["difficulty"] for task in tasks] == [3, 4, 5] * 3

    def test_differ_by_seed(self):
        other = Stockroom(seed=1).build().tasks("train")[:50]
        requests = {task.messages[0].content for task in STOCKROOM.tasks("train")[:50]}
        assert requests.isdisjoint(task.messages[0].content for task in other)

    def test_vary(self, many):
        shapes = Counter(re.sub(r"\d+", "0", task.messages[0].content) for task in many)
        assert len(shapes) > 0.9 * len(many)

    def test_say_nothing_of_their_difficulty(self, many):
        for task in many[:200]:
            shown = [*task.messages, *task.demonstration]
            assert not any("difficult" in m.content or "plan" in words(m.content) for m in shown)

    def test_foreign_ones_are_refused(self):
        for name in ("simple_python_0", "stockroom-0-train-1-7", "stockroom-0-dev-1-1", ""):
            with pytest.raises(ConfigError, match="has no task"):
                STOCKROOM.open(Task(id=name, messages=()))

    @pytest.mark.parametrize(
        "options", [{"size": 0}, {"easiest": 0}, {"hardest": 7}, {"easiest": 4, "hardest": 3}, {"level": 3}]
    )
    def test_wrong_options_are_config_errors(self, options):
        with pytest.raises(ConfigError, match="environment"):
            Config.from_table({"environment": {"use": "stockroom", **options}}).environment.build()


class TestOutcome:
    def test_no_plan_that_stops_early_succeeds(self, hard):
        for task in hard[:60]:
            acts = [message for message in task.demonstration if message.role == "assistant"]
            assert outcome(task, acts[:-2]) == 0, task.id

    def test_a_plan_with_another_quantity_fails(self, hard):
        assert not any(
            outcome(task, changed(task, "quantity", lambda n: n + 1)) for task in hard[:60] if acting(task)
        )

    def test_a_surplus_order_fails(self, hard):
        for task in hard[:60]:
            offers = Warehouse(STOCKROOM.open(task)._puzzle.world)
            item = next(iter(offers._world.names))
            extra = make("order", item=item, supplier=next(iter(offers.offers(item))), quantity=1)
            assert outcome(task, [extra, *task.demonstration]) == 0

    def test_an_order_in_two_parts_is_the_same_order(self, hard):
        task = next(
            task for task in hard if any(c.name == "order" for m in task.demonstration for c in m.tool_calls)
        )
        acts = [message for message in task.demonstration if message.role == "assistant"]
        place = max(i for i, m in enumerate(acts) if any(c.name == "order" for c in m.tool_calls))
        (call,) = acts[place].tool_calls
        rest = {**call.arguments, "quantity": call.arguments["quantity"] - 1}
        parts = [make("order", **{**rest, "quantity": 1}), make("order", **rest)]
        assert outcome(task, [*acts[:place], *parts, *acts[place + 1 :]]) == 1

    @pytest.mark.parametrize("form", ["{}", " {}.\n", "{} euros", "{}€"])
    def test_a_number_may_be_written_in_several_ways(self, hard, form):
        task = asking(hard)
        assert outcome(task, answered(task, form.format(task.demonstration[-1].content))) == 1

    @pytest.mark.parametrize("form", ["", "{}0", "1 {}", "-{}", "{}{}", "It is {}, or 5.", "<tool_call>{}"])
    def test_anything_else_is_another_answer(self, hard, form):
        task = asking(hard)
        number = task.demonstration[-1].content
        assert outcome(task, answered(task, form.format(number, number))) == 0

    def test_a_session_is_over_after_its_outcome(self, many):
        session = STOCKROOM.open(many[0])
        aio.run(session.outcome(()))
        with pytest.raises(RunError, match="is over"):
            aio.run(session.respond(Message(role="assistant")))


def acting(task: Task) -> bool:
    return any(call.name in ("order", "transfer") for m in task.demonstration for call in m.tool_calls)


def asking(tasks: Sequence[Task]) -> Task:
    return next(task for task in tasks if task.demonstration[-1].content.isdigit())


def answered(task: Task, text: str) -> list[Message]:
    return [*task.demonstration[:-1], Message(role="assistant", content=text)]


def changed(task: Task, argument: str, change: Callable[[Any], Any]) -> list[Message]:
    """The plan with another value of an argument wherever it is given."""

    def call(each: ToolCall) -> ToolCall:
        given = dict(each.arguments)
        return evolve(
            each, arguments=given | ({argument: change(given[argument])} if argument in given else {})
        )

    return [
        evolve(message, tool_calls=tuple(map(call, message.tool_calls))) for message in task.demonstration
    ]


class TestGuessing:
    """Policies that do not reason, on tasks of difficulty 2 and more."""

    def test_doing_nothing_fails(self, hard):
        assert success(hard, lambda _: Message(role="assistant", content="Done.")) == 0

    def test_answering_with_a_number_of_the_request_fails(self, hard):
        assert (
            success(hard, lambda messages: Message(role="assistant", content=first_number(messages[0])))
            < 0.01
        )

    def test_taking_the_first_of_every_list_fails(self, hard):
        assert success(hard, take_the_first) < 0.05

    def test_calling_at_random_fails(self, hard):
        assert success(hard, at_random(Random(0))) < 0.05


def first_number(message: Message) -> str:
    found = re.search(r"\b\d+\b", message.content)
    return found[0] if found else "10"


def take_the_first(messages: Sequence[Message]) -> Message:
    """Knows what to call and in which order, and reads lists no further than their first entry."""
    request = messages[0].content
    seen = {m.name: m.content for m in messages if m.role == "tool" and not m.content.startswith("Error")}
    made = {call.name for message in messages for call in message.tool_calls}
    code = re.search(r"\b[A-Z]\d{3}\b", request)
    item = code[0] if code else next(iter(json.loads(seen["find"]).values())) if "find" in seen else None
    if item is None:
        name = re.search(r"(?:of|more) ([a-z]+ [a-z]+)", request)
        return make("find", name=name[1] if name and "find" not in made else "bolt")
    for lookup in ("stock", "offers"):
        if lookup not in made:
            return make(lookup, item=item)
    if "stock" not in seen or made & {"order", "transfer"}:
        return Message(
            role="assistant", content=first_number(Message(role="tool", content=seen.get("stock", "")))
        )
    quantity = int(first_number(messages[0]))
    if re.match(r"(?:Please )?(?:order|buy)", request, re.I):
        return make("order", item=item, supplier=next(iter(json.loads(seen["offers"]))), quantity=quantity)
    if re.match(r"(?:Please )?(?:move|transfer)", request, re.I):
        stores = [*re.findall(r"the (\w+) store", request), *json.loads(seen["stock"])]
        return make("transfer", item=item, source=stores[0], target=stores[1], quantity=quantity)
    return Message(role="assistant", content=first_number(Message(role="tool", content=seen["stock"])))


def at_random(rng: Random) -> Say:
    """Calls a tool that fits what it has seen with values that it has seen."""

    def say(messages: Sequence[Message]) -> Message:
        text = " ".join(message.content for message in messages)
        codes, numbers = re.findall(r"\b[A-Z]\d{3}\b", text), [int(n) for n in re.findall(r"\b\d+\b", text)]
        names, lower = re.findall(r"\b[A-Z][a-z]+\b", text), re.findall(r"\b[a-z]{3,}\b", text)
        pick = lambda values, other: rng.choice(values) if values else other  # noqa: E731
        item, amount = pick(codes, "?"), pick(numbers, 10)
        return rng.choice(
            (
                make("find", name=" ".join(rng.sample(lower, 1))),
                make("stock", item=item),
                make("offers", item=item),
                make("order", item=item, supplier=pick(names, "?"), quantity=amount),
                make(
                    "transfer", item=item, source=rng.choice(lower), target=rng.choice(lower), quantity=amount
                ),
                make("calculate", a=amount, operator=rng.choice("+-*/"), b=pick(numbers, 2)),
                Message(role="assistant", content=str(amount)),
            )
        )

    return say


class Demonstrator:
    """Says what the plan says, up to a difficulty; then nothing."""

    def __init__(self, tasks: Sequence[Task], up_to: int) -> None:
        self._plans = {
            t.messages[0].content: t.demonstration for t in tasks if t.metadata["difficulty"] <= up_to
        }

    def generate(self, conversations, sampling, seeds):
        return [Completion(message=self._next(each.messages)) for each in conversations]

    def _next(self, messages):
        plan = self._plans.get(messages[0].content)
        return scripted(plan)(messages) if plan else Message(role="assistant", content="?")


class TestEvaluation:
    def test_the_outcome_is_told_apart_by_difficulty(self):
        environment = Stockroom(size=24).build()
        policy = Demonstrator(environment.tasks("test"), up_to=4)
        settings = EvaluationSettings(split="test", by="difficulty")
        summary = evaluate(policy, environment, None, settings, RolloutSettings()).summary()
        assert summary["outcome_by"] == {"1": 1.0, "2": 1.0, "3": 1.0, "4": 1.0, "5": 0.0, "6": 0.0}
        assert list(summary["outcome_by"]) == ["1", "2", "3", "4", "5", "6"]

    def test_it_is_not_without_being_asked(self):
        environment = Stockroom(size=2).build()
        policy = Demonstrator((), up_to=0)
        found = evaluate(policy, environment, None, EvaluationSettings(split="test"), RolloutSettings())
        assert found.summary()["outcome_by"] == {}

    def test_a_key_that_no_task_has_is_a_config_error(self):
        with pytest.raises(ConfigError, match=r"evaluation.by: .*did you mean 'difficulty'"):
            held_out(Stockroom(size=2).build(), EvaluationSettings(by="difficultly"))


class TestWarehouse:
    @pytest.mark.parametrize(
        ("tool", "arguments", "result"),
        [
            ("find", {"name": "Steel  BOLT"}, {"long steel bolt": "B100", "steel bolt": "K417"}),
            ("find", {"name": "long"}, {"long steel bolt": "B100"}),
            ("stock", {"item": "K417"}, {"north": 5, "south": 12}),
            ("offers", {"item": "B100"}, {"Abbot": 3}),
            (
                "order",
                {"item": "K417", "supplier": "Abbot", "quantity": 2},
                "ordered 2 units of K417 from Abbot",
            ),
            ("calculate", {"a": 17, "operator": "/", "b": 5}, 3),
            ("calculate", {"a": 17, "operator": "-", "b": 20}, -3),
        ],
    )
    def test_a_tool_does_what_it_says(self, tool, arguments, result):
        assert getattr(Warehouse(WORLD), tool)(**arguments) == result

    @pytest.mark.parametrize(
        ("tool", "arguments", "why"),
        [
            ("find", {"name": ""}, "no item is called"),
            ("find", {"name": "x" * 10_000}, "no item is called"),
            ("find", {"name": "Iron Bolt"}, "is called steel bolt now"),
            ("stock", {"item": "A200"}, "has the code K417 now"),
            ("offers", {"item": "steel bolt"}, "no item with the code 'steel bolt'; find gives codes"),
            ("order", {"item": "K417", "supplier": "Orson", "quantity": 1}, "sold out"),
            ("order", {"item": "K417", "supplier": "Nobody", "quantity": 1}, "no supplier 'Nobody'"),
            ("order", {"item": "K417", "supplier": "Abbot", "quantity": 0}, "has to be positive"),
            ("order", {"item": "K417", "supplier": "Abbot", "quantity": 10**30}, "too large"),
            (
                "transfer",
                {"item": "K417", "source": "north", "target": "south", "quantity": 6},
                "holds only 5",
            ),
            (
                "transfer",
                {"item": "K417", "source": "north", "target": "moon", "quantity": 1},
                "no store 'moon'",
            ),
            ("transfer", {"item": "K417", "source": "north", "target": "south", "quantity": -1}, "positive"),
            ("calculate", {"a": 1, "operator": "/", "b": 0}, "divided by 0"),
            ("calculate", {"a": 10**4000, "operator": "*", "b": 1}, "too large"),
        ],
    )
    def test_a_refusal_says_why_and_changes_nothing(self, tool, arguments, why):
        warehouse = Warehouse(WORLD)
        with pytest.raises(Refused, match=re.escape(why)):
            getattr(warehouse, tool)(**arguments)
        assert warehouse.state == Warehouse(WORLD).state

    def test_units_are_moved_not_made(self):
        warehouse = Warehouse(WORLD)
        warehouse.transfer("K417", "north", "south", 5)
        assert warehouse.stock("K417") == {"north": 0, "south": 17}
        warehouse.transfer("K417", "south", "south", 17)
        assert warehouse.stock("K417") == {"north": 0, "south": 17}
        assert Warehouse(WORLD).stock("K417") == {"north": 5, "south": 12}

    def test_its_tools_are_short_to_tell(self, many):
        tools = STOCKROOM.open(many[0]).tools
        assert sum(len(json.dumps([t.name, t.description, t.parameters])) for t in tools) < 1500
