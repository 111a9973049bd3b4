"""Attention for CPUs: query heads that share a key head are multiplied with it together.

transformers' eager attention copies each key head for all its query heads first, and its fused kernel is slow
with a mask; on a CPU both cost more than the attention itself. Registered as "scribe_grouped".
"""

from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "scribe_grouped"
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
    batch, heads, length, width = query.shape
    shared = key.shape[1]
    scores = (query * scaling).reshape(batch, shared, -1, width) @ key.transpose(2, 3)
    scores = scores.view(batch, shared, heads // shared, length, -1)
    if attention_mask is not None:
        scores = scores + attention_mask[:, :, None, :, : key.shape[2]]
    weights = scores.softmax(-1).view(batch, shared, -1, key.shape[2])
    mixed = (weights @ value).view(batch, heads, length, width)
    return mixed.transpose(1, 2).contiguous(), None


def suit_cpu(module: Any) -> None:
    """Gives a model on a CPU this attention, where it computes what the model's own does."""
    if module.config.model_type in _MODELS:
        AttentionInterface.register(NAME, grouped_attention)
        AttentionMaskInterface.register(NAME, eager_mask)
        module.set_attn_implementation(NAME)
