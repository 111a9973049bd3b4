"""Whether calls are among the acceptable ones, by the rules of the leaderboard's own AST checker.

The rules are those of `bfcl_eval.eval_checker.ast_eval.ast_checker` (bfcl-eval 2026.3.23) for Python,
peculiarities included, because scores are compared with the leaderboard's: an int passes for a float,
strings are compared without case, spaces and `,./-_*^`, a string may name a variable wherever the
acceptable answer is one, lists of dictionaries are compared in order, and calls in any order.
Where the official checker stops with an exception, nothing was accepted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from scribe_core.types import ToolCall

_TYPES: dict[str, type[Any]] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")
_STOPS_THE_OFFICIAL_CHECKER = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
)


def accepts(
    category: str,
    functions: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
    calls: Sequence[ToolCall],
) -> bool:
    """Whether `calls` are acceptable: as many as `answers`, each matched by one of them. Never raises.

    `functions` are the leaderboard's own docs: its type rules need its own type names.
    """
    if len(calls) != len(answers) or any(not isinstance(call.arguments, Mapping) for call in calls):
        return False
    try:
        if "parallel" in category:
            return _all_in_any_order(functions, answers, calls)
        name = next(iter(answers[0]))
        function = _described(functions, name) if "multiple" in category else functions[0]
        return _call(function, answers[0][name], calls[0])
    except _STOPS_THE_OFFICIAL_CHECKER:
        return False


def _described(functions: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for function in functions:
        if function["name"] == name:
            return function
    raise KeyError(name)


def _all_in_any_order(
    functions: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], calls: Sequence[ToolCall]
) -> bool:
    # Greedy like the official checker: the first call that fits an answer is taken by it for good.
    left = list(calls)
    for answer in answers:
        name = next(iter(answer))
        function = _described(functions, name)
        taken = next((i for i, call in enumerate(left) if _call(function, answer[name], call)), None)
        if taken is None:
            return False
        del left[taken]
    return True


def _call(function: Mapping[str, Any], expected: Mapping[str, Any], call: ToolCall) -> bool:
    declared, required = function["parameters"]["properties"], function["parameters"]["required"]
    given: Any = call.arguments
    if call.name != function["name"] or any(name not in given for name in required):
        return False
    for name, value in given.items():
        if (
            name not in declared
            or name not in expected
            or not _argument(declared[name], expected[name], value)
        ):
            return False
    return all(name in given or "" in values for name, values in expected.items())


def _argument(declared: Mapping[str, Any], acceptable: Sequence[Any], value: Any) -> bool:
    kind: type[Any] = _TYPES[declared["type"]]
    inner = _TYPES[declared["items"]["type"]] if declared["type"] in ("array", "tuple") else None
    if kind is float and type(value) is int:
        value = float(value)
    expected_type = _type_of(acceptable)
    if type(value) is kind:
        if inner is not None and not _items_have_type(value, inner, acceptable):
            return False
        is_variable = expected_type not in (None, kind)
    elif type(value) is expected_type:
        is_variable = True
    else:
        return False
    return value in acceptable if is_variable else _value(kind, inner, acceptable, value)


def _type_of(acceptable: Sequence[Any]) -> type | None:
    """The type of the first value that is not the mark of an optional parameter."""
    return next((type(value) for value in acceptable if value != ""), None)


def _items_have_type(items: Sequence[Any], inner: type, acceptable: Sequence[Any]) -> bool:
    for candidate in acceptable:
        if type(candidate) is not list:
            return True
        if all(type(item) is inner or type(item) is _type_of(candidate) for item in items):
            return True
    return False


def _value(kind: type, inner: type | None, acceptable: Sequence[Any], value: Any) -> bool:
    if kind is dict:
        return _dict(value, acceptable)
    if kind is list and inner is dict:
        return _list_of_dicts(value, acceptable)
    if kind is list:
        return _normalised(value) in [_normalised(candidate) for candidate in acceptable]
    if kind is str:
        return _plain(value) in [_plain(candidate) for candidate in acceptable if type(candidate) is str]
    return value in acceptable


def _dict(value: Mapping[str, Any], acceptable: Sequence[Any]) -> bool:
    return any(_dict_matches(value, candidate) for candidate in acceptable if candidate != "")


def _dict_matches(value: Mapping[str, Any], candidate: Mapping[str, Any]) -> bool:
    for key, item in value.items():
        if key not in candidate or _plain_if_text(item) not in _normalised(candidate[key]):
            return False
    return all(key in value or "" in items for key, items in candidate.items())


def _list_of_dicts(value: Sequence[Any], acceptable: Sequence[Any]) -> bool:
    for candidate in acceptable:
        if len(value) == len(candidate) and all(
            _dict(item, [wanted]) for item, wanted in zip(value, candidate, strict=True)
        ):
            return True
    return False


def _normalised(values: Sequence[Any]) -> list[Any]:
    return [_plain_if_text(values[i]) for i in range(len(values))]


def _plain_if_text(value: Any) -> Any:
    return _plain(value) if type(value) is str else value


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')
