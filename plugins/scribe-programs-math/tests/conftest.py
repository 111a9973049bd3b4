"""One policy message after a problem, and every program by name."""

from collections.abc import Callable
from typing import Any

import pytest
from scribe_programs_math.plugin import scribe_programs

from scribe_core.protocols import Program
from scribe_core.types import Finding, Message, Span, Subgoal, ToolCall, Trajectory


def subgoal_of(text: str, problem: str = "", *earlier: Message, calls: Any = ()) -> Subgoal:
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    messages = (
        Message(role="user", content=problem),
        *earlier,
        Message(role="assistant", content=text, tool_calls=made),
    )
    trajectory = Trajectory(id="t", messages=messages)
    return Subgoal(trajectory=trajectory, span=Span((len(messages) - 1, 0), (len(messages), 0)))


@pytest.fixture(scope="session")
def programs() -> dict[str, Program]:
    return {builder.name: builder().build() for builder in scribe_programs()}


@pytest.fixture
def find(programs: dict[str, Program]) -> Callable[..., Finding]:
    """`find(program, text, problem, *earlier messages)`: what the program finds in the policy's text."""

    def ask(program: str, *arguments: Any, **options: Any) -> Finding:
        return programs[program](subgoal_of(*arguments, **options))

    return ask
