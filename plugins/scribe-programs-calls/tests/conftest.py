"""Conversations in one line, and every program by name.

A turn is a str (the policy says it), a list of (name, arguments) (the policy calls), or a dict with the key
"result" or "user" (a tool or the user says it).
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from scribe_programs_calls.plugin import scribe_programs

from scribe_core.protocols import Program
from scribe_core.types import Message, Span, Subgoal, ToolCall, ToolSpec, Trajectory

CITY = {"type": "string", "description": "Name of the city."}
TOOLS = (
    ToolSpec(
        name="get_weather",
        description="Get the weather forecast of a city.",
        parameters={
            "type": "object",
            "properties": {
                "city": CITY,
                "days": {"type": "integer", "description": "How many days ahead."},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            },
            "required": ["city"],
        },
    ),
    ToolSpec(
        name="get_local_time",
        description="Get the current local time of a city.",
        parameters={"type": "object", "properties": {"city": CITY}, "required": ["city"]},
    ),
    ToolSpec(
        name="triangle_area",
        description="Calculate the area of a triangle.",
        parameters={
            "type": "object",
            "properties": {
                "base": {"type": "number", "description": "Length of the base."},
                "height": {"type": "number", "description": "Height of the triangle."},
            },
            "required": ["base", "height"],
        },
    ),
)


@pytest.fixture(scope="session")
def programs() -> dict[str, Program]:
    return {builder.name: builder().build() for builder in scribe_programs()}


@pytest.fixture
def subgoal() -> Callable[..., Subgoal]:
    """`subgoal(request, *turns, tools=...)`: the policy's last message and what answers it, or with `whole` all."""
    return _subgoal


@pytest.fixture
def answer(programs: dict[str, Program]) -> Callable[..., str]:
    """`answer(program, request, *turns, tools=...)`: what the program answers."""

    def ask(program: str, request: Any, *turns: Any, **options: Any) -> str:
        return programs[program](_subgoal(request, *turns, **options)).answer

    return ask


@pytest.fixture
def tool() -> Callable[..., ToolSpec]:
    """`tool(name, required, **properties)`: a tool spec."""

    def make(name: str, required: Sequence[str], description: str = "", **properties: Any) -> ToolSpec:
        parameters = {"type": "object", "properties": properties, "required": list(required)}
        return ToolSpec(name=name, description=description, parameters=parameters)

    return make


def _subgoal(request: str, *turns: Any, tools: Any = TOOLS, whole: bool = False, **fields: Any) -> Subgoal:
    messages = (Message(role="user", content=request), *map(_message, turns))
    acts = [index for index, message in enumerate(messages) if message.role == "assistant"]
    start = (acts[0] if whole else acts[-1]) if acts else len(messages)
    trajectory = Trajectory(id="t", messages=messages, tools=tuple(tools), **fields)
    return Subgoal(trajectory=trajectory, span=Span((start, 0), (len(messages), 0)))


def _message(turn: Any) -> Message:
    if isinstance(turn, Message):
        return turn
    if isinstance(turn, str):
        return Message(role="assistant", content=turn)
    if isinstance(turn, list):
        calls = tuple(
            ToolCall(name=name, arguments=given, id=f"c{i}") for i, (name, given) in enumerate(turn)
        )
        return Message(role="assistant", tool_calls=calls)
    if "user" in turn:
        return Message(role="user", content=turn["user"])
    return Message(role="tool", content=turn["result"], tool_call_id=turn.get("of", "c0"))
