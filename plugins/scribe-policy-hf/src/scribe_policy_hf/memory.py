"""What a conversation's next turn need not compute again: the keys and values of its turns so far."""

from collections.abc import Sequence

from torch import Tensor

States = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer for the tokens of one row: (heads, T, d)."""


def length(states: States | None) -> int:
    """Tokens."""
    return states[0][0].shape[1] if states else 0


class Memory:
    """States of at most `limit` tokens in all, by the tokens of their conversation; the oldest leave first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._states: dict[tuple[int, ...], States] = {}
        self._held = 0

    def recall(self, tokens: Sequence[int]) -> States | None:
        """The states of all these tokens but the last."""
        return self._states.get(tuple(tokens))

    def takes(self, count: int) -> bool:
        """Whether there is room for so many tokens, once others have left."""
        return count <= self._limit

    def keep(self, tokens: Sequence[int], states: States) -> None:
        """Takes what `recall` will give."""
        key = tuple(tokens)
        if key not in self._states:
            self._states[key] = states
            self._held += len(key)
        while self._held > self._limit:
            oldest = next(iter(self._states))
            del self._states[oldest]
            self._held -= len(oldest)

    def clear(self) -> None:
        self._states.clear()
        self._held = 0
