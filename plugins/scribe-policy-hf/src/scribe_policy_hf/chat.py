"""Messages to text and back: tools in the system message, calls between <tool_call> tags.

The conversation itself is laid out by the tokenizer's own chat template. Text goes through the template only
once: what was sampled stays as its token ids, and what follows it (tool results, user turns) is rendered as
the continuation that the template would write.
"""

import json
from collections.abc import Sequence
from typing import Any

from scribe_core.errors import ConfigError
from scribe_core.spans import canonical_json
from scribe_core.strict_json import strict_json
from scribe_core.types import Message, ToolCall, ToolSpec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_MARK = "\x00scribe\x00"
_MAX_DEPTH = 64

_INSTRUCTIONS = """You can call these functions:
{tools}
To call a function, answer with {open}{{"name": ..., "arguments": {{...}}}}{close}, once per call. \
If no function fits the request, say so."""


def render_calls(calls: Sequence[ToolCall]) -> str:
    """The text a policy writes to make these calls."""
    rendered = []
    for call in calls:
        body = {"name": call.name, "arguments": call.arguments}
        rendered.append(f"{OPEN}{json.dumps(body, ensure_ascii=False)}{CLOSE}")
    return "\n".join(rendered)


def parse_calls(raw: str) -> tuple[str, tuple[ToolCall, ...]]:
    """(content, calls) of a sampled text. A block that is not a call stays in the content. Linear in the text."""
    content, calls, position = [], [], 0
    while (start := raw.find(OPEN, position)) >= 0:
        end = raw.find(CLOSE, start)
        if end < 0:
            break
        found = _parse_block(raw[start + len(OPEN) : end], len(calls))
        content.append(raw[position : start if found else end + len(CLOSE)])
        calls.extend(found)
        position = end + len(CLOSE)
    content.append(raw[position:])
    return "".join(content).strip(), tuple(calls)


def _parse_block(body: str, number: int) -> list[ToolCall]:
    try:
        value = strict_json(body, max_depth=_MAX_DEPTH)
    except ValueError:
        return []
    items = value if isinstance(value, list) else [value]
    calls = [_parse_call(item, number + offset) for offset, item in enumerate(items)]
    return [call for call in calls if call] if all(calls) else []


def _parse_call(item: Any, number: int) -> ToolCall | None:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        return None
    arguments = item.get("arguments", {})
    if not isinstance(arguments, dict):
        return None
    return ToolCall(id=f"call_{number}", name=item["name"], arguments=arguments)


class Chat:
    """Lays conversations out with one tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        """The text up to where the assistant's next message starts."""
        return self._layout(_with_tools(messages, tools))

    def check(self) -> None:
        """Raises ConfigError where the template does not lay out what episodes have: instructions and results."""
        said = Message(role="assistant", content="b")
        for role, messages in {
            "system": (Message(role="system", content=_MARK), Message(role="user", content="a")),
            "tool": (Message(role="user", content="a"), said, Message(role="tool", content=_MARK)),
        }.items():
            try:
                text = self._layout([_plain(message) for message in messages])
                reason = "" if _MARK in text else "it leaves them out"
            except Exception as error:  # a template is a foreign program
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
            if reason:
                raise ConfigError(
                    f"policy.model: its chat template takes no messages of role {role!r} ({reason}); choose a model "
                    "that does, or change chat_template in its folder"
                )

    def continuation(self, after: Sequence[Message]) -> str:
        """The text between a sampled message and the next one, beginning with what closes the first."""
        opening = [{"role": "user", "content": "."}, {"role": "assistant", "content": _MARK}]
        text = self._layout(opening + [_plain(message) for message in after])
        return text[text.index(_MARK) + len(_MARK) :]

    def _layout(self, messages: list[dict[str, str]]) -> str:
        safe = [{**message, "content": self._neutral(message["content"])} for message in messages]
        return self._tokenizer.apply_chat_template(  # type: ignore[no-any-return]
            safe, tokenize=False, add_generation_prompt=True
        )

    def _neutral(self, text: str) -> str:
        """Text from outside cannot open or close a turn: special tokens in it become plain text."""
        for token in self._special:
            text = text.replace(token, f"{token[:1]}\u200b{token[1:]}")
        return text


def _plain(message: Message) -> dict[str, str]:
    if message.raw is not None:
        return {"role": message.role, "content": message.raw}
    parts = [part for part in (message.content, render_calls(message.tool_calls)) if part]
    return {"role": message.role, "content": "\n".join(parts)}


def _with_tools(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[dict[str, str]]:
    plain = [_plain(message) for message in messages]
    if not tools:
        return plain
    listing = "\n".join(
        canonical_json({"name": t.name, "description": t.description, "parameters": t.parameters})
        for t in tools
    )
    instructions = _INSTRUCTIONS.format(tools=listing, open=OPEN, close=CLOSE)
    if plain and plain[0]["role"] == "system":
        return [{"role": "system", "content": f"{plain[0]['content']}\n\n{instructions}"}, *plain[1:]]
    return [{"role": "system", "content": instructions}, *plain]
