"""Calling tools: plain typed functions as tools, and many calls at once.

Whatever goes wrong in a call is text for the policy to read and learn from, never an exception.
"""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from math import isfinite
from threading import Thread
from typing import Any

from attrs import frozen

from scribe_core import aio
from scribe_core.errors import ConfigError, suggest
from scribe_core.protocols import Tool
from scribe_core.signatures import hints_of, revive, spec_of
from scribe_core.types import Json, Message, Observation, ToolCall, ToolSpec

MAX_ERROR_CHARS = 500
TIMEOUT = 60.0
"""Seconds that a call may take unless the caller says otherwise."""


@frozen
class FunctionTool:
    """A tool made of a Python function; `function_tool` makes one."""

    spec: ToolSpec
    function: Callable[..., Any]
    hints: Mapping[str, Any]
    max_chars: int

    async def call(self, arguments: Json | str) -> Observation:
        """Checks the arguments strictly and calls; a plain function runs in a thread.

        A thread cannot be stopped: a plain function that outlives a timeout goes on until it returns.
        """
        if isinstance(arguments, str):
            return failure(_not_an_object(arguments))
        try:
            problem = argument_problem(arguments, self.spec.parameters)
            if problem is not None:
                return failure(problem)
            given = {name: revive(self.hints[name], value) for name, value in arguments.items()}
            result = render(await call_function(self.function, given))
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if aio.cancelled():
                raise
            return failure(described(error))
        return Observation(content=shorten(result, self.max_chars))


def function_tool(function: Callable[..., Any], *, max_chars: int = 10_000) -> FunctionTool:
    """Makes a tool of a typed Python function, plain or async.

    Parameters may be str, int, float, bool, list[T], dict[str, T], Literal, Enum, unions of them, and
    Annotated with a description. The docstring describes the tool and, under `Args:`, its parameters.
    A result that is not a str is rendered as JSON; past `max_chars` it is cut, with a note.
    Raises ConfigError where the signature cannot be told to a model.
    """
    return FunctionTool(
        spec=spec_of(function), function=function, hints=hints_of(function), max_chars=max_chars
    )


def as_tool(tool: Tool | Callable[..., Any]) -> Tool:
    """A tool as it is, a function as a tool."""
    if hasattr(tool, "spec") and hasattr(tool, "call"):
        return tool
    if callable(tool):
        return function_tool(tool)
    raise ConfigError(f"tools: {tool!r} is neither a function nor a tool; pass a typed function")


async def call_function(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What an async function returns, or a plain one in a thread; it raises what the function raises."""
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    result = await _in_thread(function, arguments)
    return await result if inspect.isawaitable(result) else result


def _in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> asyncio.Future[Any]:
    """Calls in a thread of its own: one that never returns holds up neither other calls nor the program's end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            setter(value)

    def work() -> None:
        try:
            settled = partial(settle, future.set_result, context.run(function, **arguments))
        except (StopIteration, KeyboardInterrupt) as error:
            # In a future the one would never wake its awaiter, and the other would pass for the user's.
            settled = partial(settle, future.set_exception, RuntimeError(described(error)))
        except BaseException as error:
            settled = partial(settle, future.set_exception, error)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settled)

    Thread(target=work, name="scribe-tool", daemon=True).start()
    return future


def by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """Tools by the name that a model calls them by. Raises ConfigError where two share one."""
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.spec.name in named:
            raise ConfigError(f"tools: two tools are named {tool.spec.name!r}; rename one of them")
        named[tool.spec.name] = tool
    return named


async def call_tools(
    tools: Mapping[str, Tool] | Sequence[Tool], calls: Sequence[ToolCall], timeout: float = TIMEOUT
) -> list[Message]:
    """Runs the calls of one assistant message at the same time; one "tool" message each, in their order.

    `timeout` is in seconds per call. An unknown tool, a failure and a timeout are messages that say so;
    cancellation goes through to the running calls.
    """
    named = tools if isinstance(tools, Mapping) else by_name(tools)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(_answer(named, call, timeout)) for call in calls]
    return [
        Message(role="tool", content=answer.result().content, tool_call_id=call.id or None, name=call.name)
        for call, answer in zip(calls, answers, strict=True)
    ]


async def _answer(tools: Mapping[str, Tool], call: ToolCall, timeout: float) -> Observation:
    if call.name not in tools:
        return failure(f"there is no tool {call.name[:100]!r}{suggest(call.name[:100], tools)}")
    if isinstance(call.arguments, str):
        return failure(_not_an_object(call.arguments))
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await tools[call.name].call(call.arguments)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if aio.cancelled():
            raise
        return failure(f"timed out after {timeout:g} seconds" if limit.expired() else described(error))


def failure(text: str) -> Observation:
    """An error that a policy can learn from, kept short."""
    return Observation(content="Error: " + shorten(_encodable(text), MAX_ERROR_CHARS), is_error=True)


def described(error: BaseException) -> str:
    """An exception in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def render(result: Any) -> str:
    """What a tool returned, as text: a str as it is, else JSON, else whatever str makes of it."""
    if isinstance(result, str):
        return _encodable(result)
    try:
        return _encodable(json.dumps(result, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return _encodable(str(result))


def _encodable(text: str) -> str:
    # Lone surrogates, as from os.fsdecode, would break tokenizers and logs further on.
    return text.encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, max_chars: int) -> str:
    """The text, cut after `max_chars` characters with a note of how long it was."""
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}\n[cut: the first {max_chars} of {len(text)} characters]"


def _not_an_object(arguments: str) -> str:
    return f"the arguments are not a JSON object: {arguments[:100]!r}"


def argument_problem(arguments: Json, schema: Json) -> str | None:
    """Why the arguments of a call do not fit the JSON Schema of its tool, in one sentence; None where they do.

    Strict: true is no integer, 1.0 neither, NaN and Infinity are no numbers, unnamed arguments are errors.
    """
    properties = schema.get("properties", {})
    for name in arguments:
        if name not in properties and schema.get("additionalProperties", False) is False:
            return f"there is no argument {str(name)[:100]!r}{suggest(str(name)[:100], properties)}"
    missing = [name for name in schema.get("required", ()) if name not in arguments]
    if missing:
        return f"required arguments are missing: {', '.join(missing)}"
    try:
        error = next(_validator(schema).iter_errors(dict(arguments)), None)
    except (RecursionError, ValueError):
        # Naming the value is part of the message, and neither deep nesting nor a huge integer has a repr.
        return "the arguments are nested too deeply, or hold a number that is too long"
    if error is None:
        return None
    where = error.json_path.removeprefix("$").removeprefix(".")
    return f"argument {where}: {error.message[:300]}" if where else str(error.message[:300])


def _validator(schema: Json) -> Any:
    from referencing import Registry

    # An empty registry: a "$ref" in a schema from outside must not fetch anything.
    return _strict_validator_class()(dict(schema), registry=Registry())


@cache
def _strict_validator_class() -> Any:
    from jsonschema import Draft202012Validator, validators

    def is_integer(_: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def is_number(checker: Any, value: Any) -> bool:
        return is_integer(checker, value) or (isinstance(value, float) and isfinite(value))

    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_integer, "number": is_number})
    return validators.extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
