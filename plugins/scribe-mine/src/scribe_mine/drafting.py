"""A cluster as a draft prototype: what programs found decides checks and caps, statistics write the words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from scribe_core.judging.programs import find_all
from scribe_core.skills import GENERAL, CalibrationCase, Check, FailureMode, Prototype, Routing, apply_rubric
from scribe_core.trajectories import dump_trajectory
from scribe_mine import wording
from scribe_mine.failing import (
    Failing,
    Prior,
    ToolError,
    applying,
    blames_ahead,
    failing,
    findings,
    prior_of,
    questions,
    spread,
    tool_errors,
)
from scribe_mine.members import Member

MAX_MODES = 5
MAX_EXEMPLARS = 12
MAX_CASES = 4
MAX_CASE_CHARS = 8_000
MAX_MEMBER_IDS = 100
TOPICS = 8

_FILLERS = {
    0: ("nothing-done", "Nothing that the situation calls for is done."),
    1: ("main-part-missing", "The main part of what the situation calls for is missing or wrong."),
    2: ("detail-off", "What the situation calls for is done, but a detail of it is off."),
}
_RUBRIC = {
    0: "It fails at the root",
    1: "What matters most is missing or wrong",
    2: "It is done, with one doubt",
}


@frozen(kw_only=True)
class Corpus:
    """What all clusters are drafted against: the programs, what they found anywhere, and how many use each word."""

    holds: dict[str, str]
    prior: Prior
    request: Mapping[str, int]
    said: Mapping[str, int]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, members: Sequence[Member], settings: Mapping[str, Any]) -> "Corpus":
        holds, sample = questions(), spread(members)
        found = findings(sample, list(holds))
        ahead = blames_ahead(sample, found)
        return cls(
            holds={name: text for name, text in holds.items() if name not in ahead},
            prior=prior_of(sample, found),
            request=Counter(word for member in members for word in set(member.request)),
            said=Counter(word for member in members for word in set(member.said)),
            settings=settings,
        )


def draft(members: Sequence[Member], corpus: Corpus) -> Prototype:
    """The draft of a cluster, whose most central members come first."""
    found = wording.shares(members)
    judged = spread(members)
    answers = findings(judged, list(corpus.holds))
    wrong = failing(judged, answers, corpus.holds, corpus.prior)
    errors = tool_errors(members)
    checks = _checks(wrong, applying(answers, corpus.holds), corpus.holds)
    prototype = Prototype(
        schema_version=1,
        id=wording.name(found)[:64].strip("-"),
        version=1,
        title=wording.title(found),
        level="skill",
        scope="subgoal",
        domain=("function-calling",) if found.get("no call made", 0) < 1 else ("dialogue",),
        when_to_use=applies(members, corpus),
        when_not_to_use=wording.when_not_to_use(found),
        reasoning_pattern=wording.reasoning_pattern(found, wording.typical(members, corpus.said, "said", 5)),
        rubric=_rubric(wrong),
        checks=checks,
        failure_modes=tuple(_modes(wrong, errors, checks)),
        routing=Routing(exemplars=tuple(_exemplars(members, corpus))),
        provenance=_provenance(members, len(judged), wrong, errors, corpus.settings),
        lifecycle={"status": "draft"},
    )
    return evolve(prototype, calibration=tuple(_calibration(prototype, judged)))


def applies(members: Sequence[Member], corpus: Corpus) -> str:
    """When the skill of a cluster applies."""
    topics = wording.typical(members, corpus.request, "request", TOPICS)
    return wording.when_to_use(wording.shares(members), topics, _kinds(members))


def draft_general(members: Sequence[Member], corpus: Corpus) -> Prototype:
    """The prototype for what nothing else fits: what goes wrong anywhere, and no exemplars."""
    return evolve(
        draft(members, corpus),
        id=GENERAL,
        title="What no other skill fits",
        domain=("any",),
        when_to_use="No other prototype of the library describes the situation and the action.",
        when_not_to_use="Another prototype fits.",
        routing=Routing(),
    )


def _checks(wrong: Sequence[Failing], sound: Sequence[str], holds: Mapping[str, str]) -> tuple[Check, ...]:
    """By programs that tell good from bad; where none does, by those that apply; else one question for a model."""
    if wrong:
        ordered = sorted(wrong, key=lambda each: (each.caps, -each.fails, each.program))
        return tuple(_check(each.program, each.holds, each.caps) for each in ordered)
    if sound:
        return tuple(_check(name, holds[name], 1) for name in sound[:MAX_MODES])
    return (Check(id="does-what-is-due", question="Does the span do what its situation calls for?", caps=1),)


def _check(program: str, holds: str, caps: int) -> Check:
    return Check(id=_slug(program), question=f"Is it so: {holds}?", caps=caps, program=program)


def _modes(
    wrong: Sequence[Failing], errors: Sequence[ToolError], checks: Sequence[Check]
) -> Iterator[FailureMode]:
    """What really failed, most frequent first; then words for each level that nothing reaches yet."""
    reached = {check.caps for check in checks}
    for each in [each for each in wrong if each.fails][:MAX_MODES]:
        # By the same program as the check: no model is asked once more, and the report counts it by name.
        yield FailureMode(
            id=f"not-{_slug(each.program)}"[:64].rstrip("-"),
            description=f"It is not so that {each.holds}.",
            caps=each.caps,
            example=f"In {each.fails / each.of:.0%} of the members that were judged.",
            program=each.program,
        )
    for number, error in enumerate(errors, 1):
        reached.add(1)
        yield FailureMode(
            id=f"tool-error-{number}",
            description=f"What is done leads to an error like this: {error.text}",
            caps=1,
        )
    for level, (id_, description) in _FILLERS.items():
        if level not in reached:
            yield FailureMode(id=id_, description=description, caps=level)


def _rubric(wrong: Sequence[Failing]) -> dict[int, str]:
    """Each level in the words of the failures that lead to it."""
    rubric = {3: "All that the situation calls for is done, and every check that applies holds."}
    for level, text in _RUBRIC.items():
        seen = [f"it is not so that {each.holds}" for each in wrong if each.caps == level][:3]
        rubric[level] = f"{text}: {', or '.join(seen)}." if seen else f"{_FILLERS[level][1]}"
    return dict(sorted(rubric.items()))


def _exemplars(members: Sequence[Member], corpus: Corpus) -> Iterator[str]:
    """One for each combination of phrases, frequent ones first, by its most central member; then more topics."""
    known = set(wording.typical(members, corpus.request, "request", 60))
    combinations: dict[frozenset[str], list[Member]] = {}
    for member in members:
        combinations.setdefault(member.phrases, []).append(member)
    ordered = sorted(combinations.values(), key=len, reverse=True)
    enough = [each for each in ordered if len(each) >= max(2, len(members) // 100)] or ordered[:1]
    texts: dict[str, None] = {}
    for place in range(MAX_EXEMPLARS):
        for own in enough:
            # The most central one first, then members far from it: they are ordered by their distance.
            member = own[min(place * max(1, len(own) // MAX_EXEMPLARS), len(own) - 1)]
            topics = list(dict.fromkeys(word for word in member.request if word in known))[:6]
            texts["; ".join([*sorted(member.phrases), *([" ".join(topics)] if topics else [])])] = None
    yield from list(texts)[:MAX_EXEMPLARS]


def _calibration(prototype: Prototype, judged: Sequence[Member]) -> Iterator[CalibrationCase]:
    """Members of different scores, where the score that follows from the programs agrees with the outcome."""
    seen: set[float] = set()
    for member in filter(_stands_alone, judged):
        alone = member.alone()
        case = dump_trajectory(alone.subgoal.trajectory)
        if len(seen) == MAX_CASES:
            return
        if len(str(case)) > MAX_CASE_CHARS:
            continue
        found = find_all(prototype, alone.subgoal)
        score = apply_rubric(prototype, found, found).score
        agrees = member.outcome is None or (score is not None and (score >= 2) == (member.outcome >= 0.5))
        if score is not None and score not in seen and agrees:
            seen.add(score)
            yield CalibrationCase(span=case, score=score, source=f"mined: {member.id}")


def _stands_alone(member: Member) -> bool:
    """Whether the span is all that follows the last request, which is what a calibration case judges."""
    span, messages = member.subgoal.span, member.subgoal.trajectory.messages
    before = messages[: span.start[0]]
    return bool(before) and before[-1].role == "user" and span.start[1] == 0 and span.end[1] == 0


def _provenance(
    members: Sequence[Member],
    judged: int,
    wrong: Sequence[Failing],
    errors: Sequence[ToolError],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    known = [member.outcome for member in members if member.outcome is not None]
    return {
        "source": "mined",
        "author": "scribe-mine",
        "notes": "A draft: wording by templates, checks and caps by what programs found in the members.",
        "mined": {
            "n": len(members),
            "judged": judged,
            "mean_outcome": round(sum(known) / len(known), 4) if known else None,
            "goals": [goal for goal, _ in Counter(m.goal for m in members if m.goal).most_common(5)],
            "failed": {each.program: each.fails for each in wrong if each.fails},
            "tool_errors": {error.text: error.count for error in errors},
            "settings": dict(settings),
            "members": [member.id for member in members[:MAX_MEMBER_IDS]],
        },
    }


def _kinds(members: Sequence[Member]) -> list[str]:
    """The types that most arguments have."""
    counts: Counter[str] = Counter()
    for member in members:
        counts.update(member.shape)
    total = sum(counts.values())
    return [kind for kind, count in counts.most_common(2) if total and count >= 0.25 * total]


def _slug(program: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in program.lower()).split())[:64].rstrip("-")
