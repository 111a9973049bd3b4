"""The environment `functions`: plain Python functions as tools, a list of prompts, and a reward function."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import gt

from scribe_core import aio
from scribe_core.builtin.prompts import read_prompts
from scribe_core.errors import ConfigError, RunError, suggest
from scribe_core.options import reference, shown
from scribe_core.protocols import Tool
from scribe_core.references import resolve
from scribe_core.tools import TIMEOUT, as_tool, by_name, call_function, call_tools, described
from scribe_core.types import Message, Task, ToolSpec

Score = float | bool | None
Reward = Callable[..., Score | Awaitable[Score]]

REWARD_ARGUMENTS = ("completion", "messages", "prompt", "task", "metadata")
"""What a reward function may ask for by parameter name, besides the keys of a task's metadata."""


def _as_tuple(values: str | Sequence[Any]) -> Any:
    return values if isinstance(values, str) else tuple(values)


@frozen(kw_only=True)
class FunctionEnvironment:
    """Plain Python functions as tools, a list of prompts, and a reward function.

    `prompts` and `reward` are "module:attribute" references; prompts may also be a .jsonl or .txt file, or stand
    in the config. Python users pass the objects themselves. A prompt is a text, or a table with `prompt` or
    `messages` and optionally `id`, `split`, `demonstration` (a text or messages) and `metadata`; other keys join
    the metadata. Without splits, 80 % are for training, 10 % for validation and 10 % for testing, by hash of id.

    The reward function asks by parameter name for what it needs: completion (the final assistant text),
    messages, prompt (the last user text), task, metadata, or any key of the metadata. It is plain or async, and
    returns a number in [0, 1], a bool, or None where success cannot be known. Plain functions run in threads,
    several at a time.
    """

    name: ClassVar[str] = "functions"

    prompts: str | tuple[str, ...] | tuple[Mapping[str, Any], ...] = field(converter=_as_tuple)
    reward: str | Reward
    tools: tuple[str | Callable[..., Any] | Tool, ...] = field(default=(), converter=_as_tuple)
    tool_timeout: float = field(default=TIMEOUT, validator=gt(0))
    """Seconds after which a call is answered with an error."""

    def build(self) -> "Functions":
        """Reads the prompts and imports the functions.

        Raises ConfigError for a reference, a tool or a reward function that is wrong, DataError for a prompt.
        """
        splits = read_prompts(self.prompts)
        reward = resolve(self.reward, "reward") if isinstance(self.reward, str) else self.reward
        tools = [
            as_tool(resolve(tool, f"tools[{index}]") if isinstance(tool, str) else tool)
            for index, tool in enumerate(self.tools)
        ]
        for tasks in splits.values():
            for task in tasks:
                check_reward(reward, task)
        return Functions(splits, reward, by_name(tools), self.tool_timeout)


@frozen
class Functions:
    """The environment that `FunctionEnvironment` builds."""

    splits: Mapping[str, tuple[Task, ...]]
    reward: Reward
    tools: Mapping[str, Tool]
    tool_timeout: float

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of a split, in the order of the prompts. Raises ConfigError for an unknown split."""
        if split not in self.splits:
            raise ConfigError(f"environment 'functions' has no split {split!r}{suggest(split, self.splits)}")
        return self.splits[split]

    def open(self, task: Task) -> "FunctionSession":
        return FunctionSession(self, task)


class FunctionSession:
    """One episode: tool calls are answered, anything else ends it. Used once."""

    def __init__(self, environment: Functions, task: Task) -> None:
        self._environment = environment
        self._task = task
        self._over = False

    @property
    def tools(self) -> Sequence[ToolSpec]:
        return tuple(tool.spec for tool in self._environment.tools.values())

    async def respond(self, message: Message) -> Sequence[Message]:
        """The results of the message's calls; nothing where it makes none."""
        self._check_open()
        return await call_tools(self._environment.tools, message.tool_calls, self._environment.tool_timeout)

    async def outcome(self, messages: Sequence[Message]) -> float | None:
        """What the reward function says of the finished conversation.

        A RunError means that the reward function is broken: stop the run and fix it. Scoring the episode 0, or
        leaving it out, would teach the policy whatever made the function fail.
        """
        self._check_open()
        self._over = True
        return await call_reward(self._environment.reward, self._task, messages)

    def _check_open(self) -> None:
        if self._over:
            raise RunError(f"the session of task {self._task.id!r} is over; open a new one for each episode")


def check_reward(reward: Reward, task: Task) -> None:
    """Raises ConfigError where the reward function asks for something that the task does not have."""
    if not callable(reward):
        raise ConfigError(f"reward: {reward!r} is not a function")
    known = {*REWARD_ARGUMENTS, *task.metadata}
    for parameter in _parameters(reward):
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if not named or parameter.name not in known:
            raise ConfigError(
                f"reward: {reference(reward)} asks for {str(parameter)!r}, which task {task.id!r} does not have"
                f"{suggest(parameter.name, known)}"
            )


def _parameters(reward: Reward) -> Sequence[inspect.Parameter]:
    try:
        return tuple(inspect.signature(reward).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"reward: {reference(reward)} has no readable signature; wrap it in a def"
        ) from error


async def call_reward(reward: Reward, task: Task, messages: Sequence[Message]) -> float | None:
    """The outcome of a conversation in [0, 1], or None. Raises RunError for anything else the function does."""
    where = f"reward function {reference(reward)}, task {task.id!r}"
    try:
        result = await call_function(reward, _arguments(reward, task, messages))
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if aio.cancelled():
            raise
        raise RunError(
            f"{where}: it failed with {described(error)}; fix it, or let it return None"
        ) from error
    value = _number(result)
    if value is None and result is not None:
        raise RunError(
            f"{where}: it returned {shown(result)}; it must return a number in [0, 1], a bool or None"
        )
    return value


def _number(result: Any) -> float | None:
    """A number in [0, 1], NumPy's and torch's scalars included; None for anything else."""
    if isinstance(result, (str, bytes)):
        return None
    try:
        value = float(result)
    except Exception:
        return None
    return value if 0 <= value <= 1 else None


def _arguments(reward: Reward, task: Task, messages: Sequence[Message]) -> dict[str, Any]:
    """The arguments that the function has parameters for."""
    offered = {
        **task.metadata,
        "completion": _last(messages, "assistant"),
        "messages": tuple(messages),
        "prompt": _last(task.messages, "user"),
        "task": task,
        "metadata": task.metadata,
    }
    parameters = _parameters(reward)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return offered
    return {parameter.name: offered[parameter.name] for parameter in parameters if parameter.name in offered}


def _last(messages: Sequence[Message], role: str) -> str:
    return next((message.content for message in reversed(messages) if message.role == role), "")
