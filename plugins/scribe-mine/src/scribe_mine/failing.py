"""What really went wrong in a cluster: which programs fail there, how that relates to outcomes, which errors tools gave.

A program is worth asking where its answers differ and where members that fail it end worse than those that pass it.
How much worse says how much a failure may leave: its cap.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from attrs import frozen

from scribe_core.builtin.situation import is_error
from scribe_core.judging.programs import find_all
from scribe_core.registry import Registry
from scribe_core.skills import Check, Prototype
from scribe_core.spans import span_messages
from scribe_core.types import Answer
from scribe_mine.members import Member, masked

MAX_JUDGED = 600
"""Members of a cluster that the programs look at, evenly spread over it."""
RARE = 0.005
"""A program that fails in less than this share of the members says nothing about them."""
CAPS = ((1 / 6, 0), (1 / 2, 1), (0.9, 2))
"""How much a failure leaves, by the mean outcome of those that fail relative to those that pass: the nearest third.

Above the last ratio a failure is harmless."""
PRIOR = 10.0
"""How many trajectories of evidence the whole corpus is worth beside a cluster's own."""
MAX_UNDECIDED = 0.05
MAX_ERRORS = 3
MAX_BLAMED = 0.1
PROBES = 40
"""Members that are looked at without what follows them."""

Findings = Sequence[dict[str, Answer]]
Prior = Mapping[str, Mapping[str, float]]
"""By program, the mean quality of what fails it and of what passes it."""


@frozen(kw_only=True)
class Failing:
    """A program that tells good members from bad ones: what it asks, how often it fails, and what that leaves."""

    program: str
    holds: str
    caps: int
    fails: int
    of: int


@frozen(kw_only=True)
class ToolError:
    """An error that tools answered with, without its values, and in how many members."""

    text: str
    count: int


def questions() -> dict[str, str]:
    """What each installed program decides, by the name to call it by."""
    records = Registry.installed().records("programs")
    names = Counter(record.name for record in records)
    return {
        record.name if names[record.name] == 1 else record.ref: _statement(record.summary)
        for record in records
    }


def spread(members: Sequence[Member], most: int = MAX_JUDGED) -> list[Member]:
    """At most that many of the members, evenly spread."""
    step = max(1.0, len(members) / most)
    return [members[int(place * step)] for place in range(min(most, len(members)))]


def findings(members: Sequence[Member], asked: Sequence[str]) -> Findings:
    """The answer of each program for each member."""
    everything = _all_of(asked)
    answers = [find_all(everything, member.subgoal) for member in members]
    return [{asked[int(id_[1:])]: found.answer for id_, found in each.items()} for each in answers]


