"""What every policy keeps: an answer per conversation, its own randomness per row, its own tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from scribe_core.protocols import Policy, TokenRow, TrainablePolicy
from scribe_core.testing.contracts.builders import BuilderContract
from scribe_core.testing.samples import WEATHER
from scribe_core.types import Completion, Conversation, Message, Sampled, Sampling

SEEDS = (11, 22, 33)


def conversations() -> list[Conversation]:
    """Three of different lengths: a greeting, a request with a tool, a call with its result."""
    request = Message(role="user", content="What is the weather in Paris? " * 3)
    result = Message(role="tool", content='{"sky": "clear"}', tool_call_id="a", name="weather")
    call = Message(role="assistant", content="I will look it up.")
    return [
        Conversation(messages=(Message(role="user", content="Hello"),)),
        Conversation(messages=(Message(role="system", content="Be brief."), request), tools=(WEATHER,)),
        Conversation(messages=(request, call, result), tools=(WEATHER,)),
    ]


class PolicyContract(BuilderContract):
    """Continues conversations, row by row as if each were alone."""

    kind = "policies"
    max_tokens: ClassVar[int] = 12

    @pytest.fixture
    def policy(self, given: Any) -> Any:
        return given.build()

    def sampling(self, temperature: float = 1.0) -> Sampling:
        return Sampling(temperature=temperature, max_tokens=self.max_tokens)

    def test_one_completion_each(self, policy: Policy) -> None:
        completions = policy.generate(conversations(), self.sampling(), SEEDS)
        assert [each.message.role for each in completions] == ["assistant"] * 3
        assert {each.finish_reason for each in completions} <= {"stop", "length"}

    def test_no_conversation_no_completion(self, policy: Policy) -> None:
        assert policy.generate([], self.sampling(), []) == []

    def test_seeds_reproduce(self, policy: Policy) -> None:
        first = policy.generate(conversations(), self.sampling(), SEEDS)
        assert texts(policy.generate(conversations(), self.sampling(), SEEDS)) == texts(first)

    def test_rows_do_not_depend_on_their_neighbours(self, policy: Policy) -> None:
        together = texts(policy.generate(conversations(), self.sampling(), SEEDS))
        for index, conversation in enumerate(conversations()):
            alone = policy.generate([conversation], self.sampling(), [SEEDS[index]])
            assert texts(alone) == [together[index]]

    def test_completions_are_in_order(self, policy: Policy) -> None:
        there = texts(policy.generate(conversations(), self.sampling(), SEEDS))
        back = texts(policy.generate(conversations()[::-1], self.sampling(), SEEDS[::-1]))
        assert back[::-1] == there

    def test_greedy_needs_no_seed(self, policy: Policy) -> None:
        greedy = self.sampling(temperature=0.0)
        first = policy.generate(conversations(), greedy, SEEDS)
        assert texts(policy.generate(conversations(), greedy, [seed + 1 for seed in SEEDS])) == texts(first)


class TrainablePolicyContract(PolicyContract):
    """Also has weights. `tolerance` is for log-probabilities that were computed in another batch."""

    tolerance: ClassVar[float] = 1e-4

    def test_seeds_make_a_difference(self, policy: TrainablePolicy) -> None:
        drawn = policy.generate([conversations()[0]] * 8, self.sampling(), range(8))
        assert len(set(texts(drawn))) > 1

    def test_sampled_tokens_fit_their_text(self, policy: TrainablePolicy) -> None:
        for completion in policy.generate(conversations(), self.sampling(), SEEDS):
            sampled, raw = sampled_of(completion), completion.message.raw
            assert raw is not None
            assert 1 <= len(sampled.token_ids) <= self.max_tokens
            assert len(sampled.logprobs) == len(sampled.offsets) == len(sampled.token_ids)
            assert list(sampled.offsets) == sorted(sampled.offsets)
            assert 0 <= sampled.offsets[0] <= sampled.offsets[-1] <= len(raw)

    def test_the_limit_counts_tokens(self, policy: TrainablePolicy) -> None:
        for completion in policy.generate(conversations(), Sampling(max_tokens=1), SEEDS):
            assert len(sampled_of(completion).token_ids) == 1

    def test_rows_keep_the_sampled_ids(self, policy: TrainablePolicy) -> None:
        """Also where an earlier assistant message is somebody else's: it is part of the context."""
        completions = policy.generate(conversations(), self.sampling(), SEEDS)
        for row, completion in zip(self._rows(policy, completions), completions, strict=True):
            sampled = sampled_of(completion)
            assert row.context == sampled.context_ids
            assert row.tokens == sampled.token_ids
            assert all(row.mask)
            assert len(row.mask) == len(row.tokens)

    @pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
    def test_sampled_logprobs_are_those_of_the_weights(
        self, policy: TrainablePolicy, temperature: float
    ) -> None:
        """At the temperature that was sampled, so that rollouts are on-policy at any; greedy ones at 1."""
        completions = policy.generate(conversations(), self.sampling(temperature), SEEDS)
        rows = self._rows(policy, completions)
        for row, values, completion in zip(rows, policy.logprobs(rows), completions, strict=True):
            sampled = sampled_of(completion)
            found = values[: len(row.tokens)].tolist()
            assert row.temperature == sampled.temperature == (temperature or 1.0)
            assert found == pytest.approx(sampled.logprobs, abs=self.tolerance)

    def test_logprobs_are_padded_with_zero(self, policy: TrainablePolicy) -> None:
        answers = (Message(role="assistant", content="word " * count) for count in (1, 9, 4))
        rows = policy.rows([Conversation(messages=(*conversations()[0].messages, each)) for each in answers])
        together = policy.logprobs(rows)
        assert tuple(together.shape) == (len(rows), max(len(row.tokens) for row in rows))
        assert str(together.dtype) == "torch.float32"
        for row, values in zip(rows, together, strict=True):
            assert not values[len(row.tokens) :].any()
            alone = policy.logprobs([row])[0].tolist()
            assert values[: len(row.tokens)].tolist() == pytest.approx(alone, abs=self.tolerance)

    def test_gradients_reach_the_weights(self, policy: TrainablePolicy) -> None:
        rows = self._rows(policy, policy.generate(conversations(), self.sampling(), SEEDS))
        policy.logprobs(rows).sum().backward()
        gradients = [weight.grad for weight in policy.module.parameters() if weight.grad is not None]
        assert any(gradient.any() for gradient in gradients)

    def test_reference_is_where_the_weights_began(self, policy: TrainablePolicy) -> None:
        rows = self._rows(policy, policy.generate(conversations(), self.sampling(), SEEDS))
        began = policy.logprobs(rows).tolist()
        disturb(policy)
        reference = policy.reference_logprobs(rows)
        assert not reference.requires_grad
        for found, expected in zip(reference.tolist(), began, strict=True):
            assert found == pytest.approx(expected, abs=self.tolerance)
        assert policy.logprobs(rows).tolist() != began

    def test_a_second_turn_is_appended(self, policy: TrainablePolicy) -> None:
        """The tokens of the first turn stand as they were sampled; only what came since is encoded."""
        start = conversations()[1]
        first = policy.generate([start], self.sampling(), [SEEDS[0]])[0]
        result = Message(role="tool", content="clear", tool_call_id="a", name="weather")
        longer = Conversation(messages=(*start.messages, first.message, result), tools=start.tools)
        second = policy.generate([longer], self.sampling(), [SEEDS[1]])[0]
        row = policy.rows([Conversation(messages=(*longer.messages, second.message), tools=start.tools)])[0]
        one, two = sampled_of(first), sampled_of(second)
        assert two.context_ids, "the result and the opening of the next turn are new tokens"
        assert row.context == one.context_ids
        assert row.tokens == one.token_ids + two.context_ids + two.token_ids
        own = [True] * len(one.token_ids), [False] * len(two.context_ids), [True] * len(two.token_ids)
        assert list(row.mask) == [*own[0], *own[1], *own[2]]
        between = len(start.messages), len(longer.messages)
        starts = [[(at, offset) for offset in s.offsets] for at, s in zip(between, (one, two), strict=True)]
        assert list(row.positions) == [*starts[0], *[None] * len(two.context_ids), *starts[1]]

    def test_demonstrations_are_learned_from(self, policy: TrainablePolicy) -> None:
        answer = Message(role="assistant", content="Good morning")
        row = policy.rows([Conversation(messages=(*conversations()[0].messages, answer))])[0]
        assert row.context
        assert any(row.mask)
        assert row.positions == (None,) * len(row.tokens), "nobody sampled them"

    def test_saves_and_loads(self, policy: TrainablePolicy, tmp_path: Path) -> None:
        rows = self._rows(policy, policy.generate(conversations(), self.sampling(), SEEDS))
        before = policy.logprobs(rows).tolist()
        policy.save(tmp_path)
        disturb(policy)
        assert policy.logprobs(rows).tolist() != before
        policy.load(tmp_path)
        assert policy.logprobs(rows).tolist() == before

    def _rows(self, policy: TrainablePolicy, completions: Sequence[Completion]) -> list[TokenRow]:
        finished = [
            Conversation(messages=(*each.messages, completion.message), tools=each.tools)
            for each, completion in zip(conversations(), completions, strict=True)
        ]
        return policy.rows(finished)


def texts(completions: Sequence[Completion]) -> list[tuple[object, ...]]:
    """What was written, without log-probabilities, which may differ in the last digit."""
    return [
        (message.content, message.raw, len(message.tool_calls), message.sampled and message.sampled.token_ids)
        for message in (completion.message for completion in completions)
    ]


def sampled_of(completion: Completion) -> Sampled:
    assert completion.message.sampled is not None, "a trainable policy keeps the tokens behind its messages"
    return completion.message.sampled


def disturb(policy: TrainablePolicy) -> None:
    """Changes every weight that can be learned."""
    for weight in policy.module.parameters():
        if weight.requires_grad:
            weight.data.add_(0.05 * (weight.data.abs() + 0.1))
