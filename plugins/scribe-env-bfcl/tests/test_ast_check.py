"""Our AST check against the official one, which is loaded from the wheel for this test alone."""

import copy
import importlib
import math
import random
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace

import pytest
from scribe_env_bfcl.ast_check import accepts
from scribe_env_bfcl.data import has_answers
from scribe_env_bfcl.reference import demonstration

from scribe_core.types import ToolCall

_ABSENT = {
    # The official checker asks it one thing: whether the model's API forbids dots in names.
    "bfcl_eval.constants.model_config": {
        "MODEL_CONFIG_MAPPING": {"m": SimpleNamespace(underscore_to_dot=False)}
    },
    "bfcl_eval.eval_checker.ast_eval.type_convertor.java_type_converter": {"java_type_converter": None},
    "bfcl_eval.eval_checker.ast_eval.type_convertor.js_type_converter": {"js_type_converter": None},
}


@pytest.fixture(scope="module")
def official():
    """The official verdict on (category, functions, answers, calls): where it stops, nothing was accepted."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "bfcl_eval"}
    for name in before:
        del sys.modules[name]
    try:
        for name, members in _ABSENT.items():
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(members)
        checker = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
        language = importlib.import_module("bfcl_eval.constants.enums").Language.PYTHON
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "bfcl_eval"]:
            del sys.modules[name]
        sys.modules.update(before)

    def verdict(entry, calls):
        output = [{call.name: call.arguments} for call in calls]
        functions, answers = list(entry.functions), list(entry.answers)
        try:
            return checker.ast_checker(functions, output, answers, language, entry.category, "m")["valid"]
        except Exception as error:
            return type(error).__name__

    return verdict


@pytest.fixture(scope="module")
def references(all_entries):
    """Entries with a reference that is accepted, and its calls."""
    pairs = [(entry, demonstration(entry)) for entry in all_entries if has_answers(entry.category)]
    return [(entry, list(message[0].tool_calls)) for entry, message in pairs if message]


def ours(entry, calls):
    return accepts(entry.category, entry.functions, entry.answers, calls)


def test_all_references_are_accepted_by_both(references, official):
    assert len(references) == 2351 - 4
    assert [entry.id for entry, calls in references if official(entry, calls) is not True] == []
    assert [entry.id for entry, calls in references if not ours(entry, calls)] == []


def test_mutated_references_are_judged_alike(references, official):
    rng = random.Random(7)
    verdicts = Counter()
    for entry, calls in references:
        for _ in range(5):
            mutant = mutated(rng, entry, calls)
            theirs = official(entry, mutant)
            assert (entry.id, mutant, ours(entry, mutant)) == (entry.id, mutant, theirs is True)
            verdicts[theirs] += 1
    assert sum(verdicts.values()) > 10_000
    assert verdicts[True] > 1_000
    assert verdicts[False] > 1_000
    assert sum(n for verdict, n in verdicts.items() if isinstance(verdict, str)) > 0, "it also stops on some"


@pytest.mark.parametrize(
    ("entry_id", "name", "value", "error"),
    [
        ("simple_python_28", "acceleration", 10**400, "OverflowError"),
        ("simple_python_96", "conditions", [], None),
        ("parallel_multiple_12", "permeability", 0.1, None),
    ],
)
def test_where_the_official_checker_stops_nothing_is_accepted(
    references, official, entry_id, name, value, error
):
    entry, (first, *rest) = next(pair for pair in references if pair[0].id == entry_id)
    calls = [ToolCall(name=first.name, arguments={**first.arguments, name: value}), *rest]
    assert official(entry, calls) == (error or False)
    assert ours(entry, calls) is False


def test_one_call_for_another_entry_is_judged_alike(references, official):
    rng = random.Random(8)
    for entry, _ in references:
        _, calls = rng.choice(references)
        assert ours(entry, calls) is (official(entry, calls) is True)


def mutated(rng, entry, calls):
    """One or two random changes to a right answer: some stay right, some become wrong."""
    calls = copy.deepcopy(calls)
    for _ in range(rng.choice((1, 1, 2))):
        rng.choice((_drop, _repeat, _shuffle, _rename, *[_argument] * 8, _leave_out, _leave_out, _add))(
            rng, entry, calls
        )
    return calls


def _drop(rng, entry, calls):
    if calls:
        calls.pop(rng.randrange(len(calls)))


def _repeat(rng, entry, calls):
    if calls:
        calls.append(rng.choice(calls))


def _shuffle(rng, entry, calls):
    rng.shuffle(calls)


def _rename(rng, entry, calls):
    _change(
        rng, calls, lambda call: (rng.choice(entry.functions)["name"] + rng.choice(("", "_")), call.arguments)
    )


def _leave_out(rng, entry, calls):
    def change(call):
        kept = dict(call.arguments)
        if kept:
            kept.pop(rng.choice(list(kept)))
        return call.name, kept

    _change(rng, calls, change)


def _add(rng, entry, calls):
    # A declared parameter with one of its acceptable values, or one that nobody declared.
    def change(call):
        answer = next((a[call.name] for a in entry.answers if call.name in a), {})
        name, values = rng.choice([*answer.items(), ("made_up", [1])])
        return call.name, {**call.arguments, name: copy.deepcopy(rng.choice(values)) if values else None}

    _change(rng, calls, change)


def _argument(rng, entry, calls):
    def change(call):
        arguments = dict(call.arguments)
        if arguments:
            name = rng.choice(list(arguments))
            arguments[name] = _value(rng, arguments[name])
        return call.name, arguments

    _change(rng, calls, change)


def _change(rng, calls, change):
    if calls:
        index = rng.randrange(len(calls))
        name, arguments = change(calls[index])
        calls[index] = ToolCall(name=name, arguments=arguments)


def _value(rng, value):
    if isinstance(value, dict) and value and rng.random() < 0.7:
        key = rng.choice(list(value))
        kept = {k: v for k, v in value.items() if k != key}
        return rng.choice((kept, {**kept, key: _value(rng, value[key])}, {**value, "made_up": 1}))
    if isinstance(value, list) and value and rng.random() < 0.7:
        index = rng.randrange(len(value))
        changed = [*value[:index], _value(rng, value[index]), *value[index + 1 :]]
        return rng.choice((changed, changed, value[:-1], [*value, value[0]], value[::-1], value[0]))
    if isinstance(value, str) and rng.random() < 0.7:
        return rng.choice(
            (value.upper(), value.replace(" ", ""), f"{value}.", value.replace("'", '"'), value[:-1])
        )
    if isinstance(value, (int, float)) and abs(value) < 1e300 and rng.random() < 0.7:
        return rng.choice((float(value), int(value), value + 1, -value, str(value), bool(value)))
    odd = (
        "",
        None,
        True,
        0,
        1.5,
        math.nan,
        math.inf,
        10**400,
        [],
        {},
        [[]],
        [{}],
        [value],
        {"a": value},
        "x",
        "dontcare",
    )
    return rng.choice(odd)
