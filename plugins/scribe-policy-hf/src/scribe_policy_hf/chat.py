"""Messages to text and back, by the tokenizer's own chat template.

Where the template tells tools and writes calls in a way that we can read back, it does; else the tools and the format
of calls stand in the system message. Text goes through the template only once: what was sampled stays as its token
ids, and what follows it (tool results, user turns) is rendered as the continuation that the template would write.
"""

import re
from collections.abc import Sequence
from typing import Any

from scribe_core.errors import ConfigError
from scribe_core.spans import canonical_json
from scribe_core.types import Message, ToolCall, ToolSpec
from scribe_policy_hf.formats import FORMATS, Format

_MARK = "scribe0mark0of0a0text"
_PROBE = Message(
    role="assistant", tool_calls=(ToolCall(name="probe", arguments={"text": "some words", "count": 3}),)
)

_INSTRUCTIONS = """You can call these functions:
{tools}
To call a function, answer with {example}, once per call. \
If no function fits the request, say so."""


class Chat:
    """Lays conversations out with one tokenizer's chat template; `calls` names the format, or is "auto"."""

    def __init__(self, tokenizer: Any, calls: str = "auto") -> None:
        self._tokenizer = tokenizer
        self._special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        self.format, self._native = self._detected(calls)
        self._thinks = self.continuation(()).rstrip().endswith("<think>")

    def prompt(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        """The text up to where the assistant's next message starts."""
        shaped = [self._shaped(message) for message in messages]
        if self._native:
            return self._layout(shaped, [self._safe(_told(tool)) for tool in tools] or None)
        return self._layout(self._with_tools(shaped, tools))

    def check(self) -> None:
        """Raises ConfigError where the template does not lay out what episodes have: instructions and results."""
        said = {"role": "assistant", "content": "b"}
        result = {"role": "tool", "content": _MARK, "tool_call_id": _nine(""), "name": "f"}
        for role, messages in {
            "system": [{"role": "system", "content": _MARK}, {"role": "user", "content": "a"}],
            "tool": [{"role": "user", "content": "a"}, said, result],
        }.items():
            try:
                reason = "" if _MARK in self._layout(messages) else "it leaves them out"
            except Exception as error:  # a template is a foreign program
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
            if reason:
                raise ConfigError(
                    f"policy.model: its chat template takes no messages of role {role!r} ({reason}); choose a model "
                    "that does, or change chat_template in its folder"
                )

    def continuation(self, after: Sequence[Message]) -> str:
        """The text between a sampled message and the next one, beginning with what closes the first."""
        return self._behind_mark([self._shaped(message) for message in after], opened=True)

    def parse(self, raw: str) -> tuple[str, tuple[ToolCall, ...]]:
        """(content, calls) of a sampled text."""
        return self.format.parse(raw, reasoning=self._thinks)

    def written(self, message: Message) -> str:
        """The text a policy would have to write for this message; `parse` gives its calls back."""
        if self._native and message.tool_calls and (text := self._native_text(message)) is not None:
            return text
        return ("\n</think>\n\n" if self._thinks else "") + self._text(message)

    def _text(self, message: Message) -> str:
        content, calls = self._safe(message.content), [self._safe_call(call) for call in message.tool_calls]
        return "\n".join(part for part in (content, self.format.render(calls) if calls else "") if part)

    def _detected(self, name: str) -> tuple[Format, bool]:
        """The format, and whether the template itself tells tools and writes calls in it."""
        choices = list(FORMATS.values()) if name == "auto" else [FORMATS[name]]
        for each in choices:
            self.format = each
            if self._native_text(_PROBE) is not None and self._tells_tools():
                return each, True
        return choices[0], False

    def _tells_tools(self) -> bool:
        tool = _told(ToolSpec(name=_MARK, parameters={"type": "object", "properties": {}}))
        return _MARK in self._layout([{"role": "user", "content": "."}], [tool])

    def _native_text(self, message: Message) -> str | None:
        """What the template writes for a message with calls, where it can and `parse` gives the calls back."""
        calls = [self._safe_call(call) for call in message.tool_calls]
        asked: list[dict[str, Any]] = [{"role": "user", "content": "."}]
        try:
            before, closing = self._layout(asked), self._behind_mark([], opened=False)
            text = self._layout([*asked, self._structured(message)], opened=False)
        except Exception:  # a template is a foreign program; many refuse some messages
            return None
        if not (text.startswith(before) and text.endswith(closing)):
            return None
        text = text[len(before) : len(text) - len(closing)]
        reasoning = before.rstrip().endswith("<think>")
        found = self.format.parse(text, reasoning)[1]
        same = [(c.name, c.arguments) for c in found] == [(c.name, c.arguments) for c in calls]
        return text if same and message.content.strip() in text else None

    def _behind_mark(self, after: list[dict[str, Any]], opened: bool) -> str:
        said = [{"role": "user", "content": "."}, {"role": "assistant", "content": _MARK}]
        text = self._layout([*said, *after], opened=opened)
        return text[text.index(_MARK) + len(_MARK) :]

    def _layout(
        self, messages: list[dict[str, Any]], tools: list[Any] | None = None, opened: bool = True
    ) -> str:
        return self._tokenizer.apply_chat_template(  # type: ignore[no-any-return]
            messages, tools=tools, tokenize=False, add_generation_prompt=opened
        )

    def _shaped(self, message: Message) -> dict[str, Any]:
        """A message as templates take it."""
        if message.tool_calls and self._native and self._native_text(message) is not None:
            return self._structured(message)
        if message.role in ("tool", "function"):
            shaped = {"role": message.role, "content": self._safe(message.content)}
            return shaped | {
                "tool_call_id": _nine(message.tool_call_id or ""),
                "name": self._safe(message.name or ""),
            }
        if message.raw is not None:
            return {"role": message.role, "content": self._safe(message.raw)}
        return {"role": message.role, "content": self._text(message)}

    def _structured(self, message: Message) -> dict[str, Any]:
        calls = [(call.id, self._safe_call(call)) for call in message.tool_calls]
        listed = [
            {"type": "function", "id": _nine(i), "function": {"name": c.name, "arguments": c.arguments}}
            for i, c in calls
        ]
        return {"role": message.role, "content": self._safe(message.content), "tool_calls": listed}

    def _with_tools(self, messages: list[dict[str, Any]], tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
        if not tools:
            return messages
        listing = "\n".join(canonical_json(self._safe(_told(tool)["function"])) for tool in tools)
        instructions = _INSTRUCTIONS.format(tools=listing, example=self.format.example)
        if messages and messages[0]["role"] == "system":
            return [
                {"role": "system", "content": f"{messages[0]['content']}\n\n{instructions}"},
                *messages[1:],
            ]
        return [{"role": "system", "content": instructions}, *messages]

    def _safe_call(self, call: ToolCall) -> ToolCall:
        return ToolCall(name=self._safe(call.name), arguments=self._safe(call.arguments), id=call.id)

    def _safe(self, value: Any) -> Any:
        """Text from outside cannot open or close a turn: special tokens in it become plain text."""
        if isinstance(value, str):
            for token in self._special:
                value = value.replace(token, f"{token[:1]}\u200b{token[1:]}")
            return value
        if isinstance(value, dict):
            return {self._safe(key): self._safe(item) for key, item in value.items()}
        return [self._safe(item) for item in value] if isinstance(value, (list, tuple)) else value


def _told(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _nine(call_id: str) -> str:
    """An id of nine letters and digits, which is what templates of Mistral take."""
    return re.sub(r"[^A-Za-z0-9]", "", call_id)[-9:].rjust(9, "0")