def blames_ahead(members: Sequence[Member], found: Findings) -> set[str]:
    """The programs that often fail a span for what follows it: they judge episodes, not subgoals."""
    blamed: Counter[str] = Counter()
    inner = [(m, old) for m, old in zip(members, found, strict=True) if not m.is_last]
    probed = inner[:: max(1, len(inner) // PROBES)]
    for member, old in probed:
        (new,) = findings([member.alone()], list(old))
        blamed.update(name for name in old if old[name] == "fail" != new[name])
    return {name for name, count in blamed.items() if count > MAX_BLAMED * len(probed)}


def failing(
    members: Sequence[Member], found: Findings, holds: Mapping[str, str], prior: Prior
) -> list[Failing]:
    """The programs that tell good members from bad ones, those that fail most often first.

    One that does so elsewhere, and applies to most members here, counts too: what went wrong there may go wrong here.
    """
    chosen = []
    for name, statement in holds.items():
        answers = [each[name] for each in found]
        fails, passes = answers.count("fail"), answers.count("pass")
        often = fails >= max(2, RARE * len(members)) or (not fails and 2 * passes > len(members))
        if name not in prior or not often or answers.count("undecided") > MAX_UNDECIDED * (fails + passes):
            continue
        if _good(members, found, name, "fail") > _good(members, found, name, "pass"):
            continue
        bad, good = (_mean(members, found, name, kind, prior[name]) for kind in ("fail", "pass"))
        caps = next((caps for most, caps in CAPS if bad <= most * good), None)
        if caps is not None:
            chosen.append(Failing(program=name, holds=statement, caps=caps, fails=fails, of=len(answers)))
    return sorted(chosen, key=lambda each: (-each.fails, each.program))


def prior_of(members: Sequence[Member], found: Findings) -> Prior:
    """The mean quality of the members that fail a program, and of those that pass it, where there are both."""
    prior = {}
    for name in found[0] if found else ():
        answers = {each[name] for each in found}
        if {"fail", "pass"} <= answers:
            prior[name] = {kind: _mean(members, found, name, kind, {}) for kind in ("fail", "pass")}
    return prior


def applying(found: Findings, holds: dict[str, str]) -> list[str]:
    """The programs that decide most members and never fail, those that decide most first."""
    passes = {name: sum(each[name] == "pass" for each in found) for name in holds}
    never = [name for name in holds if not any(each[name] in ("fail", "undecided") for each in found)]
    return sorted((n for n in never if 2 * passes[n] > len(found)), key=lambda name: (-passes[name], name))


def tool_errors(members: Sequence[Member]) -> list[ToolError]:
    """What tools complained of, most frequent first."""
    texts = Counter(
        text
        for member in members
        for text in {
            masked_error(m.content) for m in span_messages(member.subgoal) if m.role == "tool" and is_error(m)
        }
    )
    return [ToolError(text=text, count=n) for text, n in texts.most_common(MAX_ERRORS) if text and n > 1]


def masked_error(text: str) -> str:
    """An error's words without what one call had and the next one has not."""
    text = masked(re.sub(r"[\"{}]|\berror\b:?", " ", text[:400], flags=re.IGNORECASE))
    return re.sub(r"[^\w ,.']", "", re.sub(r"^\W*\w+_\w+:?", "", text)).strip()[:120]


def _mean(
    members: Sequence[Member], found: Findings, name: str, kind: str, prior: Mapping[str, float]
) -> float:
    """The mean quality of the members with this answer, by their parts, drawn towards the prior."""
    total, weights = (PRIOR * prior[kind], PRIOR) if prior else (0.0, 0.0)
    for member, answers in zip(members, found, strict=True):
        if answers[name] == kind:
            total += member.part * _quality(member, answers, name)
            weights += member.part
    return total / weights


def _good(members: Sequence[Member], found: Findings, name: str, kind: str) -> float:
    """How many good members have this answer: what most of them fail asks for something else than the skill."""
    pairs = zip(members, found, strict=True)
    return sum(m.part * _quality(m, answers, name) for m, answers in pairs if answers[name] == kind)


def _quality(member: Member, answers: dict[str, Answer], but: str) -> float:
    """The outcome, or where nobody knows it, how many of the other programs pass."""
    if member.outcome is not None:
        return member.outcome
    others = [
        answer == "pass" for name, answer in answers.items() if name != but and answer in ("pass", "fail")
    ]
    return fmean(others) if others else 0.5


def _statement(summary: str) -> str:
    """What holds where a program passes: its docstring without "Whether"."""
    text = re.sub(r"^Whether\s+", "", summary.strip()).rstrip(".").replace(";", ",").replace("?", "")
    return re.sub(r"\d{2,}", "some", text) or "it is right"


def _all_of(asked: Sequence[str]) -> Prototype:
    """A prototype that asks everything, for the sake of asking."""
    checks = tuple(Check(id=f"c{i}", question=name, caps=0, program=name) for i, name in enumerate(asked))
    return Prototype(
        schema_version=1, id="everything", version=1, title="Everything", level="skill", scope="subgoal", domain=(),
        when_to_use="", when_not_to_use="", reasoning_pattern=(), rubric={}, checks=checks, failure_modes=(),
    )  # fmt: skip
