import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribe_core.builtin.weighted import Weighted
from scribe_core.testing import AggregatorContract
from scribe_core.types import Judgement, Message, Reward, Span, Subgoal, Trajectory, Verdict

Outline = Sequence[tuple[str, float | str]]
"""(skill, score or status) of each subgoal in order."""


class TestWeighted(AggregatorContract):
    def builder(self) -> Weighted:
        return Weighted()


def judged(outline: Outline, texts: Sequence[str] | None = None) -> list[Judgement]:
    texts = texts or [f"text {index}" for index in range(len(outline))]
    messages = tuple(Message(role="assistant", content=text) for text in texts)
    trajectory = Trajectory(id="t", messages=messages)
    return [
        Judgement(
            subgoal=Subgoal(trajectory=trajectory, span=Span((index, 0), (index + 1, 0))),
            skill=skill,
            confidence=1.0,
            verdict=Verdict(status=score)
            if isinstance(score, str)
            else Verdict(status="scored", score=score),
        )
        for index, (skill, score) in enumerate(outline)
    ]


def reward(
    outline: Outline,
    outcome: float | None = None,
    planning: Outline = (),
    texts: Sequence[str] | None = None,
    options: Weighted | None = None,
) -> Reward:
    trajectory = Trajectory(id="t", messages=(), outcome=outcome)
    aggregator = (options or Weighted()).build()
    return aggregator.combine(trajectory, judged(outline, texts), judged(planning))


def process(outline: Outline, texts: Sequence[str] | None = None) -> float | None:
    return reward(outline, texts=texts).process


def test_process_is_the_mean_score_in_thirds() -> None:
    assert process([("a", 3), ("b", 1), ("c", 2)]) == pytest.approx(2 / 3)


def test_the_papers_weights() -> None:
    assert reward([("a", 3), ("b", 0)], outcome=1.0) == Reward(
        value=0.7 + 0.3 * 0.5, process=0.5, outcome=1.0
    )


def test_process_alone_without_an_outcome() -> None:
    assert reward([("a", 2)]) == Reward(
        value=pytest.approx(2 / 3), process=pytest.approx(2 / 3), outcome=None
    )


def test_weights_are_normalised() -> None:
    options = Weighted(process=1.0, outcome=3.0)
    assert reward([("a", 0)], outcome=1.0, options=options).value == 0.75


def test_failed_verdicts_are_left_out() -> None:
    assert process([("a", 3), ("b", "failed"), ("c", 0)]) == 0.5


def test_all_failed_is_no_number() -> None:
    assert reward([("a", "failed"), ("b", "failed")], outcome=1.0) == Reward(
        value=None, process=None, outcome=1.0
    )


def test_abstained_counts_as_a_low_score() -> None:
    assert process([("a", 3), ("b", "abstained")]) == pytest.approx((3 + 1) / 2 / 3)
    assert process([("a", "abstained")]) == pytest.approx(1 / 3)
    assert reward([("a", "abstained")], options=Weighted(abstained_score=0.0)).process == 0


def test_abstained_never_lifts_the_mean() -> None:
    assert process([("a", 0), ("b", "abstained"), ("c", "abstained")]) == 0


def test_neighbours_of_one_skill_count_once_with_the_lowest_score() -> None:
    assert process([("a", 3), ("a", 1), ("b", 3)]) == pytest.approx((1 + 3) / 2 / 3)
    assert process([("a", 3), ("a", "abstained")]) == pytest.approx(1 / 3)
    assert process([("a", 3), ("b", 3), ("a", 0)]) == pytest.approx(2 / 3)


def test_a_failed_judgement_makes_no_neighbours() -> None:
    assert process([("a", 3), ("b", "failed"), ("a", 0)]) == 0.5
    assert process([("a", 3), ("a", "failed"), ("a", 0)]) == 0


def test_repeated_work_does_not_lift_the_mean() -> None:
    assert process([("a", 3), ("b", 0), ("a", 3)], texts=["good", "bad", "good"]) == 0.5


