"""The router `llm`: a model says which prototype a subgoal exercises.

subgoal --lexical--> shortlist --prompt--> reply (remembered or asked for) --read--> prototype and confidence

The shortlist is what `lexical` ranks first, and `general`. Where the model gives no answer of the list, the route is that
of `lexical`, with a confidence of 0.1 at most. A model that gives probabilities says how sure it is; one that writes
does not, so its answer counts as surer where `lexical` puts the same prototype first.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import structlog
from attrs import field, frozen
from attrs.validators import ge

from scribe_core.aio import gathered
from scribe_core.builders import part
from scribe_core.builtin.lexical import Lexical, LexicalRouter
from scribe_core.builtin.routing_prompt import render
from scribe_core.judging.asking import CallError, Prompt
from scribe_core.judging.lending import Model, borrow
from scribe_core.judging.replies import Answer, read_probabilities, read_reply
from scribe_core.protocols import Builder, Judge, Route, Router
from scribe_core.skills import GENERAL, Library
from scribe_core.types import Subgoal

log = structlog.get_logger("scribe.router")

AGREED, ALONE = 0.9, 0.6
"""How sure a written answer is, where `lexical` agrees and where it does not. Set by hand."""
UNASKED = 0.1
"""The highest confidence of a route that the model had no part in."""

Ranked = list[tuple[str, float]]


@frozen(kw_only=True)
class LLMRouter:
    """Asks a model which prototype fits, out of those that `lexical` ranks first.

    Any judge with one model lends it: `openai`, `litellm`, `hf`, or `cached` around one of these.
    """

    name: ClassVar[str] = "llm"

    judge: Builder[Judge] = part("judges")
    """Whose model is asked; how it judges is of no account."""
    shortlist: int = field(default=12, validator=ge(1))
    """How many prototypes the model chooses from, beside `general`."""

    def build(self) -> Router:
        """Raises ConfigError where the judge has no model."""
        return _ModelRouter(borrow(self.judge), Lexical().build(), self.shortlist)


@frozen
class _ModelRouter:
    model: Model
    lexical: LexicalRouter
    shortlist: int

    async def route(self, subgoals: Sequence[Subgoal], library: Library) -> list[Route]:
        opinions, routes = (
            await self._opinions(subgoals, library),
            await self.lexical.route(subgoals, library),
        )
        return [
            Route(prototype=library[opinion[0][0]], confidence=opinion[0][1])
            if opinion
            else Route(prototype=route.prototype, confidence=min(route.confidence, UNASKED))
            for opinion, route in zip(opinions, routes, strict=True)
        ]

    async def rank(self, subgoals: Sequence[Subgoal], library: Library) -> list[Ranked]:
        """For each subgoal, ids with their confidence: first what the model chose from, then what is left."""
        opinions, ranked = await self._opinions(subgoals, library), await self.lexical.rank(subgoals, library)
        return [
            opinion or [(id_, min(confidence, UNASKED)) for id_, confidence in others]
            for opinion, others in zip(opinions, ranked, strict=True)
        ]

    async def _opinions(self, subgoals: Sequence[Subgoal], library: Library) -> list[Ranked]:
        """What the model says of each; nothing where it says nothing of use."""
        ranked = await self.lexical.rank(subgoals, library)
        found = await gathered(
            self._opinion(subgoal, library, each) for subgoal, each in zip(subgoals, ranked, strict=True)
        )
        if causes := [cause for _, cause in found if cause]:
            log.warning("routed_without_model", routes=len(causes), of=len(subgoals), cause=causes[0])
        return [opinion for opinion, _ in found]

    async def _opinion(self, subgoal: Subgoal, library: Library, ranked: Ranked) -> tuple[Ranked, str]:
        """Ids with confidences, or why there are none."""
        # By id, so that subgoals with the same shortlist share the beginning of their prompts.
        shown = sorted(id_ for id_, _ in ranked[: self.shortlist])
        if not shown:
            return [], ""
        prototypes = [*(library[id_] for id_ in shown), library.general]
        prompt = render(subgoal, prototypes, self.model.prompt_tokens)
        if prompt is None:
            return [], "the shortlist does not fit into prompt_tokens"
        try:
            answer = await self.model.ask(prompt, lambda text: self._read(text, prompt))
        except CallError as error:
            return [], str(error)
        if answer.probabilities is not None:
            return _by_probability(answer.probabilities), ""
        return _as_written(answer.answer, ranked), ""

    def _read(self, text: str, prompt: Prompt) -> Answer | None:
        read = read_probabilities if self.model.endpoint.probabilities else read_reply
        return read(text, prompt.questions).get("skill")


def _by_probability(chances: Mapping[str, float]) -> Ranked:
    # Where two are equally likely, the one that says less wins.
    return sorted(chances.items(), key=lambda each: (-each[1], each[0] != GENERAL, each[0]))


def _as_written(answer: str, ranked: Ranked) -> Ranked:
    """The answer first, the others behind it as `lexical` ranks them."""
    sure = AGREED if answer == ranked[0][0] else ALONE
    rest = [(id_, min(confidence, 1 - sure)) for id_, confidence in ranked if id_ != answer]
    return [(answer, sure), *rest]
