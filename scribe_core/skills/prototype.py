"""A skill prototype: when a skill applies, what success looks like, and what each mistake leads to."""

from typing import Any, Literal

from attrs import field, frozen

from scribe_core.types import Json

Level = Literal["planning", "skill", "execution"]
Scope = Literal["subgoal", "trajectory"]


@frozen(kw_only=True)
class Check:
    """A yes/no question about a span; a failed one lowers the score to at most `caps`.

    `program` names the code that decides it; without one a model is asked.
    """

    id: str
    question: str
    caps: int
    program: str | None = None
    evidence: Literal["required", "absence", "none"] = "none"


@frozen(kw_only=True)
class FailureMode:
    """A recurring mistake; where it is found the score is at most `caps`. `program` names code that finds it."""

    id: str
    description: str
    caps: int
    example: str = ""
    program: str | None = None


@frozen(kw_only=True)
class Routing:
    """What a router learns from: subgoals of this skill, and the skills it is mistaken for."""

    exemplars: tuple[str, ...] = ()
    confusable_with: tuple[str, ...] = ()


@frozen(kw_only=True)
class CalibrationCase:
    """A span whose score is known: `span` is a trajectory in scribe's own format, judged as one subgoal."""

    span: Json
    score: float
    source: str


@frozen(kw_only=True)
class Prototype:
    """One reusable rubric (one YAML file). `digest` is the sha256 of its canonical JSON."""

    schema_version: int
    id: str
    version: int
    title: str
    level: Level
    scope: Scope
    domain: tuple[str, ...]
    when_to_use: str
    when_not_to_use: str
    reasoning_pattern: tuple[str, ...]
    rubric: dict[int, str]
    checks: tuple[Check, ...]
    failure_modes: tuple[FailureMode, ...]
    routing: Routing = field(factory=Routing)
    calibration: tuple[CalibrationCase, ...] = ()
    provenance: dict[str, Any] = field(factory=dict)
    lifecycle: dict[str, Any] = field(factory=dict)
    digest: str = ""
