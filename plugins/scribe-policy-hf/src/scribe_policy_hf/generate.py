"""Sampling from a causal language model: each distinct prompt is prefilled once, its samples share the cache."""

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from scribe_policy_hf.cache import make_room

# Copying the cache costs about a step: rows that have ended leave it when they are this share of it.
_COMPACT = 0.7


@frozen
class Draw:
    """What one row sampled: token ids (the end token included), and their log-probabilities."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool


@torch.inference_mode()
def generate(
    module: Any,
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float,
    max_tokens: int,
    seeds: Sequence[int],
    end_ids: frozenset[int],
    pad_id: int,
) -> list[Draw]:
    """One continuation per prompt. Row i draws from its own generator, seeded with `seeds[i]`."""
    distinct = sorted(set(map(tuple, prompts)), key=lambda ids: (len(ids), ids))
    position = {ids: i for i, ids in enumerate(distinct)}
    logits, cache, mask = _prefill(module, distinct, pad_id)
    owner = torch.tensor([position[tuple(ids)] for ids in prompts], device=logits.device)
    make_room(cache, owner, max_tokens)
    logits = logits[owner]
    length = mask.shape[1]
    mask = torch.nn.functional.pad(mask[owner], (0, max_tokens))
    uniforms = _uniforms(seeds, max_tokens).to(logits.device)
    rows = list(range(len(prompts)))
    tokens: list[list[int]] = [[] for _ in rows]
    logprobs: list[list[float]] = [[] for _ in rows]
    ended = [False] * len(rows)
    for step in range(max_tokens):
        drawn, chances = _draw(logits, temperature, uniforms[rows, step])
        for row, token, chance in zip(rows, drawn.tolist(), chances.tolist(), strict=True):
            if not ended[row]:
                tokens[row].append(token)
                logprobs[row].append(chance)
                ended[row] = token in end_ids
        alive = [i for i, row in enumerate(rows) if not ended[row]]
        if not alive or step + 1 == max_tokens:
            break
        if len(alive) <= _COMPACT * len(rows):
            index = torch.tensor(alive, device=logits.device)
            cache.batch_select_indices(index)
            mask, drawn = mask[index], drawn[index]
            rows = [rows[i] for i in alive]
        mask[:, length + step] = 1
        output = module(
            input_ids=drawn[:, None],
            attention_mask=mask,
            position_ids=mask.sum(1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1]
    return [Draw(tuple(t), tuple(p), e) for t, p, e in zip(tokens, logprobs, ended, strict=True)]


def _prefill(module: Any, prompts: Sequence[tuple[int, ...]], pad_id: int) -> tuple[Tensor, Any, Tensor]:
    """(last logits, cache, attention mask) of left-padded prompts."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt) :] = torch.tensor(prompt)
        mask[i, width - len(prompt) :] = 1
    ids, mask = ids.to(module.device), mask.to(module.device)
    output = module(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], output.past_key_values, mask


def _uniforms(seeds: Sequence[int], count: int) -> Tensor:
    rows = [
        torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in seeds
    ]
    return torch.stack(rows)


def _draw(logits: Tensor, temperature: float, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """(tokens, log-probabilities) by inverting the cumulative distribution; greedy ones are at temperature 1."""
    logits = logits.float() / (temperature or 1.0)
    logprobs = logits.log_softmax(-1)
    if temperature == 0:
        tokens = logits.argmax(-1)
    else:
        cumulative = logits.softmax(-1).double().cumsum(-1)
        tokens = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True).squeeze(1)
        tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens, logprobs.gather(-1, tokens[:, None]).squeeze(1)
