"""A plugin with nothing wrong: a program that reads a span, and an environment."""

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from scribe_core import hookimpl
from scribe_core.builders import program
from scribe_core.errors import ConfigError
from scribe_core.spans import span_text
from scribe_core.types import Finding, Message, Subgoal, Task


def polite(subgoal: Subgoal) -> Finding:
    """Whether the span says please."""
    return Finding(answer="pass" if "please" in span_text(subgoal) else "fail")


@frozen
class Greeting:
    """A session that ends after one message, with 1 for a greeting."""

    broken: bool
    tools: tuple[()] = ()

    async def respond(self, message: Message) -> Sequence[Message]:
        return ()

    async def outcome(self, messages: Sequence[Message]) -> float | None:
        if self.broken:
            raise TimeoutError("the greeter is away")
        return float("hello" in messages[-1].content)


@frozen
class Greetings:
    """Tasks that ask for a greeting."""

    name: ClassVar[str] = "greetings"
    count: int = 3
    """Tasks
    of a split."""
    broken: bool = False

    def build(self) -> "Greetings":
        return self

    def tasks(self, split: str) -> Sequence[Task]:
        if split not in ("train", "validation"):
            raise ConfigError(f"environment 'greetings' has no split {split!r} (choices: train, validation)")
        message = Message(role="user", content="Say hello.")
        return [Task(id=f"{split}-{number}", messages=(message,)) for number in range(self.count)]

    def open(self, task: Task) -> Greeting:
        return Greeting(self.broken)


@hookimpl
def scribe_programs():
    yield program(polite)


@hookimpl
def scribe_environments():
    yield Greetings