def test_two_parts_of_one_message_repeat_nothing() -> None:
    trajectory = Trajectory(id="t", messages=(Message(role="assistant", content="abc"),))
    spans = [Span((0, 0), (0, 1)), Span((0, 1), (0, 2)), Span((0, 2), (1, 0))]
    judgements = [
        Judgement(
            subgoal=Subgoal(trajectory=trajectory, span=span),
            skill=each.skill,
            confidence=1.0,
            verdict=each.verdict,
        )
        for span, each in zip(spans, judged([("a", 3), ("b", 0), ("a", 3)]), strict=True)
    ]
    assert Weighted().build().combine(trajectory, judgements, ()).process == pytest.approx(2 / 3)


def test_repeated_bad_work_still_counts() -> None:
    assert process([("a", 3), ("b", 0), ("a", 3), ("b", 0)], texts=["one", "bad", "two", "bad"]) == 0.5


def test_what_repeats_a_failed_judgement_counts() -> None:
    assert process([("a", "failed"), ("b", 0), ("a", 3)], texts=["good", "bad", "good"]) == 0.5


def test_nothing_judged_counts_as_abstained() -> None:
    assert reward([], outcome=0.0).process == pytest.approx(1 / 3)


def test_planning_counts_only_where_it_has_a_weight() -> None:
    planning = [("plan", 0.0)]
    assert reward([("a", 3)], outcome=1.0, planning=planning).value == 1.0
    options = Weighted(process=0.5, outcome=0.0, planning=0.5)
    assert reward([("a", 3)], outcome=1.0, planning=planning, options=options).value == 0.5
    assert reward([("a", 3)], planning=[("plan", "failed")], options=options).value is None
    assert reward([("a", 3)], options=options).value == 1.0


def test_a_term_without_weight_cannot_spoil_the_reward() -> None:
    outcome_only = Weighted(process=0.0, outcome=1.0)
    assert reward([("a", "failed")], outcome=1.0, options=outcome_only).value == 1.0
    assert reward([("a", 3)], outcome=None, options=outcome_only).value is None


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_weights_are_finite_and_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match="process"):
        Weighted(process=bad)


def test_some_weight_is_needed() -> None:
    with pytest.raises(ValueError, match="all 0"):
        Weighted(process=0.0, outcome=0.0)


@pytest.mark.parametrize("bad", [-1.0, 3.5, math.nan])
def test_abstained_score_is_a_score(bad: float) -> None:
    with pytest.raises(ValueError, match="abstained_score"):
        Weighted(abstained_score=bad)


scores = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.sampled_from(["abstained", "failed"]))
outlines = st.lists(st.tuples(st.sampled_from("abc"), scores), min_size=1, max_size=8)


@settings(deadline=None)
@given(outlines, st.data())
def test_cutting_a_span_in_two_gains_nothing(
    outline: list[tuple[str, float | str]], data: st.DataObject
) -> None:
    before = process(outline)
    place = data.draw(st.integers(0, len(outline) - 1))
    skill, score = outline[place]
    # A half may hide what was wrong with the whole, but not both halves.
    halves = [(skill, score), (skill, data.draw(st.sampled_from([3.0, 2.0, "abstained", score])))]
    after = process([*outline[:place], *data.draw(st.permutations(halves)), *outline[place + 1 :]])
    if before is not None and after is not None and score != "failed":
        assert after <= before + 1e-9


@settings(deadline=None)
@given(outlines, st.integers(1, 4))
def test_padding_with_abstentions_gains_nothing(outline: list[tuple[str, float | str]], padding: int) -> None:
    before = process(outline)
    after = process([*outline, *[("padding", "abstained"), ("more padding", "abstained")] * padding])
    assert before is None or (after is not None and after <= before + 1e-9)


@settings(deadline=None)
@given(outlines, st.data())
def test_padding_with_repeated_work_gains_nothing(
    outline: list[tuple[str, float | str]], data: st.DataObject
) -> None:
    texts = [f"text {index}" for index in range(len(outline))]
    before = process(outline, texts)
    chosen = data.draw(st.lists(st.integers(0, len(outline) - 1), max_size=4))
    chosen = [index for index in chosen if outline[index][1] != "failed"]
    after = process([*outline, *(outline[i] for i in chosen)], [*texts, *(texts[i] for i in chosen)])
    assert before is None or (after is not None and after <= before + 1e-9)
