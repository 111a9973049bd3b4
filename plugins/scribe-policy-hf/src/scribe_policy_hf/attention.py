"""Attention for CPUs: query heads that share a key head are multiplied with it together.

transformers' eager attention copies each key head for all its query heads first, and its fused kernel is slow
with a mask; on a CPU both cost more than the attention itself. Registered as "scribe_grouped".
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from scribe_policy_hf.cache import SharedCache
from scribe_policy_hf.packing import can_pack

NAME = "scribe_grouped"
# Queries at once, with the keys up to the last of them: what comes later is hidden from them.
_PART = 128
# Attention that is softmax(Q K^T) V and nothing else: no soft cap, no sinks, no bias.
_MODELS = frozenset({"llama", "qwen2", "qwen3", "mistral", "smollm3"})


def grouped_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    shared: SharedCache | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(Q K^T * scaling + mask) V.

    Shapes: query (B, heads, T, d), key and value (B, key heads, S, d), mask (B, 1, T, S); returns (B, T, heads, d).
    """
    if shared is not None:
        return _behind_prompts(query * scaling, key, value, attention_mask, shared, module.layer_idx), None
    length, past = query.shape[2], key.shape[2] - query.shape[2]
    parts = [
        _attend(query[:, :, start:end] * scaling, key[:, :, : past + end], value[:, :, : past + end], mask)
        for start in range(0, length, _PART)
        for end in [min(start + _PART, length)]
        for mask in [attention_mask[:, :, start:end, : past + end]]
    ]
    return torch.cat(parts, 1), None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    batch, heads, length, width = query.shape
    shared = key.shape[1]
    scores = query.reshape(batch, shared, -1, width) @ key.transpose(2, 3)
    scores = scores.view(batch, shared, heads // shared, length, -1) + mask[:, :, None]
    weights = scores.softmax(-1).view(batch, shared, -1, key.shape[2])
    return (weights @ value).view(batch, heads, length, width).transpose(1, 2)


def _behind_prompts(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, shared: SharedCache, layer: int
) -> Tensor:
    """The same for one token per row, behind its prompt; the mask is of both: (B, 1, 1, prompt + own)."""
    batch, heads, _, width = query.shape
    keys, values = shared.prompts[layer]
    queries = query.reshape(batch * key.shape[1], -1, width)
    own = queries @ key.flatten(0, 1).transpose(1, 2)
    scores = torch.cat((shared.times_prompts(queries, keys.transpose(2, 3)), own), -1)
    weights = (scores.view(batch, 1, heads, -1) + mask).softmax(-1).view(scores.shape)
    prompt, own = weights.split((keys.shape[2], key.shape[2]), -1)
    mixed = shared.times_prompts(prompt, values) + own @ value.flatten(0, 1)
    return mixed.view(batch, 1, heads, width)


def shares_prompts(module: Any) -> bool:
    """Whether rows can continue a SharedCache."""
    return module.config._attn_implementation == NAME and can_pack(module)


def suit_cpu(module: Any) -> None:
    """Gives a model on a CPU this attention, where it computes what the model's own does."""
    if module.config.model_type in _MODELS:
        AttentionInterface.register(NAME, grouped_attention)
        AttentionMaskInterface.register(NAME, eager_mask)
        module.set_attn_implementation(NAME)
