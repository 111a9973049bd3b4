"""The router `trained`: a linear head over signs and words, fitted on exemplars and on labelled subgoals."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attrs import field, frozen
from attrs.validators import ge, le

from scribe_core.labelled import LabelledFile, read_labelled
from scribe_core.protocols import Route, Router
from scribe_core.skills import Library
from scribe_core.spans import canonical_json
from scribe_core.types import Subgoal

if TYPE_CHECKING:
    from scribe_router_trained.embeddings import Embedding
    from scribe_router_trained.head import Head


@frozen(kw_only=True)
class TrainedRouter:
    """Routes by a calibrated linear head, fitted on exemplars and on labelled subgoals; asks no model.

    It is fitted once per library, members and options, in seconds, and always to the same weights.
    """

    name: ClassVar[str] = "trained"

    members: str | None = None
    """A JSONL file of labelled subgoals; without it, the exemplars of the library are all there is."""
    min_confidence: float = field(default=0.2, validator=[ge(0), le(1)])
    """Below it, the prototype `general` judges."""
    embedding: str = "tfidf"
    """"tfidf" (words alone), or beside it "wordllama", "minilm", or the folder of a sentence-transformers model."""
    own_words: float = field(default=0.5, validator=[ge(0), le(4)])
    """How much the policy's own words weigh, against 1 for those of the request; 0 reads none of them."""
    head: str | None = None
    """A file (.npz) that keeps the fitted head: read where it was fitted on the same, else written."""

    def build(self) -> Router:
        """Reads the members and loads the embedding. Raises DataError and ConfigError where they cannot be."""
        from scribe_router_trained.embeddings import load_embedding

        members = LabelledFile() if self.members is None else read_labelled(Path(self.members))
        return _TrainedRouter(self, members, load_embedding(self.embedding))


@frozen
class _TrainedRouter:
    options: TrainedRouter
    members: LabelledFile
    embedding: "Embedding"

    async def route(self, subgoals: Sequence[Subgoal], library: Library) -> list[Route]:
        return [self._route(ranked, library) for ranked in await self.rank(subgoals, library)]

    async def rank(self, subgoals: Sequence[Subgoal], library: Library) -> list[list[tuple[str, float]]]:
        """For each subgoal, all prototypes' ids with their probabilities, best first."""
        from scribe_router_trained.features import of_subgoal

        if not subgoals:
            return []
        head = _head(self.options, self.members, self.embedding, library)
        ranked = []
        for subgoal in subgoals:
            features = of_subgoal(subgoal)
            chances = head.probabilities(features, self.embedding(features.texts))
            pairs = ((id_, float(chance)) for id_, chance in zip(head.ids, chances, strict=True))
            ranked.append(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
        return ranked

    def _route(self, ranked: list[tuple[str, float]], library: Library) -> Route:
        id_, confidence = ranked[0]
        confidence = min(confidence, 1.0)
        if confidence < self.options.min_confidence:
            return Route(prototype=library.general, confidence=1 - confidence)
        return Route(prototype=library[id_], confidence=confidence)


@lru_cache(maxsize=8)
def _head(options: TrainedRouter, members: LabelledFile, embedding: "Embedding", library: Library) -> "Head":
    from scribe_router_trained.examples import rows_of
    from scribe_router_trained.head import fit, load, save

    digest = _digest(options, members, library)
    path = Path(options.head) if options.head else None
    if path is not None and path.exists():
        head = load(path)
        if head.digest == digest and {*head.ids} <= {*library}:
            return head
    head = fit(rows_of(members, embedding, library), digest, options.own_words)
    if path is not None:
        save(head, path)
    return head


def _digest(options: TrainedRouter, members: LabelledFile, library: Library) -> str:
    """Of all that a head depends on."""
    from scribe_router_trained.features import VERSION

    kept = {name: getattr(options, name) for name in ("embedding", "own_words")}
    content = {"library": library.digest, "members": members.digest, "features": VERSION, **kept}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
