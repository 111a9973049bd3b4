"""The corruptions of `contrib/benchmarks/pairs.py`: each makes its one mistake, and the copy is really wrong."""

import copy
import importlib
import json
import random
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from scribe_env_bfcl import BFCL
from scribe_env_bfcl.data import CATEGORIES, has_answers

from scribe_core.trajectories import parse_trajectory
from scribe_core.types import Message, Task, ToolCall, ToolSpec

BENCHMARKS = Path(__file__).parents[1] / "contrib" / "benchmarks"
KINDS = (
    "missing_argument",
    "wrong_function",
    "invented_parameter",
    "wrong_type",
    "dropped_call",
    "repeated_call",
    "value_of_same_request",
    "value_of_other_task",
)


@pytest.fixture(scope="module")
def scripts():
    """The two modules, as `python contrib/benchmarks/pairs.py` finds them."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("corruptions"), importlib.import_module("pairs")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("corruptions", "pairs"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def environment():
    return BFCL(categories=tuple(c for c in CATEGORIES if has_answers(c))).build()


@pytest.fixture(scope="module")
def cases(scripts, environment):
    return list(scripts[1].read_cases(environment, ("train", "validation", "test")))


@pytest.fixture(scope="module")
def by_kind(scripts, environment, cases):
    before = copy.deepcopy(cases)
    pairs = list(scripts[1].make_pairs(environment, cases, 60, 0))
    assert cases == before, "a corruption changed the case it was given"
    return {kind: [pair for pair in pairs if pair.kind == kind] for kind in KINDS}


def changed(pair):
    """The one call that differs: (reference, corrupted)."""
    assert len(pair.case.calls) == len(pair.corrupted)
    differing = [(a, b) for a, b in zip(pair.case.calls, pair.corrupted, strict=True) if a != b]
    assert len(differing) == 1
    return differing[0]


def schema_errors(pair, call):
    validator = Draft202012Validator(pair.case.tools[call.name].parameters)
    return {(tuple(error.path), error.validator) for error in validator.iter_errors(call.arguments)}


def leaf_changes(scripts, pair):
    before, after = (list(scripts[0].leaves(calls)) for calls in (pair.case.calls, pair.corrupted))
    assert [(leaf.call, leaf.path) for leaf in before] == [(leaf.call, leaf.path) for leaf in after]
    return [
        (a, b)
        for a, b in zip(before, after, strict=True)
        if (a.value, type(a.value)) != (b.value, type(b.value))
    ]


def test_every_kind_has_its_pairs_and_no_task_twice(by_kind):
    assert {kind: len(pairs) for kind, pairs in by_kind.items()} == dict.fromkeys(KINDS, 60)
    for pairs in by_kind.values():
        assert len({pair.id for pair in pairs}) == 60


def test_the_reference_is_right_and_the_copy_wrong(scripts, environment, by_kind):
    is_right = scripts[1].is_right
    for pair in (pair for pairs in by_kind.values() for pair in pairs):
        assert is_right(environment, pair.case, pair.case.calls) is True
        assert is_right(environment, pair.case, pair.corrupted) is False


def test_the_seed_decides(scripts, environment, cases, by_kind):
    def drawn(seed):
        return [(pair.id, pair.corrupted) for pair in scripts[1].make_pairs(environment, cases, 20, seed)]

    assert drawn(0) == [(p.id, p.corrupted) for pairs in by_kind.values() for p in pairs[:20]]
    assert drawn(0) != drawn(1)


def test_missing_argument(by_kind):
    for pair in by_kind["missing_argument"]:
        reference, corrupted = changed(pair)
        (missing,) = set(reference.arguments) - set(corrupted.arguments)
        assert missing in pair.case.tools[reference.name].parameters["required"]
        assert {**corrupted.arguments, missing: reference.arguments[missing]} == reference.arguments


def test_wrong_function(by_kind):
    offered = 0
    for pair in by_kind["wrong_function"]:
        reference, corrupted = changed(pair)
        assert corrupted.name != reference.name
        assert corrupted.arguments == reference.arguments
        assert (corrupted.name in pair.case.tools) is (len(pair.case.tools) > 1)
        offered += corrupted.name in pair.case.tools
    assert 0 < offered < 60


def test_invented_parameter(by_kind):
    for pair in by_kind["invented_parameter"]:
        reference, corrupted = changed(pair)
        (invented,) = set(corrupted.arguments) - set(reference.arguments)
        assert invented not in pair.case.tools[reference.name].parameters["properties"]
        assert {k: v for k, v in corrupted.arguments.items() if k != invented} == reference.arguments


def test_wrong_type(by_kind):
    for pair in by_kind["wrong_type"]:
        reference, corrupted = changed(pair)
        (name,) = [n for n in reference.arguments if reference.arguments[n] != corrupted.arguments[n]]
        assert ((name,), "type") in schema_errors(pair, corrupted)
        assert ((name,), "type") not in schema_errors(pair, reference)


def test_dropped_and_repeated_call(by_kind):
    for pair in by_kind["dropped_call"]:
        assert len(pair.corrupted) == len(pair.case.calls) - 1 >= 1
        assert all(call in pair.case.calls for call in pair.corrupted)
    for pair in by_kind["repeated_call"]:
        assert pair.corrupted[:-1] == pair.case.calls
        assert pair.case.calls.count(pair.corrupted[-1]) == 1


def test_values_change_in_one_place_and_keep_type_and_schema(scripts, by_kind):
    for kind in ("value_of_same_request", "value_of_other_task"):
        for pair in by_kind[kind]:
            ((before, after),) = leaf_changes(scripts, pair)
            assert scripts[0].kind_of(before.value) == scripts[0].kind_of(after.value)
            reference, corrupted = changed(pair)
            assert schema_errors(pair, corrupted) <= schema_errors(pair, reference)


def test_values_come_from_where_they_should(scripts, cases, by_kind):
    words = 0
    for pair in by_kind["value_of_same_request"]:
        ((_, after),) = leaf_changes(scripts, pair)
        elsewhere = [leaf.value for leaf in scripts[0].leaves(pair.case.calls)]
        written = pair.case.request.replace(",", "")
        assert after.value in elsewhere or str(after.value).replace(",", "") in written
        words += after.value not in elsewhere
    assert words > 0
    for pair in by_kind["value_of_other_task"]:
        ((_, after),) = leaf_changes(scripts, pair)
        owners = {
            c.task.id for c in cases for leaf in scripts[0].leaves(c.calls) if leaf.value == after.value
        }
        assert owners - {pair.case.task.id}


def test_what_is_scored_is_what_was_corrupted(scripts, by_kind):
    for pair in (pair for pairs in by_kind.values() for pair in pairs):
        trajectory = parse_trajectory(json.loads(scripts[1]._line(pair.id, pair.case, pair.corrupted)))
        *question, answer = trajectory.messages
        assert tuple(question) == pair.case.task.messages
        assert [(c.name, c.arguments) for c in answer.tool_calls] == [
            (c.name, c.arguments) for c in pair.corrupted
        ]
        assert (trajectory.id, trajectory.outcome) == (pair.id, None)
        assert trajectory.tools == tuple(pair.case.tools.values())


def one_call_case(scripts, *calls, request="Hello.", properties=None):
    parameters = {"type": "object", "properties": properties or {}, "required": []}
    task = Task(id="t", messages=(Message(role="user", content=request),))
    return scripts[0].Case(task=task, tools={"f": ToolSpec(name="f", parameters=parameters)}, calls=calls)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("wrong_function", "repeated_call")])
def test_none_where_a_corruption_does_not_apply(scripts, kind):
    corruptions = scripts[0]
    case = one_call_case(scripts, ToolCall(name="f", arguments={}))
    corrupt = {**corruptions.STRUCTURAL, **corruptions.VALUES}[kind]
    assert corrupt(case, random.Random(0), corruptions.Pool([case])) is None


def test_a_reference_that_repeats_itself_is_not_repeated_again(scripts):
    case = one_call_case(scripts, *[ToolCall(name="f", arguments={"x": 1})] * 2)
    assert scripts[0].repeated_call(case, random.Random(0), scripts[0].Pool([case])) is None


def test_a_value_that_the_schema_would_betray_is_no_value_corruption(scripts):
    unit = {"unit": {"type": "string", "enum": ["km", "miles"]}}
    case = one_call_case(
        scripts,
        ToolCall(name="f", arguments={"unit": "km"}),
        request="How far is it to Paris in km?",
        properties=unit,
    )
    pool = scripts[0].Pool([case])
    assert all(scripts[0].value_of_same_request(case, random.Random(s), pool) is None for s in range(20))


def test_what_a_request_mentions(scripts):
    text = "Fly Ana Lee from New York, 1,200 miles at 3.5 or -2. Then to X1 and I'd pay."
    assert scripts[0]._mentioned(text) == [1200, 3.5, -2, "Ana Lee", "New York"]


def test_figures_count_ties_and_missing_scores_as_losses(scripts):
    case = one_call_case(scripts, ToolCall(name="f"))
    pairs = [scripts[1].Pair(kind=f"k{i}", case=case, corrupted=()) for i in range(4)]
    results = {"t": {"process": 0.5}} | {
        f"t/k{i}": {"process": value} for i, value in enumerate((0.4, 0.5, 0.6, None))
    }
    figures = scripts[1].figures(pairs, results)
    assert {key: figures[key] for key in ("pairs", "wins", "rate", "ties", "unscored")} == {
        "pairs": 4,
        "wins": 1,
        "rate": 0.25,
        "ties": 1,
        "unscored": 1,
    }
    assert figures["interval"] == pytest.approx((0.0456, 0.6994), abs=1e-4)
    assert scripts[1].figures([], {})["rate"] is None
