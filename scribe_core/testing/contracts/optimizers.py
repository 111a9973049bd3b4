"""What every optimizer keeps: it learns what is rewarded and nothing else, and resumes exactly."""

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from scribe_core.protocols import Optimizer, TrainablePolicy
from scribe_core.testing.contracts.builders import BuilderContract
from scribe_core.testing.tiny import TinyPolicy
from scribe_core.types import Conversation, Group, Message, Reward, Sampled, Scored, Trajectory

GOOD, BAD, OTHER = "zzzz", "qqqq", "vvvv"
"""Texts that share no step of a bigram model but the first and the last."""

ASKED = (Message(role="user", content="Which letter?"),)


class OptimizerContract(BuilderContract):
    """Runs on a tiny model, one step at a time; override `policy` for another one."""

    kind = "optimizers"

    def policy(self) -> TrainablePolicy:
        """A policy whose weights are the same each time."""
        return TinyPolicy().build()

    @pytest.fixture
    def optimizer(self, given: Any) -> Any:
        return given.build()

    @pytest.fixture
    def learning(self, optimizer: Optimizer) -> str:
        """Skips what only optimizers that learn from rollouts can keep."""
        if optimizer.learns_from != "rollouts":
            pytest.skip("learns from demonstrations")
        return optimizer.learns_from

    def test_says_what_it_learns_from(self, optimizer: Optimizer) -> None:
        assert optimizer.learns_from in ("rollouts", "demonstrations")

    def test_raises_what_is_rewarded(self, optimizer: Optimizer) -> None:
        policy = self.policy()
        groups = self.groups(optimizer, policy)
        before = {text: chance(policy, text) for text in (GOOD, BAD)}
        optimizer.step(policy, groups)
        gained = {text: chance(policy, text) - before[text] for text in (GOOD, BAD)}
        assert gained[GOOD] > 0
        assert gained[GOOD] > gained[BAD]

    def test_counts_its_updates(self, optimizer: Optimizer) -> None:
        policy = self.policy()
        optimizer.step(policy, self.groups(optimizer, policy))
        assert policy.version == 1

    def test_metrics_are_finite(self, optimizer: Optimizer) -> None:
        policy = self.policy()
        metrics = optimizer.step(policy, self.groups(optimizer, policy))
        assert isinstance(metrics, Mapping)
        for name, value in metrics.items():
            assert isinstance(name, str)
            assert isinstance(value, (int, float)), f"{name} is {type(value).__name__}"
            assert isfinite(value), name

    def test_one_start_one_result(self, given: Any) -> None:
        results = []
        for _ in range(2):
            policy, optimizer = self.policy(), given.build()
            optimizer.step(policy, self.groups(optimizer, policy))
            results.append(weights(policy))
        assert same(*results)

    def test_resumes_exactly(self, given: Any, tmp_path: Path) -> None:
        policy, optimizer = self.policy(), given.build()
        groups = self.groups(optimizer, policy)
        optimizer.step(policy, groups)
        (tmp_path / "policy").mkdir()
        (tmp_path / "optimizer").mkdir()
        policy.save(tmp_path / "policy")
        optimizer.save(tmp_path / "optimizer")
        optimizer.step(policy, groups)

        resumed, optimizer = self.policy(), given.build()
        resumed.load(tmp_path / "policy")
        optimizer.load(tmp_path / "optimizer")
        optimizer.step(resumed, groups)
        assert same(weights(resumed), weights(policy))

    @pytest.mark.usefixtures("learning")
    def test_equal_rewards_change_nothing(self, optimizer: Optimizer) -> None:
        policy = self.policy()
        before = weights(policy)
        optimizer.step(policy, [group(policy, {GOOD: 0.7, BAD: 0.7, OTHER: 0.7})])
        assert same(weights(policy), before)

    @pytest.mark.usefixtures("learning")
    def test_failed_rows_change_nothing(self, optimizer: Optimizer) -> None:
        policy = self.policy()
        before = weights(policy)
        optimizer.step(policy, [group(policy, {GOOD: None, BAD: None})])
        assert same(weights(policy), before)

    @pytest.mark.usefixtures("learning")
    def test_a_failed_row_moves_no_other(self, given: Any) -> None:
        """A reward of None is neither 0 nor the mean: the others are updated as if the row were not there."""
        moved = []
        for extra in ({}, {OTHER: None}):
            policy = self.policy()
            before = weights(policy)
            given.build().step(policy, [group(policy, {GOOD: 1.0, BAD: 0.0, **extra})])
            moved.append({name: value - before[name] for name, value in weights(policy).items()})
        for name, without in moved[0].items():
            scale = float(without.abs().max())
            assert float((moved[1][name] - without).abs().max()) <= 1e-2 * scale, name

    def groups(self, optimizer: Optimizer, policy: TrainablePolicy) -> list[Group]:
        """What the optimizer learns GOOD from."""
        if optimizer.learns_from == "demonstrations":
            return [[Scored(trajectory=_spoken(GOOD), judgements=(), reward=_reward(None))]]
        return [group(policy, {GOOD: 1.0, BAD: 0.0})]


def group(policy: TrainablePolicy, rewards: Mapping[str, float | None]) -> list[Scored]:
    """A rollout for each text, as if the policy had sampled it, with its reward."""
    return [
        Scored(trajectory=_sampled(policy, text), judgements=(), reward=_reward(reward))
        for text, reward in rewards.items()
    ]


def chance(policy: TrainablePolicy, text: str) -> float:
    """The log-probability of an answer."""
    return float(policy.logprobs(policy.rows([_conversation(_spoken(text))])).detach().sum())


def weights(policy: TrainablePolicy) -> dict[str, Any]:
    """A copy of all weights, by name."""
    return {name: value.detach().clone() for name, value in policy.module.state_dict().items()}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether all weights are equal to the last bit."""
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def _spoken(text: str) -> Trajectory:
    return Trajectory(id=text, messages=(*ASKED, Message(role="assistant", content=text)))


def _conversation(trajectory: Trajectory) -> Conversation:
    return Conversation(messages=trajectory.messages)


def _sampled(policy: TrainablePolicy, text: str) -> Trajectory:
    row = policy.rows([_conversation(_spoken(text))])[0]
    values = policy.logprobs([row])[0].detach().tolist()
    offsets = (*range(len(text)), *[len(text)] * len(row.tokens))[: len(row.tokens)]
    sampled = Sampled(
        context_ids=row.context, token_ids=row.tokens, logprobs=tuple(values), offsets=tuple(offsets)
    )
    message = Message(role="assistant", content=text, raw=text, sampled=sampled)
    return Trajectory(id=text, messages=(*ASKED, message), group_id="letters", policy_version=policy.version)


def _reward(value: float | None) -> Reward:
    return Reward(value=value, process=None, outcome=value)
