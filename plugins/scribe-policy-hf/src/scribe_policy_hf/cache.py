"""A key-value cache that grows in place: transformers' own is copied whole for every token."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """A layer's keys and values (B, heads, T, d) with `room` for more tokens.

    Attention always gets the whole store, since it is slow on a slice of it; a mask hides what is not written yet.
    """

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._length = keys.shape[2]
        self.keys, self.values = _with_room(keys, room), _with_room(values, room)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Writes behind what is there and returns the whole store."""
        start, self._length = self._length, self._length + key_states.shape[2]
        self.keys[:, :, start : self._length] = key_states
        self.values[:, :, start : self._length] = value_states
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self._length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002 - the store does not grow
        return self.keys.shape[2], 0


def make_room(cache: Any, owner: Tensor, room: int) -> None:
    """Gives row i of the cache the contents of row `owner[i]`, and each plain layer room to grow in place."""
    for i, layer in enumerate(cache.layers):
        layer.reorder_cache(owner)
        if type(layer) is DynamicLayer:
            cache.layers[i] = RoomyLayer(layer.keys, layer.values, room)


def _with_room(states: Tensor, room: int) -> Tensor:
    batch, heads, length, width = states.shape
    store = torch.zeros((batch, heads, length + room, width), dtype=states.dtype, device=states.device)
    store[:, :, :length] = states
    return store
