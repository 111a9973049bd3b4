"""A skill library: prototypes by id, with a digest that any change to any of them changes."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, field, frozen

from scribe_core.errors import ConfigError
from scribe_core.skills.content import digest_of
from scribe_core.skills.prototype import Prototype
from scribe_core.spans import canonical_json

GENERAL = "general"
"""The id of the prototype that judges what nothing else fits."""


def _by_id(prototypes: Iterable[Prototype]) -> dict[str, Prototype]:
    found: dict[str, Prototype] = {}
    for prototype in prototypes:
        whole = evolve(prototype, digest=digest_of(prototype))
        if found.setdefault(whole.id, whole).digest != whole.digest:
            raise ConfigError(f"two different prototypes have the id {whole.id!r}; rename one of them")
    return dict(sorted(found.items()))


@frozen(eq=False)
class Library(Mapping[str, Prototype]):
    """An immutable mapping from id to prototype, ordered by id; `source` says where they are from."""

    _prototypes: dict[str, Prototype] = field(converter=_by_id)
    source: str = "library"
    digest: str = field(init=False)

    @digest.default
    def _digest(self) -> str:
        digests = {prototype.id: prototype.digest for prototype in self._prototypes.values()}
        return hashlib.sha256(canonical_json(digests).encode()).hexdigest()

    def __getitem__(self, key: str) -> Prototype:
        return self._prototypes[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._prototypes)

    def __len__(self) -> int:
        return len(self._prototypes)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def general(self) -> Prototype:
        """The prototype that judges what nothing else fits. Raises ConfigError where there is none."""
        general = self._prototypes.get(GENERAL)
        if general is None or general.scope != "subgoal":
            raise ConfigError(
                f"{self.source} has no prototype {GENERAL!r} of scope 'subgoal', which judges "
                f"what nothing else fits; add a file with id: {GENERAL}, or another library that has one"
            )
        return general

    def subgoal_prototypes(self) -> tuple[Prototype, ...]:
        """Those that judge a subgoal's span, the general one included."""
        return tuple(prototype for prototype in self.values() if prototype.scope == "subgoal")

    def trajectory_prototypes(self) -> tuple[Prototype, ...]:
        """Those that judge the whole of a trajectory, once."""
        return tuple(prototype for prototype in self.values() if prototype.scope == "trajectory")


def merge(libraries: Iterable[Library]) -> Library:
    """One library of several. Raises ConfigError where two have different prototypes of one id."""
    libraries = tuple(libraries)
    owner: dict[str, Library] = {}
    for library in libraries:
        for id_, prototype in library.items():
            first = owner.setdefault(id_, library)
            if first[id_].digest != prototype.digest:
                raise ConfigError(
                    f"{first.source} and {library.source} both have a prototype {id_!r}, and they differ; "
                    f"rename one, or leave one library out"
                )
    source = " + ".join(dict.fromkeys(library.source for library in libraries))
    return Library((library[id_] for id_, library in owner.items()), source)
