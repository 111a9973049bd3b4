"""The probability of each answer: the prefix that prompts share is computed once, and so is each prompt for its answers.

One forward pass reads a batch of rows behind the cache of the shared prefix:

    [shared][ padding, rest of the prompt ][stem 1][answer][answer]...[stem 2][answer]...

A stem sees the prompt and itself, an answer its stem too, and positions count along the path from the root. So each
path is computed as if it stood alone.
"""

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from scribe_judge_hf.layout import Branch, Tokens

_CHUNK = 1024
"""Tokens of a prefix that are computed at once: attention over a long one needs its square in memory."""


@frozen
class Tree:
    """Branches laid out in a row, of T tokens. Column 0 is the last token of the prompt; the tree's own begin at 1.

    `ids` and `depths` (T,): tokens, and their distance from the prompt's end. `sees` (T, T): query, key.
    For each of the N tokens of all answers: the column whose logits predict it, its id, and the number of its
    answer; `ends` holds the last column of each of the A answers.
    """

    ids: Tensor
    depths: Tensor
    sees: Tensor
    columns: Tensor
    targets: Tensor
    owners: Tensor
    ends: Tensor


def grow(branches: Sequence[Branch]) -> Tree:
    """Lays branches out: each stem, then its answers."""
    ids: list[int] = []
    depths: list[int] = []
    segments: list[int] = []
    parents: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    ends: list[int] = []

    def put(tokens: Tokens, depth: int, parent: int) -> None:
        ids.extend(tokens)
        depths.extend(range(depth, depth + len(tokens)))
        segments.extend([len(parents)] * len(tokens))
        parents.append(parent)

    for branch in branches:
        stem = len(parents)
        put(branch.stem, 0, stem)
        fork = len(ids) if branch.stem else 0
        for _, tokens in branch.answers:
            first = len(ids) + 1
            columns += [fork, *range(first, first + len(tokens) - 1)]
            targets += tokens
            owners += [len(ends)] * len(tokens)
            put(tokens, len(branch.stem), stem)
            ends.append(len(ids))
    segment, parent = torch.tensor(segments), torch.tensor(parents)
    near = (segment[:, None] == segment) | (parent[segment][:, None] == segment)
    return Tree(
        *map(torch.tensor, (ids, depths)), near.tril(), *map(torch.tensor, (columns, targets, owners, ends))
    )


@torch.inference_mode()
def prefill(module: Any, shared: Tokens) -> DynamicCache:
    """The keys and values of a prefix, as a batch of one."""
    cache = DynamicCache()
    for start in range(0, len(shared), _CHUNK):
        ids = torch.tensor([shared[start : start + _CHUNK]], device=module.device)
        cache = module(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).past_key_values
    return cache


def can_branch(module: Any) -> bool:
    """Whether its cache holds all keys: neither a sliding window nor a recurrent state."""
    with torch.inference_mode():
        output = module(input_ids=torch.tensor([[0, 1]], device=module.device), use_cache=True)
    layers = getattr(output.get("past_key_values"), "layers", [])
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


@torch.inference_mode()
def read(module: Any, prefix: DynamicCache, rests: Sequence[Tokens], tree: Tree, closers: Tensor) -> Tensor:
    """The probability of each answer, closed: float32 (len(rests), A).

    `rests` are the prompts behind the prefix, none of them empty; `closers` the ids that end an answer.
    """
    width = max(map(len, rests))
    ids, positions, mask = _rows(rests, tree, prefix.get_seq_length())
    kept, where = torch.cat([tree.columns, tree.ends]).unique(return_inverse=True)
    device = module.device
    logits = module(
        input_ids=ids.to(device),
        attention_mask=_additive(mask, module.dtype).to(device),
        position_ids=positions.to(device),
        past_key_values=_spread(prefix, len(rests)),
        use_cache=True,
        logits_to_keep=(kept + width - 1).to(device),
    ).logits
    chances = logits.float().log_softmax(-1)
    columns, ends = where.to(device).split([len(tree.columns), len(tree.ends)])
    chosen = chances[:, columns, tree.targets.to(device)]
    total = chances[:, ends][:, :, closers].logsumexp(-1)
    return total.index_add(1, tree.owners.to(device), chosen).exp().cpu()


def _rows(rests: Sequence[Tokens], tree: Tree, before: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids and positions (B, W + T), and who sees whom (B, 1, W + T, before + W + T)."""
    width, grown = max(map(len, rests)), len(tree.ids)
    lengths = torch.tensor([len(rest) for rest in rests])
    ids = torch.zeros((len(rests), width + grown), dtype=torch.long)
    for i, rest in enumerate(rests):
        ids[i, width - len(rest) : width] = torch.tensor(rest)
    ids[:, width:] = tree.ids
    places = torch.arange(width) - (width - lengths)[:, None]
    positions = before + torch.cat([places.clamp(min=0), lengths[:, None] + tree.depths], 1)
    mask = torch.ones((len(rests), width + grown, before + width + grown), dtype=torch.bool)
    mask[:, :, before : before + width] = (places >= 0)[:, None, :]
    mask[:, :width, before:] &= torch.ones(width, width + grown, dtype=torch.bool).tril()
    mask[:, width:, before + width :] = tree.sees
    return ids, positions, mask[:, None]


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where seen, the lowest number elsewhere: what attention adds to its scores."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def _spread(prefix: DynamicCache, rows: int) -> DynamicCache:
    """The prefix for each of many rows."""
    cache = DynamicCache()
    for i, layer in enumerate(prefix.layers):
        cache.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), i)
    return cache
