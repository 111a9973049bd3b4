"""Several processes that train one policy: the first leads, the others do their share of what it asks.

`accelerate launch` and torchrun start one command in every process. The first has the whole run: tools and judges are
asked once, and only one process writes to the run's folder. The others have the policy and the optimizer; they
continue their share of each batch of conversations and compute their share of each step's gradients.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from scribe_core.errors import ConfigError
from scribe_core.protocols import Keeping, Optimizer, Policy, TrainablePolicy
from scribe_core.types import Completion, Conversation, Group, Sampling


class Exchange(Protocol):
    """What the processes of a run say to each other; all of them make each of these calls, in the same order.

    A policy that can be trained by several has one as its attribute `exchange`, None in a run of one process. It and
    its optimizer are saved in all of them, since one may need the others' weights; the first writes.
    Raises RunError where another process has ended.
    """

    index: int
    count: int

    def tell(self, value: Any) -> Any:
        """The first process's value, in every process."""

    def collect(self, value: Any) -> list[Any]:
        """Each process's value, in their order, in every process."""

    def add(self, tensor: Any) -> Any:
        """The sum of each process's tensor, in every process."""

    def watch(self) -> AbstractContextManager[None]:
        """Around what the processes do together by other means, such as FSDP's: raises RunError likewise."""


def index() -> int:
    """Which process of the run this is, counted from 0, by what the launcher says."""
    return int(os.environ.get("RANK") or 0)


def check_alone(what: str) -> None:
    """Raises ConfigError in one process of several."""
    if _count() > 1:
        raise ConfigError(f"{what} runs in one process; start it without `accelerate launch` or torchrun")


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE") or 1)


@frozen
class Crew:
    """A policy and its optimizer in all processes of a run; a policy itself, when seen from the first."""

    policy: TrainablePolicy
    optimizer: Optimizer
    exchange: Exchange | None

    @classmethod
    def of(cls, policy: TrainablePolicy, optimizer: Optimizer) -> "Crew":
        """Raises ConfigError where there are several processes and the policy cannot be trained by them."""
        exchange = getattr(policy, "exchange", None)
        if exchange is None:
            check_alone("policy: this one")
        return cls(policy, optimizer, exchange)

    @property
    def player(self) -> Policy:
        """What continues conversations: the policy, or all of its copies."""
        return self if self.exchange else self.policy

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        done: list[Completion] = self._everywhere("generate", [*conversations], sampling, [*seeds])
        return done

    def forget(self) -> None:
        """See `scribe_core.protocols.Keeping`."""
        self._everywhere("forget")

    def step(self, groups: Sequence[Group]) -> dict[str, float]:
        metrics: dict[str, float] = self._everywhere("step", [*groups])
        return metrics

    def load(self, checkpoint: Path, version: int) -> None:
        """Weights and optimizer state of a checkpoint; each process reads them itself."""
        self._everywhere("load", checkpoint, version)

    def save(self, folder: Path) -> None:
        """Weights and optimizer state into folders of the checkpoint `folder`, which the first process writes."""
        self._everywhere("save", folder)

    def dismiss(self, result: Any) -> None:
        """Lets the other processes return from `follow`, with this result."""
        if self.exchange:
            self.exchange.tell(("dismiss", (result,)))

    def follow(self) -> Any:
        """Does what the first process asks until it has finished."""
        assert self.exchange is not None
        while True:
            name, arguments = self.exchange.tell(None)
            if name == "dismiss":
                return arguments[0]
            self._do(name, arguments)

    def _everywhere(self, name: str, *arguments: Any) -> Any:
        if self.exchange:
            self.exchange.tell((name, arguments))
        return self._do(name, arguments)

    def _do(self, name: str, arguments: tuple[Any, ...]) -> Any:
        with self.exchange.watch() if self.exchange else nullcontext():
            return getattr(self, f"_{name}")(*arguments)

    def _generate(
        self, conversations: list[Conversation], sampling: Sampling, seeds: list[int]
    ) -> list[Completion]:
        if self.exchange is None:
            return self.policy.generate(conversations, sampling, seeds)
        # Neighbours stay together: they share their prompt.
        first, last = (len(seeds) * (self.exchange.index + i) // self.exchange.count for i in (0, 1))
        own = self.policy.generate(conversations[first:last], sampling, seeds[first:last])
        return [completion for share in self.exchange.collect(own) for completion in share]

    def _forget(self) -> None:
        if isinstance(self.policy, Keeping):
            self.policy.forget()

    def _step(self, groups: list[Group]) -> dict[str, float]:
        return dict(self.optimizer.step(self.policy, groups))

    def _save(self, folder: Path) -> None:
        self.policy.save(folder / "policy")
        self.optimizer.save(folder / "optimizer")

    def _load(self, checkpoint: Path, version: int) -> None:
        self.policy.load(checkpoint / "policy")
        self.optimizer.load(checkpoint / "optimizer")
        self.policy.version = version
