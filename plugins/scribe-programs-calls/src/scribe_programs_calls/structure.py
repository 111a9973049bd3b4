"""Whether a call could be carried out at all: it parses, its tool exists, its arguments are those the schema wants."""

import re
from collections.abc import Iterator, Mapping

from scribe_core.builders import program
from scribe_core.spans import message_text
from scribe_core.types import Finding, Json, Message, Subgoal, ToolSpec
from scribe_programs_calls.arguments import Node, allowed, fits, nodes, properties, required
from scribe_programs_calls.reading import (
    MOST_TEXT,
    NOT_APPLICABLE,
    PASS,
    calls,
    failed,
    key_of,
    known_calls,
    own,
    tools,
)
from scribe_programs_calls.words import fold

_MARKS = re.compile(
    r"</?\|?(?:tool_?call|function_?call|python_tag|function)s?\b|\[TOOL_CALLS\]"
    r"|[\"'](?:tool_calls|function_call|arguments|parameters)[\"']\s*:",
    re.IGNORECASE,
)


@program
def call_parses(subgoal: Subgoal) -> Finding:
    """Whether every call is well formed, with no text that tries to be a call and is none."""
    for call in calls(subgoal):
        if not isinstance(call.arguments, Mapping):
            return failed(f"the arguments of {call.name[:80]} are no JSON object", subgoal, call.arguments)
        if not call.name.strip():
            return failed("a call names no tool", subgoal, "")
    for message in own(subgoal):
        if leftover := _leftover(message, subgoal):
            return failed(f"text that tries to be a call: {leftover[:80]}", subgoal, leftover)
    return PASS if calls(subgoal) else NOT_APPLICABLE


def _leftover(message: Message, subgoal: Subgoal) -> str | None:
    """Text that looks like a call and did not become one."""
    text = (message.content if message.tool_calls else message_text(message))[:MOST_TEXT]
    if match := _MARKS.search(text):
        return match[0]
    names = (tool.name for tool in subgoal.trajectory.tools[:200] if tool.name)
    return next((f"{name}(" for name in names if f"{name}(" in text), None)


@program
def tool_exists(subgoal: Subgoal) -> Finding:
    """Whether every called tool is among those offered."""
    offered, made = tools(subgoal), calls(subgoal)
    if not made:
        return NOT_APPLICABLE
    unknown = next((call.name for call in made if call.name not in offered), None)
    return PASS if unknown is None else failed(f"no tool {unknown[:80]!r} is offered", subgoal, unknown)


@program
def required_arguments_given(subgoal: Subgoal) -> Finding:
    """Whether every call gives all arguments that are required, also inside objects."""
    known = known_calls(calls(subgoal), tools(subgoal))
    for tool, arguments in known:
        for node in _objects(tool, arguments):
            if missing := [name for name in required(node.schema) if name not in node.value]:
                return failed(f"{tool.name}: {node.place} lacks {missing[0][:80]!r}", subgoal, tool.name)
    return PASS if known else NOT_APPLICABLE


@program
def no_invented_arguments(subgoal: Subgoal) -> Finding:
    """Whether all arguments are declared by the tool."""
    known = known_calls(calls(subgoal), tools(subgoal))
    for tool, arguments in known:
        for node in _objects(tool, arguments):
            if invented := _undeclared(node):
                return failed(f"{tool.name} has no parameter {invented[:80]!r}", subgoal, invented)
    return PASS if known else NOT_APPLICABLE


def _objects(tool: ToolSpec, arguments: Json) -> Iterator[Node]:
    return (node for node in nodes(arguments, tool.parameters) if isinstance(node.value, Mapping))


def _undeclared(node: Node) -> str | None:
    """A key that the object's schema neither declares nor leaves open; the tool's own arguments are never open."""
    declared = properties(node.schema)
    open_ = node.schema.get("additionalProperties", not declared and bool(node.path))
    if (open_ is not False and (open_ or isinstance(open_, Mapping))) or "patternProperties" in node.schema:
        return None
    return next((str(name) for name in list(node.value)[:400] if str(name) not in declared), None)


@program
def argument_types_match(subgoal: Subgoal) -> Finding:
    """Whether every argument has the type that the tool declares, also inside lists and objects."""
    known = known_calls(calls(subgoal), tools(subgoal))
    for tool, arguments in known:
        for node in nodes(arguments, tool.parameters)[1:]:
            if not fits(node):
                kind = str(node.schema.get("type"))[:60]
                return failed(f"{tool.name}: {node.place} is no {kind}", subgoal, node.value)
    return PASS if known else NOT_APPLICABLE


@program
def enum_values_match(subgoal: Subgoal) -> Finding:
    """Whether every argument with listed values is one of them."""
    known = known_calls(calls(subgoal), tools(subgoal))
    listed = [
        (tool, node)
        for tool, arguments in known
        for node in nodes(arguments, tool.parameters)
        if allowed(node.schema) and not (node.value is None and not node.required)
    ]
    for tool, node in listed:
        if not _is_listed(node):
            return failed(f"{tool.name}: {node.place} is none of the listed values", subgoal, node.value)
    return PASS if listed else NOT_APPLICABLE


def _is_listed(node: Node) -> bool:
    values = {_enum_key(value) for value in (*allowed(node.schema), node.schema.get("default"))}
    given = [node.value]
    if isinstance(node.value, (list, tuple)) and not any(
        isinstance(v, (list, tuple)) for v in allowed(node.schema)
    ):
        given = list(node.value[:400])
    return all(_enum_key(value) in values for value in given)


def _enum_key(value: object) -> str:
    # Tools differ in whether case counts; a value that is wrong only in case is not judged here.
    return key_of(fold(value) if isinstance(value, str) else value)
