"""Policies and optimizers that are wrong in one way each. Needs torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from attrs import evolve
from cases import cases

from scribe_core.protocols import TokenRow, TrainablePolicy
from scribe_core.testing import OptimizerContract, PolicyContract, TinyPolicy, TrainablePolicyContract
from scribe_core.types import Completion, Conversation, Group, Message, Sampling


class Tiny:
    """The tiny policy between its callers and a fault."""

    def __init__(self, fault: str) -> None:
        self.fault, self.inner, self.calls = fault, TinyPolicy().build(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        self.calls += 1
        conversations, seeds = list(conversations), list(seeds)
        if self.fault == "at_least_one" and not conversations:
            return self.inner.generate([Conversation(messages=())], sampling, [0])
        if self.fault == "own_generator":
            seeds = [self.calls * 1000 + index for index, _ in enumerate(seeds)]
        if self.fault == "one_generator":
            seeds = [sum(seeds[: index + 1]) for index, _ in enumerate(seeds)]
        if self.fault == "always_greedy":
            sampling = evolve(sampling, temperature=0.0)
        if self.fault == "never_greedy":
            sampling = evolve(sampling, temperature=sampling.temperature or 1.0)
        if self.fault == "counts_characters":
            sampling = evolve(sampling, max_tokens=max(sampling.max_tokens, 4))
        completions = self.inner.generate(conversations, sampling, seeds)
        if self.fault == "sorts":
            completions.sort(key=lambda completion: completion.message.content)
        return [self.spoilt(each) for each in completions][self.fault == "drops_one" :]

    def spoilt(self, completion: Completion) -> Completion:
        sampled = completion.message.sampled
        assert sampled is not None
        if self.fault == "offsets_of_content":
            sampled = evolve(sampled, offsets=tuple(offset + 100 for offset in sampled.offsets))
        if self.fault == "other_logprobs":
            sampled = evolve(sampled, logprobs=tuple(value / 2 for value in sampled.logprobs))
        if self.fault == "forgets_temperature":
            sampled = evolve(sampled, temperature=1.0)
        if self.fault == "forgets_tokens":
            sampled = None
        return evolve(completion, message=evolve(completion.message, sampled=sampled))

    def rows(self, conversations: Sequence[Conversation]) -> list[TokenRow]:
        if self.fault == "encodes_again":
            conversations = [
                evolve(each, messages=tuple(_forgotten(message) for message in each.messages))
                for each in conversations
            ]
        rows = self.inner.rows(conversations)
        if self.fault == "learns_from_all":
            rows = [evolve(row, mask=(True,) * len(row.tokens)) for row in rows]
        if self.fault == "learns_from_none":
            rows = [evolve(row, mask=(False,) * len(row.tokens)) for row in rows]
        if self.fault == "forgets_positions":
            rows = [evolve(row, positions=()) for row in rows]
        return rows

    def logprobs(self, rows: Sequence[TokenRow]) -> Any:
        values = self.inner.logprobs(rows)
        if self.fault == "pads_with_minus_one":
            mask = torch.tensor([[i < len(row.tokens) for i in range(values.shape[1])] for row in rows])
            return torch.where(mask, values, torch.tensor(-1.0))
        if self.fault == "neighbours_matter":
            return values / len(rows)
        return values.detach().requires_grad_() if self.fault == "no_gradient" else values

    def reference_logprobs(self, rows: Sequence[TokenRow]) -> Any:
        return (
            self.inner.logprobs(rows).detach()
            if self.fault == "no_reference"
            else self.inner.reference_logprobs(rows)
        )

    def load(self, folder: Path) -> None:
        if self.fault != "loads_nothing":
            self.inner.load(folder)


def _forgotten(message: Message) -> Message:
    return evolve(message, sampled=None, raw=None, content=message.content.strip() + " ")


ANY = "at_least_one own_generator one_generator never_greedy sorts drops_one"
globals().update(cases(PolicyContract, Tiny, ANY.split()))

TRAINABLE = (
    "always_greedy counts_characters offsets_of_content other_logprobs forgets_temperature forgets_tokens encodes_again "
    "learns_from_all learns_from_none forgets_positions pads_with_minus_one neighbours_matter no_gradient no_reference loads_nothing"
)
globals().update(cases(TrainablePolicyContract, Tiny, TRAINABLE.split()))


class Momentum:
    """Policy gradient with momentum; the advantage is the reward minus the mean of what was rewarded."""

    learns_from = "rollouts"

    def __init__(self, fault: str) -> None:
        self.fault, self.velocity = fault, torch.zeros(())
        if fault == "learns_from_both":
            self.learns_from = "both"

    def step(self, policy: TrainablePolicy, groups: Sequence[Group]) -> Mapping[str, float]:
        weight = policy.module.weight
        loss = -sum(self.gain(policy, group) for group in groups)
        (gradient,) = torch.autograd.grad(loss, weight, allow_unused=True)
        self.velocity = 0.9 * self.velocity + (torch.zeros_like(weight) if gradient is None else gradient)
        if self.fault == "restless":
            self.velocity = self.velocity + 1e-3 * torch.randn(weight.shape)
        if self.fault == "decays":
            self.velocity = self.velocity + 1e-3 * weight.detach()
        with torch.no_grad():
            weight -= (-0.1 if self.fault == "descends" else 0.1) * self.velocity
        policy.version += 0 if self.fault == "does_not_count" else 1
        return {"loss": float("nan") if self.fault == "says_nan" else float(loss.detach())}

    def gain(self, policy: TrainablePolicy, group: Group) -> Any:
        rewards = [scored.reward.value for scored in group]
        if self.fault == "failed_is_zero":
            rewards = [reward or 0.0 for reward in rewards]
        known = [reward for reward in rewards if reward is not None]
        mean = fmean(known) if known else 0.0
        if self.fault == "failed_is_half":
            rewards = [0.75 if reward is None else reward for reward in rewards]
        logprobs = policy.logprobs(
            policy.rows([Conversation(messages=each.trajectory.messages) for each in group])
        )
        advantages = torch.tensor([0.0 if reward is None else reward - mean for reward in rewards])
        if self.fault == "normalises_noise":
            advantages = advantages + 1e-3
        return (logprobs.sum(1) * advantages).sum()

    def save(self, folder: Path) -> None:
        torch.save(self.velocity, folder / "velocity.pt")

    def load(self, folder: Path) -> None:
        if self.fault != "forgets":
            self.velocity = torch.load(folder / "velocity.pt", weights_only=True)


OPTIMIZER = (
    "learns_from_both descends does_not_count says_nan restless forgets decays normalises_noise "
    "failed_is_zero failed_is_half"
)
globals().update(cases(OptimizerContract, Momentum, OPTIMIZER.split()))
