"""What every tool keeps: whatever it is called with, it answers."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from scribe_core import aio
from scribe_core.protocols import Tool
from scribe_core.signatures import TOOL_NAME
from scribe_core.testing.contracts.builders import BuilderContract
from scribe_core.types import Observation


class ToolContract(BuilderContract):
    """Give `arguments`, which the tool accepts."""

    kind = "tools"
    arguments: ClassVar[Mapping[str, Any]]

    @pytest.fixture
    def tool(self, given: Any) -> Any:
        return given.build()

    def test_spec_can_be_told_to_a_model(self, tool: Tool) -> None:
        check_spec(tool.spec)
        assert TOOL_NAME.fullmatch(tool.spec.name), f"chat endpoints refuse the name {tool.spec.name!r}"

    def test_good_arguments_are_answered(self, tool: Tool) -> None:
        answer = call(tool, self.arguments)
        assert not answer.is_error, answer.content

    def test_unknown_arguments_are_an_error(self, tool: Tool) -> None:
        answer = call(tool, {**self.arguments, "no-such-argument": 1})
        assert answer.is_error
        assert answer.content, "tell the policy what was wrong"

    def test_a_missing_argument_is_an_error(self, tool: Tool) -> None:
        for name in tool.spec.parameters.get("required", ()):
            rest = {key: value for key, value in self.arguments.items() if key != name}
            assert call(tool, rest).is_error, f"without {name!r}"

    def test_what_the_spec_refuses_is_an_error(self, tool: Tool) -> None:
        for name, schema in tool.spec.parameters.get("properties", {}).items():
            for value in _odd_values():
                answer = call(tool, {**self.arguments, name: value})
                if _refused(schema, value):
                    assert answer.is_error, name

    def test_malformed_arguments_are_an_error(self, tool: Tool) -> None:
        malformed: Any = '{"cut off'
        assert call(tool, malformed).is_error

    def test_calls_can_run_together(self, tool: Tool) -> None:
        async def together() -> list[Observation]:
            return await asyncio.gather(*(tool.call(self.arguments) for _ in range(3)))

        assert [answer.is_error for answer in aio.run(together())] == [False] * 3


def call(tool: Tool, arguments: Mapping[str, Any]) -> Observation:
    """What the tool answers; fails where that is no observation."""
    answer = aio.run(_awaited(tool, arguments))
    assert isinstance(answer, Observation)
    assert isinstance(answer.content, str)
    return answer


async def _awaited(tool: Tool, arguments: Mapping[str, Any]) -> Observation:
    return await tool.call(arguments)


def check_spec(spec: Any) -> None:
    """Fails where a spec has no usable name, or parameters that are no JSON Schema."""
    from jsonschema import Draft202012Validator

    assert spec.name, "a tool needs a name"
    assert not any(character.isspace() for character in spec.name), f"{spec.name!r} is no name for a tool"
    Draft202012Validator.check_schema(dict(spec.parameters))
    json.dumps(dict(spec.parameters), allow_nan=False)


def _odd_values() -> Iterator[Any]:
    deep: Any = []
    for _ in range(2000):
        deep = [deep]
    yield from (
        None,
        True,
        -1,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "x" * 100_000,
        [],
        {},
        {"": [None]},
        deep,
    )


def _refused(schema: Any, value: Any) -> bool:
    from jsonschema import Draft202012Validator

    try:
        return not Draft202012Validator(schema).is_valid(value)
    except RecursionError:
        # The message of the refusal cannot name a value that is nested so deeply.
        return True
