"""Which prototypes of a library are near to a given one."""

from collections.abc import Iterable

from attrs import frozen

from scribe_core.skills.lint import alike
from scribe_core.skills.prototype import Prototype


@frozen(kw_only=True)
class Near:
    """A prototype, and how much of what it says about itself another one says too, in [0, 1]."""

    prototype: Prototype
    share: float


def nearest(prototype: Prototype, others: Iterable[Prototype], most: int = 3) -> list[Near]:
    """Those most like it by when they apply and by their exemplars, nearest first; itself is left out."""
    found = [
        Near(prototype=other, share=alike(_text(prototype), _text(other)))
        for other in others
        if other.id != prototype.id or other.digest != prototype.digest
    ]
    return sorted(found, key=lambda each: (-each.share, each.prototype.id))[:most]


def _text(prototype: Prototype) -> str:
    return " ".join([prototype.when_to_use, *prototype.routing.exemplars])
