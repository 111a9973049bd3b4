"""The hooks a plugin may implement. Each takes nothing and yields builder classes.

A plugin is a package with an entry point in the group `scribe_core` whose value is a light module:

    from scribe_core import hookimpl

    @hookimpl
    def scribe_judges():
        from my_package.judge import MyJudge
        yield MyJudge

`scribe_core.protocols` says what each builder's `build()` returns.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from scribe_core.protocols import Builder

hookspec = pluggy.HookspecMarker("scribe_core")

GROUP = "scribe_core"


@hookspec
def scribe_tools() -> Iterable[type["Builder[Any]"]]:
    """A tool: a JSON-schema spec, and a call that turns every failure into an observation."""
    return ()


@hookspec
def scribe_environments() -> Iterable[type["Builder[Any]"]]:
    """Tasks by split, and a single-use session per task."""
    return ()


@hookspec
def scribe_policies() -> Iterable[type["Builder[Any]"]]:
    """Generation for a batch of conversations; trainable ones also give log-probabilities."""
    return ()


@hookspec
def scribe_segmenters() -> Iterable[type["Builder[Any]"]]:
    """Trajectories to ordered, disjoint subgoal spans."""
    return ()


@hookspec
def scribe_skill_libraries() -> Iterable[type["Builder[Any]"]]:
    """A mapping from id to prototype, with a digest."""
    return ()


@hookspec
def scribe_routers() -> Iterable[type["Builder[Any]"]]:
    """Subgoals and a library to routes: a prototype and a confidence."""
    return ()


@hookspec
def scribe_programs() -> Iterable[type["Builder[Any]"]]:
    """A program that decides one rubric question without a model."""
    return ()


@hookspec
def scribe_judges() -> Iterable[type["Builder[Any]"]]:
    """Judge requests to verdicts."""
    return ()


@hookspec
def scribe_aggregators() -> Iterable[type["Builder[Any]"]]:
    """Verdicts and outcome to a reward."""
    return ()


@hookspec
def scribe_optimizers() -> Iterable[type["Builder[Any]"]]:
    """One learning step of a trainable policy on groups of scored trajectories."""
    return ()


@hookspec
def scribe_miners() -> Iterable[type["Builder[Any]"]]:
    """Trajectories to draft prototypes."""
    return ()


@hookspec
def scribe_trackers() -> Iterable[type["Builder[Any]"]]:
    """A sink for run events."""
    return ()


@hookspec
def scribe_commands() -> Iterable[type["Builder[Any]"]]:
    """A click command; its name and help are static, so that `--help` imports nothing."""
    return ()


KINDS = tuple(name.removeprefix("scribe_") for name in list(globals()) if name.startswith("scribe_"))
