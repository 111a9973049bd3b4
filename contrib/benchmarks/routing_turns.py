"""Conversations of several turns, replayed against the leaderboard's simulated APIs, for `routing_data.py`.

The calls are those of the leaderboard's ground truth, made one after another or at once; some are made wrong first,
so that the API itself answers with an error. The words between calls are templates of this file's.
"""

import copy
import importlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from attrs import evolve
from conversations import MODULES, Row, conversations, docs, group_of, parsed
from scribe_env_bfcl.schema import tool_spec

from scribe_core.types import Message, ToolCall, ToolSpec, Trajectory

_CODE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
_NOW = "Another function is available to you now. Please go on."

DECLINES = (
    (
        "Nothing among these functions can do that.",
        "Sorry, this is outside of what I have functions for.",
        "I can't do this with what is available to me here.",
        "That would need a function which I have not been given.",
    ),
    (
        "Unfortunately there is no way for me to look that up.",
        "I am afraid I lack the means for it. Can I do something else for you?",
        "My abilities do not stretch to this request.",
        "No, that cannot be done from here.",
    ),
)
"""What is said, by the half that a task belongs to: members and test share no wording."""
_ASKS = (
    (
        "Before I go on, please tell me the exact {name}.",
        "What {name} would you like me to use?",
        "I am missing the {name}.",
    ),
    (
        "Your message leaves the {name} open. Could you give it to me?",
        "Sure. Which {name}?",
        "Happy to, as soon as I know the {name}!",
    ),
)
_REPORTS = (
    ("I tried, but it was refused: {error}", "It could not be done. The system says: {error}"),
    ("Sorry, no success: {error}", "Something went wrong ({error}), so nothing has changed."),
)
_ANSWERS = (
    ("All set. {result}", "This is what came back: {result}", "{result}"),
    (
        "It went through: {result}",
        "Here you are: {result}. Anything else?",
        "Finished, with {result} at the end",
    ),
)


def half(group: str, seed: int) -> int:
    """0 for members, 1 for the test."""
    return int(sha256(f"half/{seed}/{group}".encode()).hexdigest(), 16) % 2


def replayed(seed: int) -> Iterator[dict[str, Any]]:
    """Fields of labelled subgoals: trajectory, start, skill, group, source."""
    offered = {api: {row["name"]: tool_spec(row) for row in rows} for api, rows in docs().items()}
    for row, truth in conversations():
        for style in ("steps", "slips", "at once"):
            replay = _Replay(row, [offered[api] for api in row["involved_classes"]], style, seed)
            yield from replay.play(truth)


