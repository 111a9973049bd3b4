"""Attention for CPUs: query heads that share a key head are multiplied with it together.

transformers' eager attention copies each key head for all its query heads first, and its fused kernel is slow
with a mask; on a CPU both cost more than the attention itself. Registered as "scribe_grouped".
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "scribe_grouped"
_MOST_SCORES = 2**24
"""Bytes of scores at once: what is much larger, the system takes back each time, and hands out again page by page."""
# Attention that is softmax(Q K^T) V and nothing else: no soft cap, no sinks, no bias.
_MODELS = frozenset({"llama", "qwen2", "qwen3", "mistral", "smollm3"})


def grouped_attention(
    module: Any,  # noqa: ARG001 - the interface passes the layer
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """softmax(Q K^T * scaling + mask) V.

    Shapes: query (B, heads, T, d), key and value (B, key heads, S, d), mask (B, 1, T, S); returns (B, T, heads, d).
    """
    mask = (
        None if attention_mask is None else attention_mask[..., : key.shape[2]].expand(len(query), -1, -1, -1)
    )
    return _mixed(query * scaling, key, value, mask).transpose(1, 2).contiguous(), None


def _mixed(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(Q K^T + mask) V, half by half of the rows, then of the queries, where the scores take much memory."""
    batch, heads, length, width = query.shape
    if batch * length > 1 and batch * heads * length * key.shape[2] * query.element_size() > _MOST_SCORES:
        along = 0 if batch > 1 else 2
        masks = (None, None) if mask is None else mask.chunk(2, along)
        keys, values = ((each, each) if along else each.chunk(2) for each in (key, value))
        return torch.cat([*map(_mixed, query.chunk(2, along), keys, values, masks)], along)
    shared = key.shape[1]
    scores = query.reshape(batch, shared, -1, width) @ key.transpose(2, 3)
    if mask is not None:
        scores = (scores.view(batch, shared, -1, length, key.shape[2]) + mask[:, :, None]).view(scores.shape)
    return (scores.softmax(-1) @ value).view(batch, heads, length, width)


def suit_cpu(module: Any) -> None:
    """Gives a model on a CPU this attention, where it computes what the model's own does."""
    if module.config.model_type in _MODELS:
        AttentionInterface.register(NAME, grouped_attention)
        AttentionMaskInterface.register(NAME, eager_mask)
        module.set_attn_implementation(NAME)
