"""Sampling from a causal language model: a token for every row at a time, behind what their prompts left in the cache."""

from collections.abc import Sequence
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor
from torch.nn.functional import pad

from scribe_core.errors import RunError
from scribe_policy_hf.attention import shares_prompts
from scribe_policy_hf.cache import SharedCache, make_room, row_states
from scribe_policy_hf.linear import laid_out
from scribe_policy_hf.memory import Memory
from scribe_policy_hf.packing import additive
from scribe_policy_hf.prefill import prefill

# Copying the cache costs about a step: rows that have ended leave it when they are this share of it.
_COMPACT = 0.8


@frozen
class Draw:
    """What one row sampled: token ids (the end token included), and their log-probabilities."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    ended: bool


@frozen(kw_only=True)
class Request:
    """A continuation of at most `room` tokens, drawn from a generator seeded with `seed`.

    The first `begun` tokens of the prompt are those of its turns so far, which a memory may know.
    """

    prompt: tuple[int, ...]
    room: int
    seed: int
    begun: int = 0


@define
class _Row:
    """A continuation under way."""

    request: Request
    tokens: list[int] = field(factory=list)
    logprobs: list[float] = field(factory=list)
    ended: bool = False

    @property
    def open(self) -> bool:
        return not self.ended and len(self.tokens) < self.request.room

    def add(self, token: int, logprob: float, end_ids: frozenset[int]) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.ended = token in end_ids


@torch.inference_mode()
def generate(
    module: Any,
    requests: Sequence[Request],
    *,
    temperature: float,
    end_ids: frozenset[int],
    pad_id: int,
    memory: Memory,
) -> list[Draw]:
    """What each request gets, and the turns that ended kept in the memory.

    Raises RunError where the model's logits are not finite.
    """
    every = [*map(_Row, requests)]
    if every:
        with laid_out(module):
            _fill(module, every, temperature, end_ids, pad_id, memory)
    return [Draw(tuple(row.tokens), tuple(row.logprobs), row.ended) for row in every]


def _fill(
    module: Any,
    every: Sequence[_Row],
    temperature: float,
    end_ids: frozenset[int],
    pad_id: int,
    memory: Memory,
) -> None:
    """Samples all rows to their ends."""
    requests = [row.request for row in every]
    logits, cache, mask = _start(module, requests, memory, pad_id)
    longest = max(request.room for request in requests)
    uniforms = _uniforms([request.seed for request in requests], longest).to(logits.device)
    live, places = every, list(range(len(every)))
    for step in range(longest):
        drawn, chances = _draw(logits, temperature, uniforms[places, step])
        for row, token, chance in zip(live, drawn.tolist(), chances.tolist(), strict=True):
            if row.open:
                row.add(token, chance, end_ids)
        kept = [i for i, row in enumerate(live) if row.open]
        if len(kept) <= _COMPACT * len(live):
            _remember(memory, live, cache, mask)
            if not kept:
                break
            index = torch.tensor(kept, device=logits.device)
            cache.batch_select_indices(index)
            mask, drawn = mask[index], drawn[index]
            live, places = [live[i] for i in kept], [places[i] for i in kept]
        mask = pad(mask, (0, 1), value=1)
        logits = _next(module, drawn, mask, cache)


def _start(
    module: Any, requests: Sequence[Request], memory: Memory, pad_id: int
) -> tuple[Tensor, Any, Tensor]:
    """(last logits, cache, mask) of all prompts; each distinct one is computed once."""
    turns = {request.prompt: request.prompt[: request.begun] for request in requests}
    distinct = sorted(turns, key=lambda ids: (len(ids), ids))
    known = [memory.recall(turns[prompt]) for prompt in distinct]
    for turn in turns.values():
        memory.drop(turn)
    filled, order = prefill(module, distinct, known, pad_id)
    place = {distinct[i]: at for at, i in enumerate(order)}
    owner = torch.tensor([place[request.prompt] for request in requests], device=module.device)
    cache = filled.cache
    if shares_prompts(module):
        cache = SharedCache([(layer.keys, layer.values) for layer in cache.layers], owner)
    else:
        make_room(cache, owner)
    return filled.logits[owner], cache, filled.mask[owner]


def _remember(memory: Memory, rows: Sequence[_Row], cache: Any, mask: Tensor) -> None:
    """Keeps the rows that have ended. The last token of each has no states, and columns behind it are not its own."""
    for i, row in enumerate(rows):
        whole = (*row.request.prompt, *row.tokens)
        if row.ended and memory.takes(whole):
            columns = mask[i].nonzero().flatten()[: len(whole) - 1]
            memory.keep(whole, row_states(cache, i, columns))


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