class _Replay:
    """One conversation, as it goes on.

    In the style "steps" calls are made one by one, in "slips" some of them wrongly first, and in "at once" the first
    alone and the others together, or all together.
    """

    def __init__(self, row: Row, docs: Sequence[Mapping[str, ToolSpec]], style: str, seed: int) -> None:
        self.row, self.style = row, style
        self.group = group_of(row["id"])
        self.half = half(self.group, seed)
        self.rng = random.Random(f"{seed}/{row['id']}/{style}")  # noqa: S311 - a sample, not a secret
        excluded = row.get("excluded_function", ())
        self.all_tools = {name: tool for each in docs for name, tool in each.items() if name not in excluded}
        self.held_back = {name for names in row.get("missed_function", {}).values() for name in names}
        self.apis = [_api(name, row["initial_config"]) for name in row["involved_classes"]]
        self.messages: list[Message] = []
        self.found: list[dict[str, Any]] = []

    def play(self, truth: Sequence[Sequence[str]]) -> Iterator[dict[str, Any]]:
        for turn, (question, texts) in enumerate(zip(self.row["question"], truth, strict=True)):
            self.held_back -= {*self.row.get("missed_function", {}).get(str(turn), ())}
            self.messages += [Message(role=m["role"], content=m["content"]) for m in question] or [
                Message(role="user", content=_NOW)
            ]
            calls = [parsed(text, self.all_tools) for text in texts]
            if None in calls:
                break
            self._turn(turn, [call for call in calls if call is not None])
        yield from self.found

    def _turn(self, turn: int, calls: list[ToolCall]) -> None:
        since = len(self.messages)
        if not calls:
            self._wordy_turn(turn)
        elif self.style == "at once" and len(calls) > 1:
            self._at_once(calls)
        else:
            for number, call in enumerate(calls):
                if self.style == "slips" and self.rng.random() < 0.5 and self._slip(call):
                    if self.rng.random() < 0.4:
                        return self._report()
                    self._make([call], "recover-from-error")
                elif number == 0:
                    self._make([call], "choose-tool" if len(calls) == 1 else None)
                else:
                    self._make([call], "ground-from-results" if self._grounded(call, since) else None)
        if calls:
            self._answer()
        return None

    def _wordy_turn(self, turn: int) -> None:
        if "miss_param" in self.row["id"]:
            name = self.rng.choice(("name", "value", "amount", "file", "recipient", "number"))
            self._say(self.rng.choice(_ASKS[self.half]).format(name=name), "ask-for-missing")
            return
        if self.style == "slips" and self.held_back:
            call = ToolCall(name=sorted(self.held_back)[0], arguments={})
            self._make([call], "call-offered-tools")
            self.messages = self.messages[:-2]
        # Later in a conversation two prototypes claim the turn: what lacks is a function, but it is no first request.
        self._say(self.rng.choice(DECLINES[self.half]), "decline-when-none-fits" if turn == 0 else None)

    def _at_once(self, calls: list[ToolCall]) -> None:
        if len({call.name for call in calls}) == 1:
            self._make(calls, "parallel-calls-one-tool")
            return
        self._make(calls[:1], None)
        rest = calls[1:]
        if self._failed():
            self._make(rest, "recover-from-error")
        elif len(rest) > 1:
            self._make(rest, "continue-with-several-calls")
        else:
            self._make(rest, None)

    def _slip(self, call: ToolCall) -> bool:
        """Whether the API refuses the call with one value made wrong; where it does not, nothing is kept."""
        before, apis = list(self.messages), copy.deepcopy(self.apis)
        arguments = dict(call.arguments) if isinstance(call.arguments, Mapping) else {}
        texts = sorted(name for name, value in arguments.items() if isinstance(value, str))
        if texts:
            arguments[self.rng.choice(texts)] = "unknown_" + str(self.rng.randrange(1000))
        elif arguments:
            arguments.pop(self.rng.choice(sorted(arguments)))
        if arguments == call.arguments:
            return False
        self._make([evolve(call, arguments=arguments)], None)
        if self._failed():
            return True
        self.messages, self.apis = before, apis
        return False

    def _report(self) -> None:
        error = json.loads(self.messages[-1].content)["error"]
        self._say(self.rng.choice(_REPORTS[self.half]).format(error=error), "report-failure")

    def _answer(self) -> None:
        if self._failed():
            self._report()
            return
        result = self.messages[-1].content.strip("{}").replace('"', "")[:200]
        self._say(self.rng.choice(_ANSWERS[self.half]).format(result=result), "answer-from-results")

    def _grounded(self, call: ToolCall, since: int) -> bool:
        """Whether a value of the call stands in a result of this turn, and nowhere in what was asked."""
        results = [m.content for m in self.messages[since:] if m.role == "tool"]
        asked = " ".join(m.content for m in self.messages if m.role == "user").lower()
        values = (
            [str(value) for value in call.arguments.values()] if isinstance(call.arguments, Mapping) else []
        )
        return any(
            len(value) > 1 and value.lower() not in asked and any(value in text for text in results)
            for value in values
        )

    def _failed(self) -> bool:
        content = json.loads(self.messages[-1].content)
        return isinstance(content, dict) and bool(content.get("error"))

    def _make(self, calls: list[ToolCall], skill: str | None) -> None:
        start = len(self.messages)
        numbered = tuple(evolve(call, id=f"call_{start}_{i}") for i, call in enumerate(calls))
        self.messages.append(Message(role="assistant", tool_calls=numbered))
        for call in numbered:
            content = self._run(call)
            self.messages.append(Message(role="tool", content=content, tool_call_id=call.id, name=call.name))
        self._label(start, skill)

    def _run(self, call: ToolCall) -> str:
        method = next((getattr(api, call.name) for api in self.apis if hasattr(api, call.name)), None)
        if method is None or call.name in self.held_back or not isinstance(call.arguments, Mapping):
            return json.dumps({"error": f"unknown function {call.name}"})
        try:
            return json.dumps(method(**call.arguments), default=str)
        except Exception as error:
            return json.dumps({"error": f"{error}"})

    def _say(self, text: str, skill: str | None) -> None:
        self.messages.append(Message(role="assistant", content=text))
        self._label(len(self.messages) - 1, skill)

    def _label(self, start: int, skill: str | None) -> None:
        if skill is None:
            return
        tools = tuple(tool for name, tool in self.all_tools.items() if name not in self.held_back)
        trajectory = Trajectory(
            id=f"{self.row['id']}/{self.style}/{start}",
            task_id=self.row["id"],
            messages=tuple(self.messages),
            tools=tools,
        )
        source = f"replayed/{self.style}"
        self.found.append(
            {"trajectory": trajectory, "start": start, "skill": skill, "group": self.group, "source": source}
        )


def _api(name: str, config: Mapping[str, Any]) -> Any:
    api = getattr(importlib.import_module(f"{_CODE}.{MODULES[name]}"), name)()
    if hasattr(api, "_load_scenario"):
        api._load_scenario(copy.deepcopy(config.get(name, {})))
    return api
