"""Credit: from the rewards of a group to an advantage per rollout."""

from collections.abc import Sequence
from statistics import fmean, pstdev


def episode(rewards: Sequence[float | None], noise_floor: float) -> list[float]:
    """advantage = (r - mean) / max(std, noise_floor): GRPO's (https://arxiv.org/abs/2402.03300) with a floor.

    Below the floor a difference is judge noise, which division by a tiny spread would blow up. A row without
    a reward (its judge failed) gets 0 and is left out of mean and spread, so that it moves no other row.
    """
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    mean, spread = fmean(known), max(pstdev(known), noise_floor)
    return [0.0 if reward is None else (reward - mean) / spread for reward in rewards]
