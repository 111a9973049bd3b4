"""What a model that judges is asked, and what it replies: the seam between judges and the models behind them."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, runtime_checkable

from attrs import evolve, field, frozen

from scribe_core.errors import RunError
from scribe_core.protocols import Judge
from scribe_core.spans import canonical_json
from scribe_core.types import Json, Usage

Mode = Literal["checklist", "holistic", "direct"]


@frozen(kw_only=True)
class Question:
    """One thing that a model is asked about a span; `answers` are the only replies that count."""

    id: str
    text: str
    answers: tuple[str, ...]
    quote: bool = False
    """Whether the model is asked for a verbatim quote of the span, before its answer."""
    needs_quote: bool = False
    """Whether an answer without one does not count."""


@frozen(kw_only=True)
class Prompt:
    """A conversation of two messages, and the questions that it asks.

    The reply is a JSON object that `schema` describes: for each question an object with a reason, a quote
    where one is asked for, and the answer, in this order. `fence` is the random mark around what the policy wrote.
    """

    system: str
    user: str
    questions: tuple[Question, ...]
    schema: Json
    template: str
    fence: str

    @property
    def identity(self) -> Json:
        """What makes two prompts the same question; the random mark does not."""
        return {
            "system": self.system.replace(self.fence, "FENCE"),
            "user": self.user.replace(self.fence, "FENCE"),
            "schema": self.schema,
            "template": self.template,
        }


@frozen(kw_only=True)
class Reply:
    """What a model replied, as it came.

    `text` is what it wrote, or, from an endpoint with `probabilities`, a JSON object of the probability of each
    answer by question. `revision` is what the endpoint says of the model behind its name. `refused` tells that
    the model, or a filter before it, would not answer.
    """

    text: str
    usage: Usage = field(factory=lambda: Usage(calls=1))
    revision: str = ""
    refused: bool = False

    def without(self, secret: str) -> "Reply":
        """The same with `secret` blanked."""
        if secret not in self.text + self.revision:
            return self
        text, revision = self.text.replace(secret, "***"), self.revision.replace(secret, "***")
        return evolve(self, text=text, revision=revision)


class CallError(RunError):
    """A model could not be asked: retries, a limit or a budget are exhausted. Its text is the cause."""

    def __init__(self, cause: str, usage: Usage | None = None) -> None:
        super().__init__(cause)
        self.usage = usage or Usage()


class TooLongError(CallError):
    """A prompt has more tokens than the model has room for; a shorter one may be asked."""


class Endpoint(Protocol):
    """A model that can be asked: a server, or local weights."""

    @property
    def identity(self) -> Json:
        """Judge, endpoint, model and sampling settings: all but the prompt that a reply depends on. No secrets."""

    @property
    def probabilities(self) -> bool:
        """Whether replies hold the probabilities of answers rather than text."""

    async def ask(self, prompt: Prompt, sample: int) -> Reply:
        """One reply; `sample` tells draws of one prompt apart. Raises CallError, and nothing else.

        Called once for each prompt, many at a time: an endpoint limits and batches by itself.
        """


class Replies(Protocol):
    """Remembers replies by what was asked."""

    async def reply(
        self, asked: Json, ask: Callable[[], Awaitable[Reply]], worth_keeping: Callable[[Reply], bool]
    ) -> tuple[Reply, bool]:
        """The reply that is remembered for `asked`, or else that of `ask`, and whether it was remembered.

        `asked["endpoint"]` is the endpoint's identity: what it reports of its revision holds for all of its replies.
        Equal questions that come at the same time are asked once. What `ask` raises is raised, and not remembered.
        """


@runtime_checkable
class Remembering(Protocol):
    """A judge that can be given a memory."""

    def remembering(self, replies: Replies) -> Judge:
        """The same judge, which asks nothing that `replies` knows."""


def digest(asked: Json) -> str:
    """The sha256 of a JSON object in canonical form."""
    return hashlib.sha256(canonical_json(asked).encode("utf-8", "surrogatepass")).hexdigest()
