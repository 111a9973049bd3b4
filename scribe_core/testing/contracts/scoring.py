"""What the parts of a Scorer keep that no model needs: segmenters, libraries, routers and aggregators."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import pytest

from scribe_core import aio
from scribe_core.protocols import Aggregator, Miner, Route, Router, Segmenter
from scribe_core.skills import Library, Prototype, dump_prototype, parse_prototype
from scribe_core.spans import message_text
from scribe_core.testing.contracts.builders import BuilderContract
from scribe_core.testing.samples import (
    awkward_trajectories,
    sample_judgement,
    sample_library,
    sample_subgoal,
    sample_trajectory,
)
from scribe_core.types import Judgement, Reward, Span, Subgoal, Trajectory


class SegmenterContract(BuilderContract):
    """Ordered, disjoint spans that stand in their trajectory, whatever the trajectory holds."""

    kind = "segmenters"

    @pytest.fixture
    def segmenter(self, given: Any) -> Any:
        return given.build()

    def test_finds_what_the_policy_did(self, segmenter: Segmenter) -> None:
        spans = aio.run(_segmented(segmenter, [sample_trajectory()]))[0]
        check_spans(sample_trajectory(), spans)
        assert spans, "a trajectory with calls and an answer has a subgoal"

    def test_spans_of_awkward_trajectories(self, segmenter: Segmenter) -> None:
        trajectories = awkward_trajectories()
        found = aio.run(_segmented(segmenter, trajectories))
        assert len(found) == len(trajectories)
        for trajectory, spans in zip(trajectories, found, strict=True):
            check_spans(trajectory, spans)

    def test_nothing_to_segment(self, segmenter: Segmenter) -> None:
        assert aio.run(_segmented(segmenter, [])) == []

    def test_trajectories_do_not_depend_on_their_neighbours(self, segmenter: Segmenter) -> None:
        trajectories = [sample_trajectory(), *awkward_trajectories()]
        together = aio.run(_segmented(segmenter, trajectories))
        for trajectory, spans in zip(trajectories, together, strict=True):
            assert aio.run(_segmented(segmenter, [trajectory])) == [spans]


async def _segmented(segmenter: Segmenter, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
    return await segmenter.segment(trajectories)


def check_spans(trajectory: Trajectory, spans: Sequence[Span]) -> None:
    """Fails where spans are empty, out of order, overlap, or lie outside the trajectory."""
    ends = [(index, len(message_text(message))) for index, message in enumerate(trajectory.messages)]
    for span in spans:
        assert (0, 0) <= span.start < span.end <= (len(ends), 0), span
        for message, character in (span.start, span.end):
            assert character == 0 or 0 <= character <= ends[message][1], span
    for one, following in pairwise(spans):
        assert one.end <= following.start, (one, following)


class LibraryContract(BuilderContract):
    """Prototypes by id, and a digest that says which they are."""

    kind = "skill_libraries"

    @pytest.fixture
    def library(self, given: Any) -> Any:
        return given.build()

    def test_ids_are_those_of_the_prototypes(self, library: Library) -> None:
        assert library, "a library has prototypes"
        for name, prototype in library.items():
            assert prototype.id == name
            assert prototype.digest, name

    def test_every_score_has_its_words(self, library: Library) -> None:
        for name, prototype in library.items():
            assert sorted(prototype.rubric) == [0, 1, 2, 3], name
            caps = [each.caps for each in prototype.checks] + [each.caps for each in prototype.failure_modes]
            assert all(0 <= each <= 2 for each in caps), name

    def test_digest_is_the_same_each_time(self, given: Any, library: Library) -> None:
        assert library.digest
        assert given.build().digest == library.digest


class RouterContract(BuilderContract):
    """Gives each subgoal a prototype of scope "subgoal"; override `library` and `subgoals` for others."""

    kind = "routers"

    def library(self) -> Library:
        return sample_library()

    def subgoals(self) -> list[Subgoal]:
        """Each message of the sample trajectory and of awkward ones, and each trajectory as a whole."""
        trajectories = [sample_trajectory(), *awkward_trajectories()]
        whole = [sample_subgoal(trajectory) for trajectory in trajectories]
        return whole + [part for trajectory in trajectories for part in parts(trajectory)]

    @pytest.fixture
    def router(self, given: Any) -> Any:
        return given.build()

    def test_one_member_of_the_library_each(self, router: Router) -> None:
        library = self.library()
        routes = aio.run(_routed(router, self.subgoals(), library))
        assert len(routes) == len(self.subgoals())
        for route in routes:
            assert library[route.prototype.id] == route.prototype
            assert route.prototype.scope == "subgoal"
            assert 0 <= route.confidence <= 1

    def test_nothing_to_route(self, router: Router) -> None:
        assert aio.run(_routed(router, [], self.library())) == []

    def test_repeats_itself(self, router: Router) -> None:
        first = aio.run(_routed(router, self.subgoals(), self.library()))
        assert aio.run(_routed(router, self.subgoals(), self.library())) == first

    def test_ignores_the_order_of_the_library(self, router: Router) -> None:
        there = aio.run(_routed(router, self.subgoals(), self.library()))
        assert aio.run(_routed(router, self.subgoals(), reversed_library(self.library()))) == there

    def test_subgoals_do_not_depend_on_their_neighbours(self, router: Router) -> None:
        subgoals, library = self.subgoals(), self.library()
        back = aio.run(_routed(router, subgoals[::-1], library))[::-1]
        assert back == aio.run(_routed(router, subgoals, library))
        for subgoal, route in zip(subgoals[:5], back, strict=False):
            assert aio.run(_routed(router, [subgoal], library)) == [route]


async def _routed(router: Router, subgoals: Sequence[Subgoal], library: Library) -> list[Route]:
    return await router.route(subgoals, library)


class MinerContract(BuilderContract):
    """Drafts that a skill file can hold; override `trajectories` with what the miner finds something in."""

    kind = "miners"

    def trajectories(self) -> list[Trajectory]:
        """Many that are like the sample one."""
        return [sample_trajectory(id=f"sample-{n}", task_id=f"task-{n}", outcome=n % 2) for n in range(40)]

    @pytest.fixture
    def miner(self, given: Any) -> Any:
        return given.build()

    def test_finds_drafts(self, miner: Miner) -> None:
        drafts = aio.run(_mined(miner, self.trajectories()))
        assert drafts, "nothing was found in `trajectories`"
        assert len({draft.id for draft in drafts}) == len(drafts)

    def test_drafts_are_skill_files(self, miner: Miner) -> None:
        for draft in aio.run(_mined(miner, self.trajectories())):
            assert parse_prototype(dump_prototype(draft), draft.id).id == draft.id
            assert draft.lifecycle.get("status") == "draft", draft.id
            assert draft.provenance.get("source"), f"{draft.id}: provenance.source says where it is from"

    def test_every_level_of_a_draft_is_reached(self, miner: Miner) -> None:
        for draft in aio.run(_mined(miner, self.trajectories())):
            caps = [check.caps for check in draft.checks] + [mode.caps for mode in draft.failure_modes]
            assert set(caps) == {0, 1, 2}, draft.id

    def test_repeats_itself(self, miner: Miner) -> None:
        first = aio.run(_mined(miner, self.trajectories()))
        assert aio.run(_mined(miner, self.trajectories())) == first

    def test_awkward_trajectories(self, miner: Miner) -> None:
        aio.run(_mined(miner, awkward_trajectories()))
        aio.run(_mined(miner, [*self.trajectories(), *awkward_trajectories()]))

    def test_nothing_to_mine(self, miner: Miner) -> None:
        assert aio.run(_mined(miner, [])) == []


async def _mined(miner: Miner, trajectories: Sequence[Trajectory]) -> list[Prototype]:
    return await miner.mine(trajectories)


def parts(trajectory: Trajectory) -> list[Subgoal]:
    """The first messages of a trajectory, a subgoal each."""
    spans = [Span((index, 0), (index + 1, 0)) for index in range(min(len(trajectory.messages), 10))]
    return [sample_subgoal(trajectory, span=span) for span in spans]


def reversed_library(library: Library) -> Library:
    """The same library with its prototypes the other way round."""
    turned = copy.copy(library)
    object.__setattr__(turned, "_prototypes", dict([*library.items()][::-1]))
    return turned


class AggregatorContract(BuilderContract):
    """A better verdict or outcome never lowers the reward, and a failed verdict is no number."""

    kind = "aggregators"

    @pytest.fixture
    def aggregator(self, given: Any) -> Any:
        return given.build()

    @pytest.mark.parametrize("outcome", [0.0, 0.5, 1.0, None])
    def test_rewards_are_in_range(self, aggregator: Aggregator, outcome: float | None) -> None:
        for judgements in (
            three(0, 0, 0),
            three(3, 3, 3),
            three(0, 1.5, 3),
            three("abstained", 2, "abstained"),
        ):
            reward = _combined(aggregator, judgements, outcome)
            assert reward.outcome == outcome
            for number in (reward.value, reward.process):
                assert number is not None
                assert isfinite(number)
                assert 0 <= number <= 1

    def test_better_verdicts_never_lower_it(self, aggregator: Aggregator) -> None:
        for place in range(3):
            values = [_value(aggregator, _with(place, score), 1.0) for score in (0, 1, 2, 3)]
            assert values == sorted(values), f"verdict {place}"
            assert values[-1] > values[0], f"verdict {place} has no weight"

    def test_a_better_outcome_never_lowers_it(self, aggregator: Aggregator) -> None:
        values = [_value(aggregator, three(1, 2, 3), outcome) for outcome in (0.0, 0.5, 1.0)]
        assert values == sorted(values)

    def test_a_failed_verdict_is_left_out(self, aggregator: Aggregator) -> None:
        for score in (0, 3):
            kept = _combined(aggregator, three(score, score, score)[:2], 1.0)
            assert _combined(aggregator, three(score, score, "failed"), 1.0) == kept

    def test_all_failed_is_no_reward(self, aggregator: Aggregator) -> None:
        reward = _combined(aggregator, three("failed", "failed", "failed"), 1.0)
        assert (reward.value, reward.process) == (None, None)

    def test_abstaining_pays_less_than_doing_well(self, aggregator: Aggregator) -> None:
        hidden = _value(aggregator, three(3, "abstained", 3), 1.0)
        assert hidden < _value(aggregator, three(3, 3, 3), 1.0)

    def test_nothing_judged_pays_less_than_doing_well(self, aggregator: Aggregator) -> None:
        value = _combined(aggregator, [], 1.0).value
        assert value is None or value < _value(aggregator, three(3, 3, 3), 1.0)

    def test_cutting_a_span_in_two_gains_nothing(self, aggregator: Aggregator) -> None:
        for scores in ((0, 3, 3), (3, 0, 3), (3, 3, 0), (1, 2, 3)):
            judgements = three(*scores)
            for place in range(3):
                cut = judgements[:place] + [judgements[place]] * 2 + judgements[place + 1 :]
                assert _value(aggregator, cut, 1.0) <= _value(aggregator, judgements, 1.0) + 1e-9


def three(*scores: Any) -> list[Judgement]:
    """A judgement for each assistant message of the sample trajectory, each of another skill."""
    messages = [i for i, message in enumerate(sample_trajectory().messages) if message.role == "assistant"]
    pairs = zip(scores, messages, strict=True)
    return [sample_judgement(score, message, skill=f"skill-{message}") for score, message in pairs]


def _with(place: int, score: float) -> list[Judgement]:
    scores = [1.0, 1.0, 1.0]
    scores[place] = score
    return three(*scores)


def _combined(aggregator: Aggregator, judgements: Sequence[Judgement], outcome: float | None) -> Reward:
    return aggregator.combine(sample_trajectory(outcome=outcome), judgements, ())


def _value(aggregator: Aggregator, judgements: Sequence[Judgement], outcome: float) -> float:
    value = _combined(aggregator, judgements, outcome).value
    assert value is not None
    return value
