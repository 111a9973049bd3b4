"""Small parts that answer as told, for tests of whatever stands between them.

Each fake is its own builder: `ScriptedJudge(...)` fits where a judge is wanted and where its builder is. A config
names one as "scribe_core.testing:ScriptedJudge".
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from attrs import field, frozen

from scribe_core.judging.asking import Prompt
from scribe_core.judging.asking import Reply as ModelReply
from scribe_core.judging.model_judge import ModelJudge
from scribe_core.protocols import JudgeRequest
from scribe_core.skills.library import Library
from scribe_core.skills.prototype import Prototype
from scribe_core.types import (
    Completion,
    Conversation,
    Message,
    Sampling,
    Span,
    Subgoal,
    Trajectory,
    Verdict,
)

Reply = str | Message
Judged = float | Verdict
Script = tuple[Reply, ...] | Callable[[Conversation, int], Reply]


@frozen
class ScriptedPolicy:
    """Writes what its script says: turn by turn, or by a function of the conversation and the seed.

    The i-th assistant message of any conversation is `script[i]`; past the end, the last reply again.
    """

    name: ClassVar[str] = "scripted-policy"
    script: Script = ("Done.",)

    def build(self) -> Self:
        return self

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,  # noqa: ARG002
        seeds: Sequence[int],
    ) -> list[Completion]:
        """One completion each, whatever the sampling."""
        pairs = zip(conversations, seeds, strict=True)
        return [Completion(message=_as_message(self._reply(each, seed))) for each, seed in pairs]

    def _reply(self, conversation: Conversation, seed: int) -> Reply:
        if callable(self.script):
            return self.script(conversation, seed)
        turn = sum(message.role == "assistant" for message in conversation.messages)
        return self.script[min(turn, len(self.script) - 1)]


@frozen
class ScriptedJudge:
    """Gives one score in [0, 3] or verdict to all, or what a function of prototype and subgoal gives."""

    name: ClassVar[str] = "scripted-judge"
    script: Judged | Callable[[Prototype, Subgoal], Judged] = 3.0

    def build(self) -> Self:
        return self

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        return [self._verdict(request) for request in requests]

    def _verdict(self, request: JudgeRequest) -> Verdict:
        answer = self.script(request.prototype, request.subgoal) if callable(self.script) else self.script
        return answer if isinstance(answer, Verdict) else Verdict(status="scored", score=answer)


@frozen(eq=False)
class ScriptedEndpoint:
    """A model behind a `ModelJudge` that replies as told: a text, or what a function of the prompt gives.

    A function may also give a whole reply, or raise CallError. `asked` holds each prompt and its sample index.
    """

    script: str | Callable[[Prompt, int], str | ModelReply]
    probabilities: bool = False
    identity: Mapping[str, Any] = field(factory=lambda: {"judge": "scripted", "model": "none"})
    asked: list[tuple[Prompt, int]] = field(factory=list)

    async def ask(self, prompt: Prompt, sample: int) -> ModelReply:
        self.asked.append((prompt, sample))
        reply = self.script(prompt, sample) if callable(self.script) else self.script
        return ModelReply(text=reply) if isinstance(reply, str) else reply


@frozen
class ScriptedModel:
    """A judge with a model that replies as told, for parts that borrow a judge's model."""

    name: ClassVar[str] = "scripted-model"
    script: Callable[[Prompt, int], str | ModelReply] | str
    probabilities: bool = False
    prompt_tokens: int = 8000
    asked: list[tuple[Prompt, int]] = field(factory=list, eq=False)

    def build(self) -> ModelJudge:
        endpoint = ScriptedEndpoint(self.script, probabilities=self.probabilities, asked=self.asked)
        return ModelJudge(endpoint=endpoint, prompt_tokens=self.prompt_tokens)


@frozen
class ScriptedOptimizer:
    """Moves the version of a policy on and leaves it as it is; its metrics are given, or a function of the version."""

    name: ClassVar[str] = "scripted-optimizer"
    metrics: Mapping[str, float] | Callable[[int], Mapping[str, float]] = field(factory=dict)
    learns_from: Literal["rollouts", "demonstrations"] = "rollouts"

    def build(self) -> Self:
        return self

    def step(self, policy: Any, batch: Sequence[Any]) -> Mapping[str, float]:  # noqa: ARG002
        policy.version += 1
        return self.metrics(policy.version) if callable(self.metrics) else self.metrics

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


@frozen
class FixedLibrary:
    """A library that is there already."""

    name: ClassVar[str] = "fixed-library"
    library: Library

    def build(self) -> Library:
        return self.library


@frozen
class FixedSegmenter:
    """Cuts every trajectory before the given messages; by default it is one span."""

    name: ClassVar[str] = "fixed"
    cuts: tuple[int, ...] = ()

    def build(self) -> Self:
        return self

    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        return [self._spans(len(trajectory.messages)) for trajectory in trajectories]

    def _spans(self, length: int) -> list[Span]:
        borders = [0, *(cut for cut in self.cuts if 0 < cut < length), length]
        return [Span((start, 0), (end, 0)) for start, end in pairwise(borders) if start < end]


@frozen(eq=False)
class RecordingTracker:
    """Keeps the events in a list; `closed` holds True once it was closed."""

    name: ClassVar[str] = "recording"
    events: list[Mapping[str, Any]] = field(factory=list)
    closed: list[bool] = field(factory=list)

    def build(self) -> Self:
        return self

    def log(self, event: Mapping[str, Any]) -> None:
        self.events.append(dict(event))

    def close(self) -> None:
        self.closed.append(True)


def _as_message(reply: Reply) -> Message:
    return Message(role="assistant", content=reply, raw=reply) if isinstance(reply, str) else reply
