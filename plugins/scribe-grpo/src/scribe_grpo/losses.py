"""The objective: the gain of a token, and how much the tokens of a rollout count.

loss = - sum over rollouts i of weight_i * sum over i's own tokens of (gain - beta * ratio * KL)

Shapes: B rollouts of a batch, T tokens of the longest; masks are 1 at the policy's own tokens.
"""

import torch
from torch import Tensor


def grpo(lengths: Tensor) -> Tensor:
    """weight_i = 1 / (R n_i): the mean of each rollout, then over rollouts. (R,) own tokens n -> (R,).

    https://arxiv.org/abs/2402.03300, eq. 3.
    """
    return 1 / (len(lengths) * lengths.clamp(min=1))


def dr_grpo(lengths: Tensor, longest: int) -> Tensor:
    """weight_i = 1 / (R L), L a constant: no token's weight depends on a length. (R,) -> (R,).

    https://arxiv.org/abs/2503.20783, where L is the longest completion allowed.
    """
    return torch.ones_like(lengths) / (len(lengths) * longest)


def dapo(lengths: Tensor) -> Tensor:
    """weight_i = 1 / (n_1 + ... + n_R): the mean over all tokens. (R,) -> (R,).

    https://arxiv.org/abs/2503.14476, eq. 8.
    """
    return torch.ones_like(lengths) / lengths.sum().clamp(min=1)


def token_ratio(logprobs: Tensor, old: Tensor) -> Tensor:
    """r_t = pi(t) / pi_old(t). (B, T), (B, T) -> (B, T). https://arxiv.org/abs/1707.06347, eq. 6."""
    return (logprobs - old).exp()


def sequence_ratio(logprobs: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """r = (pi(all own tokens) / pi_old(all own tokens)) ** (1 / n), one per rollout. (B, T) x 3 -> (B, 1).

    GSPO, https://arxiv.org/abs/2507.18071, eq. 7. It varies far less than a token's: its paper clips at 3e-4.
    """
    mean = ((logprobs - old) * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    return mean.exp()[:, None]


def clipped_gain(ratio: Tensor, advantage: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """min(r A, clip(r, 1 - low, 1 + high) A) per token, and where the clip was active.

    Shapes: (B, T) or (B, 1), (B, T) -> (B, T) twice. https://arxiv.org/abs/1707.06347, eq. 7, and for bounds
    that differ https://arxiv.org/abs/2503.14476, section 3.1.
    """
    free, bound = ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage
    return torch.minimum(free, bound), (bound < free).float()


def kl(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k3 estimate of KL(pi || reference) per token: exp(d) - d - 1, d = log ref - log pi.

    (B, T), (B, T) -> (B, T). http://joschu.net/blog/kl-approx.html. Its own gradient is another divergence's; times
    the ratio, also where that is 1, it is this one's (https://arxiv.org/abs/2512.02556, section 3.1).
    """
    difference = reference - logprobs
    return difference.exp() - difference - 1
