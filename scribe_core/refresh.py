"""Refresh: the skill library follows the policy while it learns.

Every `training.refresh_every` steps, what was played lately is mined. Proposed are

    additions     a draft that would judge what so far only `general` judges
    splits        a draft that takes a part out of a prototype whose scores are bimodal
    retirements   a prototype that nothing was routed to, or that every span has mastered

A proposal is taken up where `refresh.accept` says so and three gates hold: lint finds no new problem, the draft's
calibration cases are judged as labelled, and no fewer of the library's calibration spans are routed to their own
prototype. `general` and the prototypes of whole trajectories never retire.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from attrs import evolve, field, frozen

from scribe_core.protocols import JudgeRequest
from scribe_core.registry import Registry
from scribe_core.scorer import Scorer
from scribe_core.skills import (
    GENERAL,
    NEAR_DUPLICATE,
    Library,
    Prototype,
    calibration_problems,
    calibration_request,
    lint,
)
from scribe_core.skills.near import nearest
from scribe_core.types import Scored, Subgoal

ENOUGH = 20
"""Scores without which a prototype is neither saturated nor bimodal, and spans without which it is not unused."""
MASTERED = 2.9
MODE = 0.25
"""The share of scores that each end, 0 or 1 and 3, has at least where they are bimodal."""
BETWEEN = 0.1
"""The share that lies between the ends at most."""
MAX_ROUTED = 500
"""Subgoals of the window that a draft is tried on."""

Kind = Literal["add", "split", "retire"]


@frozen(kw_only=True)
class Proposal:
    """A change of the library, and why. `refused` says why it was not taken up; it is empty where it was."""

    kind: Kind
    skill: str
    reason: str
    draft: Prototype | None = None
    refused: str = ""

    def record(self) -> dict[str, str]:
        """As it stands in a `refresh` event."""
        return {"kind": self.kind, "skill": self.skill, "reason": self.reason, "refused": self.refused}


@frozen
class Window:
    """What was played lately, and how it was judged."""

    recent: Sequence[Scored]
    scores: Mapping[str, Sequence[float]] = field(init=False)
    routed: Mapping[str, int] = field(init=False)

    @scores.default
    def _scores(self) -> Mapping[str, Sequence[float]]:
        found: dict[str, list[float]] = defaultdict(list)
        for judgement in (j for each in self.recent for j in each.judgements):
            if judgement.verdict.score is not None:
                found[judgement.skill].append(judgement.verdict.score)
        return found

    @routed.default
    def _routed(self) -> Mapping[str, int]:
        found: dict[str, int] = defaultdict(int)
        for judgement in (j for each in self.recent for j in each.judgements):
            found[judgement.skill] += 1
        return found

    def subgoals(self) -> tuple[list[Subgoal], list[str]]:
        """Some of the subgoals, evenly spread, and the prototypes that judged them."""
        all_ = [j for each in self.recent for j in each.judgements]
        some = all_[:: max(1, len(all_) // MAX_ROUTED)]
        return [j.subgoal for j in some], [j.skill for j in some]


async def propose(scorer: Scorer, window: Window, drafts: Sequence[Prototype]) -> list[Proposal]:
    """What the window speaks for: additions and splits by the drafts, then retirements, all in a fixed order."""
    found = [proposal for draft in drafts if (proposal := await _by_draft(scorer, window, draft))]
    return [*found, *_retirements(scorer.library, window)]


async def take_up(scorer: Scorer, proposals: Sequence[Proposal], most: int) -> tuple[Library, list[Proposal]]:
    """The library with those proposals that pass every gate, up to `most` of each kind; all come back in order."""
    judged: list[Proposal] = []
    for proposal in proposals:
        changed = changed_library(scorer.library, proposal)
        taken = sum(each.kind == proposal.kind and not each.refused for each in judged)
        refused = (
            f"{most} of this kind were taken up"
            if taken >= most
            else await _gates(scorer, changed, proposal.draft)
        )
        judged.append(evolve(proposal, refused=refused))
        if not refused:
            scorer = evolve(scorer, library=changed)
    return scorer.library, judged


def changed_library(library: Library, proposal: Proposal) -> Library:
    """The library after a change; every prototype that it touches gets a new version."""
    prototypes = dict(library)
    if proposal.kind == "retire":
        del prototypes[proposal.skill]
        for id_, each in prototypes.items():
            if proposal.skill in each.routing.confusable_with:
                left = tuple(other for other in each.routing.confusable_with if other != proposal.skill)
                prototypes[id_] = _bumped(each, routing=evolve(each.routing, confusable_with=left))
        return Library(prototypes.values(), library.source)
    assert proposal.draft is not None
    new = proposal.draft
    prototypes[new.id] = evolve(new, lifecycle={**new.lifecycle, "status": "active"})
    if proposal.kind == "split":
        old = prototypes[proposal.skill]
        confusable = (*old.routing.confusable_with, new.id)
        prototypes[old.id] = _bumped(old, routing=evolve(old.routing, confusable_with=confusable))
    return Library(prototypes.values(), library.source)


def _bumped(prototype: Prototype, **changes: Any) -> Prototype:
    return evolve(prototype, version=prototype.version + 1, **changes)


async def _by_draft(scorer: Scorer, window: Window, draft: Prototype) -> Proposal | None:
    """An addition or a split where the router would send a draft what it should have; else nothing."""
    library = scorer.library
    if draft.id == GENERAL or draft.scope != "subgoal":
        return None
    draft = _fitted(draft, library)
    twins = nearest(draft, library.values(), 1)
    subgoals, before = window.subgoals()
    if not subgoals or (twins and twins[0].share > NEAR_DUPLICATE):
        return None
    tried = Library([*library.values(), draft], library.source)
    after = await scorer.router.route(subgoals, tried)
    taken = [old for old, route in zip(before, after, strict=True) if route.prototype.id == draft.id]
    if not taken:
        return None
    owner = max(sorted(set(taken)), key=taken.count)
    share = taken.count(owner) / len(taken)
    if owner == GENERAL and share >= 0.5:
        reason = f"{len(taken)} of {len(subgoals)} spans fit it, and `general` judged {share:.0%} of them"
        return Proposal(kind="add", skill=draft.id, reason=reason, draft=draft)
    left = before.count(owner) - taken.count(owner)
    if share >= 0.8 and left > 0 and _bimodal(window.scores.get(owner, ())):
        reason = f"its scores are bimodal, and {draft.id} takes {taken.count(owner)} of its {before.count(owner)} spans"
        return Proposal(kind="split", skill=owner, reason=reason, draft=draft)
    return None


def _fitted(draft: Prototype, library: Library) -> Prototype:
    """The draft under an id of its own, and naming no prototype that the library lacks."""
    id_, number = draft.id, 2
    while id_ in library:
        id_, number = f"{draft.id[:58].rstrip('-')}-{number}", number + 1
    known = tuple(other for other in draft.routing.confusable_with if other in library and other != id_)
    return evolve(draft, id=id_, routing=evolve(draft.routing, confusable_with=known))


def _retirements(library: Library, window: Window) -> Iterator[Proposal]:
    if sum(window.routed.values()) < ENOUGH:
        return
    for prototype in library.subgoal_prototypes():
        scores = window.scores.get(prototype.id, ())
        if prototype.id == GENERAL:
            continue
        if not window.routed.get(prototype.id):
            reason = f"none of {sum(window.routed.values())} spans was routed to it"
            yield Proposal(kind="retire", skill=prototype.id, reason=reason)
        elif len(scores) >= ENOUGH and fmean(scores) >= MASTERED and min(scores) == max(scores):
            reason = f"saturated: all of {len(scores)} scores are {scores[0]:g}"
            yield Proposal(kind="retire", skill=prototype.id, reason=reason)


def _bimodal(scores: Sequence[float]) -> bool:
    low, high = (sum(map(each, scores)) for each in (lambda score: score <= 1, lambda score: score == 3))
    count = len(scores)
    return count >= ENOUGH and min(low, high) >= MODE * count and count - low - high <= BETWEEN * count


async def _gates(scorer: Scorer, changed: Library, draft: Prototype | None) -> str:
    """Why a change must not be taken up; empty where nothing speaks against it."""
    records = Registry.installed().records("programs")
    known = {text for record in records for text in (record.name, record.ref)}
    old = {(problem.prototype, problem.rule) for problem in lint(scorer.library, known)}
    for problem in lint(changed, known):
        if (problem.prototype, problem.rule) not in old:
            return f"lint: {problem.prototype}: {problem.message}"
    if draft is not None:
        for problem in await calibration_problems(Library([draft], "the draft"), scorer.judge):
            return f"calibration: {problem.message}"
    shared = [prototype for prototype in changed.subgoal_prototypes() if prototype.id in scorer.library]
    before = await _well_routed(scorer, scorer.library, shared)
    after = await _well_routed(scorer, changed, shared)
    if after < before:
        return f"routing: {after} of the library's calibration spans would reach their prototype, {before} do now"
    return ""


async def _well_routed(scorer: Scorer, library: Library, prototypes: Sequence[Prototype]) -> int:
    """How many calibration spans of these prototypes are routed to their own one."""
    requests: list[JudgeRequest] = [
        calibration_request(prototype, case) for prototype in prototypes for case in prototype.calibration
    ]
    routes = await scorer.router.route([request.subgoal for request in requests], library) if requests else []
    return sum(r.prototype.id == q.prototype.id for q, r in zip(requests, routes, strict=True))
