"""Key-value caches for sampling: they grow in place, and prompts that rows share are kept once."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_BLOCK = 32
"""Tokens by which stores grow; products and softmax are fastest over multiples of it."""
_SPARSE = 2
"""So many times the rows, a table of prompts by their most rows is slower than a copy of its prompt for each row."""


class RoomyLayer(DynamicLayer):
    """A layer's keys and values (B, heads, T, d) with room for more: transformers' are copied whole for every token.

    Attention always gets the whole store, since it is slow on a slice of it; a mask hides what is not written yet.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._length = keys.shape[2]
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Writes behind what is there and returns the whole store."""
        start, self._length = self._length, self._length + key_states.shape[2]
        if self._length > self.keys.shape[2]:
            room = _whole_blocks(self._length) - self.keys.shape[2]
            self.keys, self.values = pad(self.keys, (0, 0, 0, room)), pad(self.values, (0, 0, 0, room))
        self.keys[:, :, start : self._length] = key_states
        self.values[:, :, start : self._length] = value_states
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Also where nothing is written yet, which transformers' leaves as it is."""
        self.keys, self.values = self.keys[indices], self.values[indices]

    def get_seq_length(self) -> int:
        return self._length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return max(self.keys.shape[2], _whole_blocks(self._length + query_length)), 0


class SharedCache(DynamicCache):  # type: ignore[misc]
    """P prompts, kept once for the B rows that continue them, and in its layers the rows' own tokens.

    `prompts` has each layer's keys and values (P, heads, T, d), `owner` (B,) the prompt of each row.
    """

    def __init__(self, prompts: list[tuple[Tensor, Tensor]], owner: Tensor) -> None:
        super().__init__()
        if len(prompts[0][0]) * int(owner.bincount().max()) > _SPARSE * len(owner):
            prompts = [(keys[owner], values[owner]) for keys, values in prompts]
            owner = torch.arange(len(owner), device=owner.device)
        self.owner, self._margin = owner, -prompts[0][0].shape[2] % _BLOCK
        self.prompts = [(self._whole(keys), self._whole(values)) for keys, values in prompts]
        self.layers = [RoomyLayer(*(s[:, :, :0][owner] for s in states)) for states in prompts]
        self._arrange()

    def mask(self, seen: Tensor) -> Tensor:
        """Of what each row sees, (B, T + own tokens), the mask of attention: (B, 1, 1, S)."""
        size = self.prompts[0][0].shape[2] + self.get_mask_sizes(1, 0)[0]
        return pad(seen, (self._margin, size - self._margin - seen.shape[1]))[:, None, None].bool()

    def times_prompts(self, states: Tensor, stores: Tensor) -> Tensor:
        """Each row's states times its prompt's store, in one product per prompt.

        Shapes: states (B * heads, R, n), stores (P, heads, n, m); returns (B * heads, R, m).
        """
        stores = stores.flatten(0, 1)
        table = states.index_select(0, self._rows).view(len(stores), -1, stores.shape[1])
        return (table @ stores).view(len(self._rows), -1, stores.shape[2]).index_select(0, self._places)

    def row_states(self, row: int, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
        """As the function of that name."""
        size = self.prompts[0][0].shape[2] - self._margin
        first, own = columns[columns < size] + self._margin, columns[columns >= size] - size
        owner = int(self.owner[row])
        return [
            (
                torch.cat((keys[owner][:, first], layer.keys[row][:, own]), 1),
                torch.cat((values[owner][:, first], layer.values[row][:, own]), 1),
            )
            for (keys, values), layer in zip(self.prompts, self.layers, strict=True)
        ]

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        kept, self.owner = self.owner[indices].unique(return_inverse=True)
        if len(kept) < len(self.prompts[0][0]):
            self.prompts = [(keys[kept], values[kept]) for keys, values in self.prompts]
        self._arrange()

    def _whole(self, prompts: Tensor) -> Tensor:
        return pad(prompts, (0, 0, self._margin, 0))

    def _arrange(self) -> None:
        """A table (P, heads, most rows of a prompt): `_places` says where each row's heads are, `_rows` what is there."""
        count, heads = self.prompts[0][0].shape[:2]
        before = one_hot(self.owner, count).cumsum(0).gather(1, self.owner[:, None]) - 1
        width = int(before.max()) + 1
        head = torch.arange(heads, device=self.owner.device)
        self._places = ((self.owner[:, None] * heads + head) * width + before).flatten()
        self._rows = self._places.new_zeros(count * heads * width)
        self._rows[self._places] = torch.arange(len(self._places), device=self.owner.device)


def make_room(cache: Any, owner: Tensor) -> None:
    """Gives row i of the cache the contents of row `owner[i]`, and each plain layer room to grow in place."""
    for i, layer in enumerate(cache.layers):
        layer.reorder_cache(owner)
        if type(layer) is DynamicLayer:
            cache.layers[i] = RoomyLayer(layer.keys, layer.values)


def row_states(cache: Any, row: int, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Copies of a row's keys and values (heads, T, d) in each layer, at the columns of its mask that are given."""
    if isinstance(cache, SharedCache):
        return cache.row_states(row, columns)
    return [(layer.keys[row][:, columns], layer.values[row][:, columns]) for layer in cache.layers]


def _whole_blocks(length: int) -> int:
    return -(-length // _BLOCK) * _BLOCK
