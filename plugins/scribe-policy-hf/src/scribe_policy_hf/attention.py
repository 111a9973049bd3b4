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
_MOST_SCORES = 2**24
"""Bytes of scores at once: what is much larger, the system takes back each time, and hands out again page by page."""
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
    masks = attention_mask.expand(len(query), -1, -1, -1)
    parts = [
        _mixed(query[:, :, start:end] * scaling, key[:, :, : past + end], value[:, :, : past + end], mask)
        for start in range(0, length, _PART)
        for end in [min(start + _PART, length)]
        for mask in [masks[:, :, start:end, : past + end]]
    ]
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


def _mixed(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(Q K^T + mask) V, half by half of the rows, then of the queries, where the scores take much memory."""
    batch, heads, length, width = query.shape
    if batch * length > 1 and batch * heads * length * key.shape[2] * query.element_size() > _MOST_SCORES:
        along = 0 if batch > 1 else 2
        keys, values = ((each, each) if along else each.chunk(2) for each in (key, value))
        return torch.cat([*map(_mixed, query.chunk(2, along), keys, values, mask.chunk(2, along))], along)
    shared = key.shape[1]
    scores = query.reshape(batch, shared, -1, width) @ key.transpose(2, 3)
    scores = (scores.view(batch, shared, -1, length, key.shape[2]) + mask[:, :, None]).view(scores.shape)
    return (scores.softmax(-1) @ value).view(batch, heads, length, width)


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
