"""Log-probabilities of many rows in one forward pass, each context computed once.

Rows with the same context (and temperature) form packs, laid out as [context][row 1][row 2]... A row attends to the context and
to itself, and its positions continue the context's. A pack has as many rows as make it fastest: with each, the context is
computed once less, and there is more attention between rows, to be masked. Contexts are padded on the left so that all rows of the
batch begin in one column, and the model is asked only for logits from there on.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import sqrt
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from scribe_core.protocols import TokenRow


@frozen
class Packs:
    """A batch of packs. Shapes: ids and positions (B, T), mask (B, 1, T, T), or (B, T) where not packed.

    For each of the N tokens of all rows, in order: `packs` and `columns` (N,) say which of the last `keep`
    logits predict it, `targets` (N,) its id. `lengths` counts the tokens of each row. `temperature` is (B, 1, 1).
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    keep: int
    packs: Tensor
    columns: Tensor
    targets: Tensor
    lengths: list[int]
    temperature: Tensor


def can_pack(module: Any) -> bool:
    """Whether all its attention takes a mask of any shape: no recurrent state, no sliding window."""
    config = module.config.get_text_config()
    kinds = {*(getattr(config, "layer_types", None) or ())} - {"full_attention"}
    return not (kinds or getattr(config, "sliding_window", None) or getattr(module, "_is_stateful", False))


def reach(module: Any) -> float:
    """To how many tokens a token attends in the time that the rest of the model takes for it."""
    config = module.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = config.num_hidden_layers * config.num_attention_heads * head
    tables = {id(each.weight) for each in (module.get_input_embeddings(), module.get_output_embeddings())}
    weights = sum(w.numel() for w in module.parameters() if w.dim() > 1 and id(w) not in tables)
    return weights / width / 2


def logprobs(module: Any, rows: Sequence[TokenRow], *, pad_id: int, reach: float | None) -> Tensor:
    """A float32 tensor (len(rows), longest tokens), right-padded with 0. `reach` as in `pack`."""
    batch = pack(rows, pad_id, reach)
    device = module.device
    output = module(
        input_ids=batch.ids.to(device),
        attention_mask=batch.mask.to(device)
        if reach is None
        else additive(batch.mask, module.dtype).to(device),
        position_ids=batch.positions.to(device),
        use_cache=False,
        logits_to_keep=batch.keep,
    )
    logits = output.logits
    if (batch.temperature != 1).any():
        logits = logits.float() / batch.temperature.to(device)
    chosen = _chosen(logits, batch.packs.to(device), batch.columns.to(device), batch.targets.to(device))
    return torch.nn.utils.rnn.pad_sequence(chosen.split(batch.lengths), batch_first=True)


def pack(rows: Sequence[TokenRow], pad_id: int, reach: float | None) -> Packs:
    """Lays rows out; neighbours with one context share it where that is faster on a module of this `reach`, None: never."""
    groups = list(_groups(rows, reach))
    left = max(len(group[0].context) for group in groups)
    right = max(sum(len(row.tokens) for row in group) for group in groups)
    width = left + right
    ids = torch.full((len(groups), width), pad_id)
    positions = torch.zeros((len(groups), width), dtype=torch.long)
    segment = torch.full((len(groups), width), -1)
    packs: list[int] = []
    columns: list[int] = []
    for index, group in enumerate(groups):
        context = group[0].context
        start = left - len(context)
        ids[index, start:left] = torch.tensor(context)
        positions[index, start:left] = torch.arange(len(context))
        segment[index, start:left] = 0
        column = left
        for number, row in enumerate(group, start=1):
            end = column + len(row.tokens)
            ids[index, column:end] = torch.tensor(row.tokens, dtype=torch.long)
            positions[index, column:end] = torch.arange(len(row.tokens)) + len(context)
            segment[index, column:end] = number
            packs += [index] * len(row.tokens)
            columns += [0, *range(column - left + 1, end - left)][: len(row.tokens)]
            column = end
    targets = [token for row in rows for token in row.tokens]
    chosen = (torch.tensor(values, dtype=torch.long) for values in (packs, columns, targets))
    mask = (segment >= 0).long() if reach is None else _mask(segment)
    temperature = torch.tensor([group[0].temperature for group in groups])[:, None, None]
    lengths = [len(row.tokens) for row in rows]
    return Packs(ids, positions, mask, right + 1, *chosen, lengths, temperature)


def _groups(rows: Sequence[TokenRow], reach: float | None) -> Iterator[list[TokenRow]]:
    if reach is None:
        yield from ([row] for row in rows)
        return
    for (context, _), group in groupby(rows, key=lambda row: (row.context, row.temperature)):
        # Where a row takes the least time: k of them with n tokens each take t + t^2 / reach, t = context + k n.
        most = sqrt(len(context) * (len(context) + reach))
        chosen: list[TokenRow] = []
        for row in group:
            if chosen and sum(len(each.tokens) for each in (*chosen, row)) > most:
                yield chosen
                chosen = []
            chosen.append(row)
        yield chosen


def _mask(segment: Tensor) -> Tensor:
    """(B, 1, T, T), True where a query (row) sees a key (column): itself, or earlier in its own row or the context."""
    query, key = segment[:, :, None], segment[:, None, :]
    width = segment.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    seen = ((query == key) | (key == 0)) & (key >= 0) & causal
    return (seen | torch.eye(width, dtype=torch.bool))[:, None]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where seen, the lowest number elsewhere: what eager attention adds to its scores."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def _chosen(logits: Tensor, packs: Tensor, columns: Tensor, ids: Tensor) -> Tensor:
    """log softmax(logits)[pack, column, id], without a copy of the logits per token."""
    return logits[packs, columns, ids].float() - logits.float().logsumexp(-1)[packs, columns]
