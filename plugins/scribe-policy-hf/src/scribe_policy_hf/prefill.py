"""The states of prompts before the first token is sampled: what is known or common is not computed twice."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from scribe_policy_hf.memory import States, length
from scribe_policy_hf.packing import can_pack

_SHARED = 16
"""Tokens: a shorter beginning of all prompts is not worth a forward pass of its own."""
_CHUNK = 4096
"""Padded tokens of a forward pass: the activations of more do not stay in a CPU's caches."""


@frozen
class Prefilled:
    """P prompts in T columns: logits behind each (P, vocabulary), the model's cache, and what is a token (P, T)."""

    logits: Tensor
    cache: Any
    mask: Tensor


def prefill(
    module: Any, prompts: Sequence[tuple[int, ...]], known: Sequence[States | None], pad_id: int
) -> tuple[Prefilled, list[int]]:
    """All prompts, and their order there. `known[i]` has the states of how prompt i begins, some tokens short of it."""
    if not can_pack(module):
        return _forward(module, prompts, known, pad_id), [*range(len(prompts))]
    begun = [*known]
    new = [i for i, states in enumerate(begun) if states is None]
    if len(new) > 1 and (start := _common_start([prompts[i] for i in new])):
        common = _beginning(module, prompts[new[0]][:start])
        for i in new:
            begun[i] = common
    lengths = [length(states) for states in begun]
    rests = [prompt[n:] for prompt, n in zip(prompts, lengths, strict=True)]
    order = sorted(range(len(prompts)), key=lambda i: (len(rests[i]), lengths[i]))
    chunks = [
        _forward(module, [rests[i] for i in chunk], [begun[i] for i in chunk], pad_id)
        for chunk in _chunks(order, rests)
    ]
    return chunks[0] if len(chunks) == 1 else _joined(chunks), order


def _common_start(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all prompts begin with, where sharing them pays; each keeps one of its own."""
    longest = min(map(len, prompts)) - 1
    columns = zip(*prompts, strict=False)
    common = next((i for i, column in enumerate(columns) if len({*column}) > 1), longest)
    return min(common, longest) if common >= _SHARED else 0


def _beginning(module: Any, ids: tuple[int, ...]) -> States:
    begun = torch.tensor([ids], device=module.device)
    cache = module(input_ids=begun, use_cache=True, logits_to_keep=1).past_key_values
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def _chunks(order: Sequence[int], rests: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """The order, cut where a chunk would have too many tokens; the last of a chunk is its longest."""
    chunk: list[int] = []
    for i in order:
        if chunk and (len(chunk) + 1) * len(rests[i]) > _CHUNK:
            yield chunk
            chunk = []
        chunk.append(i)
    yield chunk


def _forward(
    module: Any, rests: Sequence[tuple[int, ...]], begun: Sequence[States | None], pad_id: int
) -> Prefilled:
    """Rests behind what is known of each; both are padded on the left."""
    lengths = [length(states) for states in begun]
    past, width = max(lengths), max(map(len, rests))
    ids = torch.full((len(rests), width), pad_id)
    mask = torch.zeros((len(rests), past + width), dtype=torch.long)
    for i, (rest, known) in enumerate(zip(rests, lengths, strict=True)):
        ids[i, width - len(rest) :] = torch.tensor(rest)
        mask[i, past - known : past] = 1
        mask[i, past + width - len(rest) :] = 1
    mask = mask.to(module.device)
    output = module(
        input_ids=ids.to(module.device),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, past:],
        past_key_values=_cache(begun, past) if past else None,
        use_cache=True,
        logits_to_keep=1,
    )
    return Prefilled(output.logits[:, -1], output.past_key_values, mask)


def _cache(begun: Sequence[States | None], past: int) -> DynamicCache:
    """What is known of each row, on the right of `past` columns."""
    cache = DynamicCache()
    like = next(states for states in begun if states)
    for number, pair in enumerate(like):
        stores = [each.new_zeros((len(begun), each.shape[0], past, each.shape[2])) for each in pair]
        for i, states in enumerate(begun):
            for store, each in zip(stores, states[number] if states else (), strict=False):
                store[i, :, past - each.shape[1] :] = each
        cache.update(*stores, number)
    return cache


def _joined(chunks: Sequence[Prefilled]) -> Prefilled:
    """Chunks as one, each padded on the left to the widest's width."""
    width = max(chunk.mask.shape[1] for chunk in chunks)
    lacking = [width - chunk.mask.shape[1] for chunk in chunks]
    cache = DynamicCache()
    for number, layers in enumerate(zip(*(chunk.cache.layers for chunk in chunks), strict=True)):
        pairs = [(layer.keys, layer.values) for layer in layers]
        stores = [
            torch.cat([pad(each, (0, 0, n, 0)) for each, n in zip(states, lacking, strict=True)])
            for states in zip(*pairs, strict=True)
        ]
        cache.update(*stores, number)
    mask = torch.cat([pad(chunk.mask, (n, 0)) for chunk, n in zip(chunks, lacking, strict=True)])
    return Prefilled(torch.cat([chunk.logits for chunk in chunks]), cache, mask)
