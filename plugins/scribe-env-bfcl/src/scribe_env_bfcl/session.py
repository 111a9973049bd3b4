"""One episode: a question, the functions it may be answered with, and whether the answer is right."""

from collections.abc import Mapping, Sequence

from scribe_core.errors import RunError
from scribe_core.types import Message, ToolCall, ToolSpec
from scribe_env_bfcl.ast_check import accepts
from scribe_env_bfcl.data import Entry, has_answers
from scribe_env_bfcl.schema import tool_spec


class BFCLSession:
    """A single turn: nothing follows an answer. Used once: after its outcome, any use is a RunError."""

    def __init__(self, entry: Entry) -> None:
        self.tools: Sequence[ToolSpec] = tuple(tool_spec(function) for function in entry.functions)
        self._entry = entry
        self._over = False

    async def respond(self, message: Message) -> Sequence[Message]:  # noqa: ARG002 - the protocol's name
        """Nothing: functions of the leaderboard are never run."""
        self._check_open()
        return ()

    async def outcome(self, messages: Sequence[Message]) -> float:
        """1.0 where the calls after the question are acceptable, else 0.0.

        Calls of which one has no readable arguments are, to the leaderboard, no calls at all.
        """
        self._check_open()
        self._over = True
        calls = _readable_calls(messages[len(self._entry.question) :])
        return float(_is_right(self._entry, calls))

    def _check_open(self) -> None:
        if self._over:
            raise RunError(f"the session of task {self._entry.id!r} is over; open a new one for each episode")


def _readable_calls(answer: Sequence[Message]) -> list[ToolCall]:
    calls = [call for message in answer if message.role == "assistant" for call in message.tool_calls]
    return calls if all(isinstance(call.arguments, Mapping) for call in calls) else []


def _is_right(entry: Entry, calls: Sequence[ToolCall]) -> bool:
    if has_answers(entry.category):
        return accepts(entry.category, entry.functions, entry.answers, calls)
    return bool(calls) is ("irrelevance" not in entry.category)
