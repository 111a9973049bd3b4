"""Credit: by hand, from spans to tokens, and what a policy cannot earn."""

import math
import random
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from scribe_grpo import advantages
from scribe_grpo.builders import GRPO
from scribe_grpo.credit import token_advantages

from scribe_core.errors import RunError
from scribe_core.protocols import TokenRow
from scribe_core.testing import TinyPolicy
from scribe_core.types import (
    Conversation,
    Judgement,
    Message,
    Reward,
    Sampled,
    Scored,
    Span,
    Subgoal,
    Trajectory,
    Verdict,
)

MODES = ("episode", "decoupled", "subgoal", "return_to_go")
ASK = Message(role="user", content="Go on?")


def floats(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_decoupled_by_hand() -> None:
    process, outcome = floats(0.2, 0.4, math.nan), floats(1.0, 0.0, 1.0)
    found = advantages.decoupled(process, outcome, (0.3, 0.7), 0.05)
    spread = math.sqrt(2) / 3
    expected = [
        0.3 * -1 + 0.7 * (1 / 3) / spread,
        0.3 * 1 + 0.7 * (-2 / 3) / spread,
        0.7 * (1 / 3) / spread,
    ]
    assert found.tolist() == pytest.approx(expected)


def test_subgoals_are_compared_with_their_like_and_shrunk() -> None:
    scores, skills = floats(1.0, 0.0, 0.5, 0.9, 0.7), torch.tensor([0, 0, 1, 0, 2])
    counts = torch.tensor([True, True, True, False, False])
    found = advantages.subgoal(scores, skills, counts, 0.05, shrinkage=2.0)
    # Two of skill 0: (s - 0.5) / 0.5 * 2 / (2 + 2); what does not count, 0 at most; one alone, nothing.
    assert found.tolist() == pytest.approx([0.5, -0.5, 0.0, 0.0, 0.0])
    low = advantages.subgoal(floats(1.0, 0.0, 0.4), torch.tensor([0, 0, 0]), counts[1:4], 0.05, 2.0)
    assert low.tolist() == pytest.approx([0.5, -0.5, -0.1])


def test_the_return_to_go_by_hand() -> None:
    scores, rows = floats(1.0, 0.5, 0.0, 0.5), torch.tensor([0, 0, 0, 1])
    counts = torch.ones(4, dtype=torch.bool)
    spread = math.sqrt(0.125)
    found = advantages.return_to_go(scores, rows, counts, 0.05, discount=0.5)
    expected = [0.5 / spread + 0.25 * -0.5 / spread, 0.5 * -0.5 / spread, -0.5 / spread, 0.0]
    assert found.tolist() == pytest.approx(expected)


def scored(
    turns: Sequence[tuple[str, str, float | str]], outcome: float | None = None, process: float | None = 0.5
) -> Scored:
    """A rollout with a message a turn: (text, skill, score or status), judged one by one."""
    texts = [text for text, *_ in turns]
    trajectory = Trajectory(id="t", messages=(ASK, *map(said, texts)), outcome=outcome)
    judgements = tuple(
        judged(trajectory, Span((i, 0), (i + 1, 0)), skill, score)
        for i, (_, skill, score) in enumerate(turns, start=1)
    )
    return Scored(
        trajectory=trajectory,
        judgements=judgements,
        reward=Reward(value=process, process=process, outcome=outcome),
    )


def said(text: str) -> Message:
    """Every character a token, and one for the end."""
    ids = tuple(range(len(text) + 1))
    sampled = Sampled(context_ids=(0,), token_ids=ids, logprobs=(-1.0,) * len(ids), offsets=ids)
    return Message(role="assistant", content=text, raw=text, sampled=sampled)


def judged(trajectory: Trajectory, span: Span, skill: str, score: float | str) -> Judgement:
    verdict = (
        Verdict(status=score) if isinstance(score, str) else Verdict(status="scored", score=score)  # type: ignore[arg-type]
    )
    subgoal = Subgoal(trajectory=trajectory, span=span)
    return Judgement(subgoal=subgoal, skill=skill, confidence=1.0, verdict=verdict)


def credit(group: Sequence[Scored], **options: object) -> list[list[float] | None]:
    """The advantages of the policy's own tokens."""
    policy = TinyPolicy().build()
    rows = policy.rows([Conversation(messages=s.trajectory.messages) for s in group])
    found = token_advantages(group, rows, GRPO(**options))  # type: ignore[arg-type]
    return [
        None if values is None else values[torch.tensor(row.mask)].tolist()
        for values, row in zip(found, rows, strict=True)
    ]


def test_a_subgoals_credit_is_on_its_own_tokens() -> None:
    """Also where spans begin within a message; the token that ends a message belongs to its last span."""
    row = scored([("abcde", "x", 3.0)], outcome=1.0)
    spans = Span((1, 1), (1, 3)), Span((1, 3), (1, 5))
    judgements = [judged(row.trajectory, span, skill, 3.0) for span, skill in zip(spans, "xy", strict=True)]
    other = scored([("f", "x", 0.0), ("g", "y", 0.0)], outcome=0.0)
    first, second = credit(
        [evolve(row, judgements=tuple(judgements)), other], credit="subgoal", subgoal_shrinkage=0.0
    )
    assert first == pytest.approx([0.7] + [1.0] * 5)
    assert second == pytest.approx([-1.0] * 4)
    shrunk, _ = credit([evolve(row, judgements=tuple(judgements)), other], credit="subgoal")
    assert shrunk == pytest.approx([0.7] + [0.7 + 0.3 * 2 / 6] * 5)


def test_the_return_to_go_covers_what_was_still_to_come() -> None:
    """Tokens between spans have the credit of the next, those after the last one none."""
    row = scored([("abcdefg", "x", 3.0)])
    spans = Span((1, 1), (1, 3)), Span((1, 4), (1, 6))
    judgements = (judged(row.trajectory, spans[0], "x", 3.0), judged(row.trajectory, spans[1], "y", 0.0))
    (values,) = credit([evolve(row, judgements=judgements)], credit="return_to_go", process_weight=1.0)
    assert values == pytest.approx([0, 0, 0, -1, -1, -1, 0, 0])


def test_only_what_is_known_of_a_rollout_is_used() -> None:
    failed, unknown = scored([("a", "x", "failed")], 1.0, None), scored([("b", "x", "failed")], None, None)
    other = scored([("c", "x", 2.0)], 0.0)
    assert credit([failed, other], credit="episode")[0] is None
    for mode in MODES[1:]:
        (values, _) = credit([failed, other], credit=mode)
        assert values == pytest.approx([0.7, 0.7]), mode
    for mode in MODES:
        assert credit([unknown, evolve(unknown)], credit=mode) == [None, None]


turns = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3)), min_size=1, max_size=4)


