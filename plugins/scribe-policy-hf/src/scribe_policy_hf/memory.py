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

    def takes(self, tokens: Sequence[int]) -> bool:
        """Whether they are not there, and there is room for them, once others have left."""
        return tuple(tokens) not in self._states and len(tokens) <= self._limit

    def keep(self, tokens: Sequence[int], states: States) -> None:
        """Holds what `recall` will give."""
        self.drop(tokens)
        self._states[tuple(tokens)] = states
        self._held += len(tokens)
        while self._held > self._limit:
            self.drop(next(iter(self._states)))

    def drop(self, tokens: Sequence[int]) -> None:
        """Of a conversation that goes on: what it becomes is kept when that turn has ended."""
        if self._states.pop(tuple(tokens), None) is not None:
            self._held -= len(tokens)

    def clear(self) -> None:
        self._states.clear()
        self._held = 0
