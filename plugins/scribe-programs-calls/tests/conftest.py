"""A way to write a conversation in one line, and every program by name."""

from collections.abc import Callable
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

Judge = Callable[..., str]


@pytest.fixture(scope="session")
def programs() -> dict[str, Program]:
    return {builder.name: builder().build() for builder in scribe_programs()}


@pytest.fixture
def answer(programs: dict[str, Program]) -> Judge:
    """`answer(program, request, *turns, tools=...)`: its answer about what follows the request."""

    def ask(program: str, request: str | list[Message], *turns: Message, tools: Any = TOOLS) -> str:
        return programs[program](conversation(request, *turns, tools=tools)).answer

    return ask


def conversation(
    request: str | list[Message], *turns: Message, tools: Any = TOOLS, last: bool = True, **fields: Any
) -> Subgoal:
    """A trajectory, and as subgoal its last assistant message with what answers it, or all after the request."""
    opening = [Message(role="user", content=request)] if isinstance(request, str) else request
    messages = (*opening, *turns)
    acts = [index for index, message in enumerate(messages) if message.role == "assistant"]
    start = (acts[-1] if last else acts[0]) if acts else len(messages)
    trajectory = Trajectory(id="t", messages=messages, tools=tuple(tools), **fields)
    return Subgoal(trajectory=trajectory, span=Span((start, 0), (len(messages), 0)))


def calling(*calls: tuple[str, Any], content: str = "") -> Message:
    """An assistant message with calls, each a name and its arguments."""
    made = tuple(ToolCall(name=name, arguments=given, id=f"c{i}") for i, (name, given) in enumerate(calls))
    return Message(role="assistant", content=content, tool_calls=made)


def saying(content: str) -> Message:
    return Message(role="assistant", content=content)


def result(content: str, of: str = "c0", **extra: Any) -> Message:
    return Message(role="tool", content=content, tool_call_id=of, extra=extra)