@given(st.lists(st.tuples(turns, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4), turns)
def test_a_failed_row_moves_no_other(rollouts, failing) -> None:
    group = [
        scored([(f"{i}{j}", skill, float(score)) for j, (skill, score) in enumerate(each)], outcome, process)
        for i, (each, outcome, process) in enumerate(rollouts)
    ]
    failed = scored([(f"f{j}", skill, "failed") for j, (skill, _) in enumerate(failing)], None, None)
    for mode in MODES:
        assert credit([*group, failed], credit=mode) == [*credit(group, credit=mode), None]


@pytest.mark.parametrize("mode", ["subgoal", "return_to_go"])
def test_a_failed_judgement_moves_no_other(mode: str) -> None:
    one, other = [("a", "x", 3.0), ("b", "y", 1.0)], scored([("c", "x", 0.0), ("d", "y", 3.0)])
    (_, *rest), (without, same) = (
        credit([scored([*one, *extra]), other], credit=mode) for extra in ([("e", "x", "failed")], [])
    )
    (with_failed, _) = credit([scored([*one, ("e", "x", "failed")]), other], credit=mode)
    assert rest == [same]
    assert with_failed == [*(without or ()), 0.0, 0.0]


@pytest.mark.parametrize("mode", ["subgoal", "return_to_go"])
@pytest.mark.parametrize("added", [("b", "x", "abstained"), ("a", "x", 3.0)])
def test_what_is_added_at_will_earns_nothing_and_moves_no_other(mode: str, added) -> None:
    """Abstained, or said before word for word: against subgoals that are all worse."""
    one, other = [("a", "x", 0.5), ("m", "y", 0.5)], scored([("c", "x", 0.0), ("d", "y", 0.0)])
    (padded, *rest), (plain, same) = (
        credit([scored([*one, *extra]), other], credit=mode) for extra in ([added], [])
    )
    assert rest == [same]
    assert padded == [*(plain or ()), 0.0, 0.0]


@pytest.mark.parametrize("mode", ["subgoal", "return_to_go"])
def test_hiding_bad_work_among_better_costs(mode: str) -> None:
    group = [scored([("a", "x", "abstained")]), scored([("b", "x", 3.0)]), scored([("c", "x", 2.0)])]
    hidden, *_ = credit(group, credit=mode)
    assert hidden is not None
    assert max(hidden) < 0


@pytest.mark.parametrize("mode", ["subgoal", "return_to_go"])
def test_cutting_a_span_in_two_changes_nothing(mode: str) -> None:
    whole, other = scored([("abcd", "x", 3.0)]), scored([("e", "x", 0.0)])
    halves = [
        judged(whole.trajectory, Span((1, first), (1, end)), "x", 3.0) for first, end in ((0, 2), (2, 4))
    ]
    cut = evolve(whole, judgements=tuple(halves))
    assert credit([cut, other], credit=mode) == credit([whole, other], credit=mode)


def test_a_policy_that_does_not_say_where_its_tokens_stand_cannot_be_given_credit_by_subgoal() -> None:
    group = [scored([("a", "x", 3.0)], 1.0), scored([("b", "x", 0.0)], 0.0)]
    rows = [TokenRow((0,), (1, 2), (True, True))] * 2
    for mode in ("subgoal", "return_to_go"):
        with pytest.raises(RunError, match=r"optimizer\.credit.*'episode' or 'decoupled'"):
            token_advantages(group, rows, GRPO(credit=mode))  # type: ignore[arg-type]
    assert token_advantages(group, rows, GRPO(credit="decoupled"))[0] is not None


def test_a_step_tells_good_from_bad_within_a_rollout() -> None:
    """Both rollouts are worth the same as a whole, so that credit by episode sees nothing."""
    policy = TinyPolicy().build()
    changed = {}
    for mode in ("episode", "subgoal"):
        policy = TinyPolicy().build()
        before = policy.module.weight.detach().clone()
        group = [
            learned(policy, [("zzzz", 3.0), ("qqqq", 0.0)]),
            learned(policy, [("qqqq", 0.0), ("zzzz", 3.0)]),
        ]
        GRPO(credit=mode, learning_rate=1e-2).build().step(policy, [group])  # type: ignore[arg-type]
        changed[mode] = policy.module.weight.detach() - before
    z, q = policy.tokenizer.encode("zq")
    assert not changed["episode"].any()
    assert changed["subgoal"][z, z] > 0
    assert changed["subgoal"][q, q] < 0


def learned(policy, parts: Sequence[tuple[str, float]]) -> Scored:
    """One message of several spans, all of one skill but for a span between them."""
    text = " ".join(part for part, _ in parts)
    ids = policy.tokenizer.encode(text)
    sampled = Sampled(
        context_ids=(0,), token_ids=ids, logprobs=(-1.0,) * len(ids), offsets=tuple(range(len(ids)))
    )
    message = Message(role="assistant", content=text, raw=text, sampled=sampled)
    trajectory = Trajectory(id=text, messages=(ASK, message), outcome=1.0)
    judgements = []
    for part, score in parts:
        first = text.index(part)
        span, gap = Span((1, first), (1, first + 4)), Span((1, first + 4), (1, first + 5))
        judgements.append(judged(trajectory, span, "x", score))
        if first == 0:
            judgements.append(judged(trajectory, gap, "y", 1.0))
    return Scored(
        trajectory=trajectory,
        judgements=tuple(judgements),
        reward=Reward(value=0.85, process=0.5, outcome=1.0),
    )


# A policy that chooses after each turn whether to go on, with a chance of 1/2, and nothing else: its gradient on that
# choice, the sum over turns of advantage x (went on - 1/2), has mean 0 where turns are worth nothing by themselves.

MOST = 6
Played = list[list[float]]


def play(draw: random.Random, scores: Sequence[float]) -> Played:
    """The scores of each turn of a group of rollouts."""
    lengths = [next((n for n in range(1, MOST) if draw.random() < 0.5), MOST) for _ in range(8)]
    return [[draw.choice(scores) for _ in range(length)] for length in lengths]


def by_mode(mode: str) -> Callable[[Played], list[list[float]]]:
    def advantages_of(group: Played) -> list[list[float]]:
        texts = [[f"{i}{t}" for t, _ in enumerate(row)] for i, row in enumerate(group)]
        rollouts = [
            scored(
                [(text, "xy"[t % 2], score) for t, (text, score) in enumerate(zip(names, row, strict=True))],
                process=fmean(row) / 3,
            )
            for names, row in zip(texts, group, strict=True)
        ]
        # Three tokens a turn, all with the turn's advantage; the last of them is the choice.
        return [values[2::3] for values in credit(rollouts, credit=mode) if values is not None]

    return advantages_of


def sums(group: Played) -> list[list[float]]:
    """What pays for going on: the sum of the scores as a reward."""
    values = advantages.episode(floats(*map(sum, group)), 0.05).tolist()
    return [[value] * len(row) for value, row in zip(values, group, strict=True)]


def per_turn(group: Played) -> list[list[float]]:
    """What is biased: returns to go, normalised at each turn among the rollouts that got there."""
    found: list[list[float]] = [[] for _ in group]
    for t in range(MOST):
        there = [i for i, row in enumerate(group) if len(row) > t]
        returns = advantages.episode(floats(*(sum(group[i][t:]) for i in there)), 0.05)
        for i, value in zip(there, returns.tolist(), strict=True):
            found[i].append(value)
    return found


def pull(credit_of: Callable[[Played], list[list[float]]], scores: Sequence[float], groups: int) -> float:
    """The mean gradient on the choice to go on, in its standard errors."""
    draw = random.Random(5)
    gradients = []
    for _ in range(groups):
        group = play(draw, scores)
        gradients.append(
            math.fsum(
                value * ((t + 1 < len(row)) - 0.5)
                for row, values in zip(group, credit_of(group), strict=True)
                for t, value in enumerate(values)
                if t + 1 < MOST
            )
        )
    return fmean(gradients) / (stdev(gradients) / math.sqrt(groups))


EVEN, SKEWED = (1.0, 2.0, 3.0), (3.0, 3.0, 3.0, 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_policy_that_only_varies_the_number_of_turns_gains_nothing(mode: str) -> None:
    assert abs(pull(by_mode(mode), EVEN, 150)) < 3
    assert set(by_mode(mode)([[2.0] * n for n in (1, 2, 5)])[2]) == {0.0}


@pytest.mark.parametrize("mode", ["subgoal", "return_to_go"])
def test_nor_where_most_turns_do_well(mode: str) -> None:
    assert abs(pull(by_mode(mode), SKEWED, 150)) < 3


@pytest.mark.parametrize("biased", [sums, per_turn])
@pytest.mark.parametrize("scores", [EVEN, SKEWED])
def test_where_credit_is_biased_by_length_that_would_show(biased, scores) -> None:
    assert pull(biased, scores, 150) > 8
