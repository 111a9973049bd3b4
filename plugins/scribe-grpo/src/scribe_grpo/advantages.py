"""Credit: how much better than the rest of its group a rollout was, or a subgoal.

Tensors in, tensors out, in float64: G rollouts of a group, N subgoals of all of them. A reward that is not known
(its judge failed) is nan; it gets 0 and is left out of mean and spread, so that it moves no other.
"""

import torch
from torch import Tensor


def episode(rewards: Tensor, noise_floor: float) -> Tensor:
    """A = (r - mean) / max(std, noise_floor): GRPO's with a floor. (G,) -> (G,).

    https://arxiv.org/abs/2402.03300, section 4.1.2. Below the floor a difference is judge noise, which division
    by a tiny spread would blow up.
    """
    known = ~rewards.isnan()
    return torch.where(known, _against(rewards, rewards[known], noise_floor), 0.0)


def decoupled(process: Tensor, outcome: Tensor, weights: tuple[float, float], noise_floor: float) -> Tensor:
    """A = w_p A(process) + w_o A(outcome), each normalised apart. (G,), (G,) -> (G,).

    A sum that is normalised as a whole maps different pairs of rewards to one advantage: GDPO,
    https://arxiv.org/abs/2601.05242; PAPO, https://arxiv.org/abs/2603.26535. Left out: GDPO's second
    normalisation over the batch, and PAPO's restriction of the process to rollouts that succeeded.
    """
    return weights[0] * episode(process, noise_floor) + weights[1] * episode(outcome, noise_floor)


def subgoal(scores: Tensor, skills: Tensor, counts: Tensor, noise_floor: float, shrinkage: float) -> Tensor:
    """A_j = n / (n + k) * (s_j - mean) / max(std, noise_floor), over the n subgoals of j's skill. (N,) x 3 -> (N,).

    `skills` are numbers, `counts` says whether a subgoal belongs to mean, spread and n; one that does not is
    something that the policy may add at will, and gets 0 at most. GiGPO's comparison of like with like
    (https://arxiv.org/abs/2505.10978) with the prototype for the anchor state, shrunk towards 0 as an
    estimate from n samples with a prior worth k.
    """
    advantages = torch.zeros_like(scores)
    for skill in skills.unique():
        of = skills == skill
        n = float(counts[of].sum())
        share = n / (n + shrinkage) if n else 0.0
        advantages[of] = share * _compared(scores[of], counts[of], noise_floor)
    return advantages


def return_to_go(scores: Tensor, rows: Tensor, counts: Tensor, noise_floor: float, discount: float) -> Tensor:
    """G_j = A_j + discount * G_(j + 1), where j + 1 is the next subgoal of the same rollout. (N,) x 3 -> (N,).

    A_j is j's score against all subgoals of the group (`counts` as in `subgoal`). What is summed has mean 0, so
    that another subgoal of average quality is worth nothing; a sum of the scores themselves, or one normalised
    per turn, pays for going on.
    """
    returns = _compared(scores, counts, noise_floor)
    for j in range(len(scores) - 2, -1, -1):
        if rows[j] == rows[j + 1]:
            returns[j] += discount * returns[j + 1]
    return returns


def _compared(scores: Tensor, counts: Tensor, noise_floor: float) -> Tensor:
    """Advantages over those that count; at most 0 for the others."""
    advantages = _against(scores, scores[counts], noise_floor)
    return torch.where(counts, advantages, advantages.clamp(max=0))


def _against(values: Tensor, those: Tensor, noise_floor: float) -> Tensor:
    """(v - mean of those) / max(std of those, noise_floor); 0 where there are fewer than two to compare with."""
    if len(those) < 2:
        return torch.zeros_like(values)
    # Relative to the first, so that the mean of equal numbers is that number to the last bit.
    mean = those[0] + (those - those[0]).mean()
    return (values - mean) / those.std(correction=0).clamp(min=noise_floor)
