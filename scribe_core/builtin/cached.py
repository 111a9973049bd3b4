"""The judge `cached`: another judge, with a memory of what its model replied."""

from typing import ClassVar

from attrs import frozen

from scribe_core.builders import build, part
from scribe_core.errors import ConfigError
from scribe_core.judging.asking import Remembering
from scribe_core.judging.cache import ReplyCache
from scribe_core.judging.estimate import estimate, perhaps
from scribe_core.protocols import Builder, Estimate, Judge
from scribe_core.skills import Prototype


@frozen(kw_only=True)
class Cached:
    """Another judge, which asks its model nothing twice.

    The replies are kept in an SQLite file that many processes may share; they are read and judged anew each time.
    What a reply depends on decides whether it is known: judge, endpoint, model and the revision that the endpoint
    reported last, sampling settings, template, schema, prototype, messages and sample. Failures, refusals and
    replies that cannot be read are not kept.
    """

    name: ClassVar[str] = "cached"

    judge: Builder[Judge] = part("judges")
    path: str = "judge.sqlite"

    def build(self) -> Judge:
        """Raises ConfigError where the judge asks no model, or the file cannot be used."""
        judge = build(self.judge)
        if not isinstance(judge, Remembering):
            raise ConfigError(
                f"judge: {self.judge.name!r} asks no model, so that `cached` has nothing to remember; use it as it "
                "is, or put `cached` around a judge that asks a model, or around a panel with one"
            )
        return judge.remembering(ReplyCache(self.path))

    def estimate(self, prototype: Prototype) -> Estimate | None:
        inner = estimate(self.judge, prototype)
        return inner and perhaps(inner)
