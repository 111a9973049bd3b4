"""What a head is fitted on: completed exemplars, labelled subgoals, and twins of those that say something else.

A twin is a labelled subgoal in which the policy's words are those of a subgoal of another skill. From twins the
head learns how far it may trust words: not at all where the rest of the subgoal tells its skill, and much where
nothing else does.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from attrs import evolve
from structlog import get_logger

from scribe_core.errors import ConfigError
from scribe_core.labelled import LabelledFile
from scribe_core.skills import GENERAL, Library, Prototype
from scribe_router_trained.embeddings import Embedding
from scribe_router_trained.features import of_exemplar, of_subgoal
from scribe_router_trained.head import Row

_DRAWS = 3
"""How often an exemplar is completed."""


def rows_of(members: LabelledFile, embedding: Embedding, library: Library) -> list[Row]:
    """All rows, always in one order. Raises ConfigError where they tell no two prototypes apart."""
    known = {prototype.id: prototype for prototype in library.subgoal_prototypes()}
    _check_known(members, known, library)
    rows = [*_exemplars(known.values()), *_members(members, known)]
    rows += _twins(rows)
    if len({row.skill for row in rows}) < 2:
        raise ConfigError(
            f"{library.source}: router 'trained' needs two prototypes with exemplars or members; add some, "
            f"or route with 'lexical'"
        )
    return [evolve(row, dense=embedding(row.features.texts)) for row in rows]


def _exemplars(prototypes: Iterable[Prototype]) -> Iterator[Row]:
    for prototype in sorted(prototypes, key=lambda prototype: prototype.id):
        for number, text in enumerate(prototype.routing.exemplars if prototype.id != GENERAL else ()):
            for draw in range(_DRAWS):
                rng = Random(f"{prototype.id}/{number}/{draw}")  # noqa: S311 - no secret
                group = f"exemplars/{prototype.id}/{number}"
                yield Row(features=of_exemplar(text, rng), skill=prototype.id, group=group, measured=False)


def _members(members: LabelledFile, known: Iterable[str]) -> Iterator[Row]:
    for number, member in enumerate(members.items):
        if member.skill in known:
            rng = Random(f"members/{number}")  # noqa: S311
            features = of_subgoal(member.subgoal) if member.subgoal else of_exemplar(member.text, rng)
            measured = member.subgoal is not None
            yield Row(features=features, skill=member.skill, group=member.task, measured=measured)


def _twins(rows: Sequence[Row]) -> Iterator[Row]:
    speaking = [row for row in rows if row.measured and row.features.own]
    for number, row in enumerate(speaking):
        others = [other for other in speaking if other.skill != row.skill]
        if others:
            other = Random(f"twins/{number}").choice(others).features  # noqa: S311
            texts = (row.features.texts[0], other.texts[1])
            yield evolve(row, features=evolve(row.features, own=other.own, texts=texts), measured=False)


def _check_known(members: LabelledFile, known: Iterable[str], library: Library) -> None:
    """Members of prototypes that a library lacks teach nothing; a file of nothing else is the wrong file."""
    skills = {member.skill for member in members.items}
    strange = sorted(skills - {*known})
    if strange and len(strange) == len(skills):
        raise ConfigError(
            f"members: {members.source} has no member of a prototype of {library.source}; "
            f"its skills are {', '.join(strange[:5])}"
        )
    if strange:
        get_logger().warning(
            "members of unknown prototypes are left out", skills=strange, file=members.source
        )
