"""Tools, environments and trackers that are wrong in one way each."""

from collections.abc import Mapping, Sequence
from typing import Any

from cases import cases

from scribe_core.errors import ConfigError, RunError
from scribe_core.testing import EnvironmentContract, ToolContract, TrackerContract
from scribe_core.tools import argument_problem, failure
from scribe_core.types import Message, Observation, Task, ToolSpec


class Weather:
    def __init__(self, fault: str) -> None:
        self.fault, self.busy = fault, False
        self.spec = ToolSpec(
            name="the weather" if fault == "bad_name" else "weather",
            parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        )

    async def call(self, arguments: Any) -> Any:
        if isinstance(arguments, str):
            return Observation(content="clear") if self.fault == "parses_anything" else failure("malformed")
        if argument_problem(arguments, self.accepted()) is not None:
            return (
                Observation(content="", is_error=True)
                if self.fault == "silent"
                else failure("wrong arguments")
            )
        if self.fault == "no_observation":
            return "clear"
        if self.fault == "used_once":
            self.fault = "always_wrong"
            return Observation(content="clear")
        return Observation(content="clear", is_error=self.fault == "always_wrong")

    def accepted(self) -> dict[str, Any]:
        faults: dict[str, dict[str, Any]] = {
            "any_argument": {"additionalProperties": True},
            "nothing_required": {"required": []},
            "any_type": {"properties": {"city": {}}},
        }
        return {**self.spec.parameters, **faults.get(self.fault, {})}


TOOL_FAULTS = "bad_name no_observation always_wrong used_once silent any_argument nothing_required any_type parses_anything"
globals().update(cases(ToolContract, Weather, TOOL_FAULTS.split(), arguments={"city": "Paris"}))


ANSWER = Message(role="assistant", content="4")


class Sums:
    def __init__(self, fault: str) -> None:
        self.fault = fault
        last = ANSWER if fault == "answered_already" else Message(role="user", content="2 + 2?")
        self.names = {"train": ["a", "b", "c", "d", "e", "f"], "validation": ["g"], "test": ["h"]}
        if fault == "shared_task":
            self.names["test"] = ["a"]
        self.all = {name: Task(id=name, messages=(last,), demonstration=(ANSWER,)) for name in "abcdefgh"}

    def tasks(self, split: str) -> Sequence[Task]:
        if split not in self.names:
            raise KeyError(split) if self.fault == "key_error" else ConfigError(f"no split {split!r}")
        names = self.names[split]
        if self.fault == "shuffled":
            names.reverse()
        return [self.all[name] for name in names]

    def open(self, task: Task) -> "Sum":
        return Sum(self.fault)


class Sum:
    def __init__(self, fault: str) -> None:
        self.fault, self.over = fault, False
        self.tools = [ToolSpec(name="add", parameters={"type": "object"})] * (
            2 if fault == "twin_tools" else 1
        )

    async def respond(self, message: Message) -> Sequence[Message]:
        if self.fault == "fragile":
            _ = [call.arguments["x"] for call in message.tool_calls]  # type: ignore[index]
        return ()

    async def outcome(self, messages: Sequence[Message]) -> float | None:
        if self.over and self.fault != "reusable":
            raise RunError("used already")
        self.over = True
        right = messages[-1].content == "4"
        faults = {"unfair": 0.5, "generous": 1.0, "negative": 1.0 if right else -1.0}
        return faults.get(self.fault, float(right))


ENVIRONMENT_FAULTS = (
    "shared_task shuffled key_error answered_already twin_tools reusable unfair generous negative fragile"
)
globals().update(cases(EnvironmentContract, Sums, ENVIRONMENT_FAULTS.split()))


class Tracks:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    def log(self, event: Mapping[str, Any]) -> None:
        if self.fault == "picky":
            _ = event["event"]
        if self.fault == "meddling":
            event["seen"] = True  # type: ignore[index]

    def close(self) -> None:
        if self.fault == "unclosable":
            raise OSError("closed already")


globals().update(cases(TrackerContract, Tracks, ["picky", "meddling", "unclosable"]))
