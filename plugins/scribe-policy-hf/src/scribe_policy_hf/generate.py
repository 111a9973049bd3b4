"""Sampling from a causal language model: what prompts have in common is prefilled once, samples share the cache."""

from collections.abc import Sequence
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor
from torch.nn.functional import pad

from scribe_core.errors import RunError
from scribe_policy_hf.attention import shares_prompts
from scribe_policy_hf.cache import SharedCache, make_room
from scribe_policy_hf.linear import laid_out
from scribe_policy_hf.packing import additive, can_pack

# Copying the cache costs about a step: rows that have ended leave it when they are this share of it.
_COMPACT = 0.8
_SHARED = 16
"""Tokens: a shorter beginning of all prompts is not worth a forward pass of its own."""


@frozen
class Draw:
    """What one row sampled: token ids (the end token included), and their log-probabilities."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool


@define
class _Row:
    """A continuation under way; at most `room` tokens."""

    room: int
    tokens: list[int] = field(factory=list)
    logprobs: list[float] = field(factory=list)
    ended: bool = False

    @property
    def open(self) -> bool:
        return not self.ended and len(self.tokens) < self.room

    def add(self, token: int, logprob: float, end_ids: frozenset[int]) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.ended = token in end_ids


@torch.inference_mode()
def generate(
    module: Any,
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float,
    rooms: Sequence[int],
    seeds: Sequence[int],
    end_ids: frozenset[int],
    pad_id: int,
) -> list[Draw]:
    """A continuation of at most `rooms[i]` tokens per prompt. Row i draws from a generator seeded with `seeds[i]`.

    Raises RunError where the model's logits are not finite.
    """
    every = [_Row(room) for room in rooms]
    if every:
        with laid_out(module):
            _fill(module, every, prompts, temperature, _uniforms(seeds, max(rooms)), end_ids, pad_id)
    return [Draw(tuple(row.tokens), tuple(row.logprobs), row.ended) for row in every]


def _fill(
    module: Any,
    every: Sequence[_Row],
    prompts: Sequence[Sequence[int]],
    temperature: float,
    uniforms: Tensor,
    end_ids: frozenset[int],
    pad_id: int,
) -> None:
    """Samples all rows to their ends; row i draws with `uniforms[i]`."""
    logits, cache, mask = _start(module, prompts, pad_id)
    uniforms = uniforms.to(logits.device)
    live = list(range(len(every)))
    for step in range(uniforms.shape[1]):
        drawn, chances = _draw(logits, temperature, uniforms[live, step])
        for i, token, chance in zip(live, drawn.tolist(), chances.tolist(), strict=True):
            if every[i].open:
                every[i].add(token, chance, end_ids)
        kept = [place for place, i in enumerate(live) if every[i].open]
        if not kept:
            break
        if len(kept) <= _COMPACT * len(live):
            index = torch.tensor(kept, device=logits.device)
            cache.batch_select_indices(index)
            mask, drawn, live = mask[index], drawn[index], [live[place] for place in kept]
        mask = pad(mask, (0, 1), value=1)
        logits = _next(module, drawn, mask, cache)


def _start(module: Any, prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Any, Tensor]:
    """(last logits, cache, mask) of all prompts; each distinct one is computed once."""
    distinct = sorted(set(map(tuple, prompts)), key=lambda ids: (len(ids), ids))
    position = {ids: i for i, ids in enumerate(distinct)}
    logits, cache, mask = _prefill(module, distinct, pad_id)
    owner = torch.tensor([position[tuple(ids)] for ids in prompts], device=logits.device)
    if shares_prompts(module):
        cache = SharedCache([(layer.keys, layer.values) for layer in cache.layers], owner)
    else:
        make_room(cache, owner)
    return logits[owner], cache, mask[owner]


def _next(module: Any, tokens: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """Logits behind one more token per row. Rows that are no longer open may stand past the last position."""
    last = getattr(module.config.get_text_config(), "max_position_embeddings", None)
    positions = mask.sum(1, keepdim=True) - 1
    shared = isinstance(cache, SharedCache)
    output = module(
        input_ids=tokens[:, None],
        attention_mask=additive(cache.mask(mask), module.dtype) if shared else mask,
        position_ids=positions.clamp(max=last - 1) if last else positions,
        past_key_values=cache,
        use_cache=True,
        **({"shared": cache} if shared else {}),
    )
    return output.logits[:, -1]  # type: ignore[no-any-return]


def _prefill(module: Any, prompts: Sequence[tuple[int, ...]], pad_id: int) -> tuple[Tensor, Any, Tensor]:
    """(last logits, cache, attention mask). What all prompts begin with is computed once, their rests left-padded behind."""
    start = _common_start(prompts) if len(prompts) > 1 and can_pack(module) else 0
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width - start), pad_id)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    mask[:, :start] = 1
    for i, prompt in enumerate(prompts):
        rest = torch.tensor(prompt[start:])
        ids[i, len(ids[i]) - len(rest) :] = rest
        mask[i, width - len(rest) :] = 1
    ids, mask = ids.to(module.device), mask.to(module.device)
    cache = None
    if start:
        begun = torch.tensor([prompts[0][:start]], device=module.device)
        cache = module(input_ids=begun, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(prompts))
    output = module(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, start:],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], output.past_key_values, mask


def _common_start(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all prompts begin with, where sharing them pays; each keeps one of its own."""
    longest = min(map(len, prompts)) - 1
    columns = zip(*prompts, strict=False)
    common = next((i for i, column in enumerate(columns) if len({*column}) > 1), longest)
    return min(common, longest) if common >= _SHARED else 0


def _uniforms(seeds: Sequence[int], count: int) -> Tensor:
    rows = [
        torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in seeds
    ]
    return torch.stack(rows)


def _draw(logits: Tensor, temperature: float, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """(tokens, log-probabilities) by inverting the cumulative distribution; greedy ones are at temperature 1."""
    chances = (logits.float() / (temperature or 1.0)).softmax(-1)
    if temperature == 0:
        tokens = logits.argmax(-1)
    else:
        cumulative = chances.cumsum(-1, dtype=torch.float64)
        tokens = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True).squeeze(1)
        tokens = tokens.clamp(max=logits.shape[-1] - 1)
    chosen = chances.gather(-1, tokens[:, None]).squeeze(1).log()
    if not chosen.isfinite().all():
        raise RunError(
            "policy: the model's logits are not finite; go on from an earlier checkpoint with a lower "
            "optimizer.learning_rate, or with a higher rollout.temperature if that is close to 0"
        )
    return tokens, chosen
