"""What each kind of plugin builds. Protocols only: nothing to inherit, nothing to register.

Everything the Scorer is made of, and tools and sessions, is `async` over a batch; policies and optimizers
are synchronous. Lists come back in the order of what was asked, and as long.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from attrs import frozen

from scribe_core.types import (
    Completion,
    Conversation,
    Finding,
    Group,
    Judgement,
    Message,
    Observation,
    Reward,
    Sampling,
    Span,
    Subgoal,
    Task,
    ToolSpec,
    Trajectory,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from scribe_core.skills import Library, Prototype

T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class Builder(Protocol[T_co]):
    """A frozen attrs class: its name, its typed options as fields, its docstring as help, and `build()`."""

    name: ClassVar[str]

    def build(self) -> T_co:
        """The object that does the work. Heavy imports happen here, not before."""


class Tool(Protocol):
    """Something a policy may call."""

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, arguments: Mapping[str, Any]) -> Observation:
        """Never raises: a failure is an observation with `is_error`."""


class Session(Protocol):
    """One episode of one task; used once."""

    @property
    def tools(self) -> Sequence[ToolSpec]: ...

    async def respond(self, message: Message) -> Sequence[Message]:
        """What follows an assistant message: tool results or a user turn. Nothing ends the episode."""

    async def outcome(self, messages: Sequence[Message]) -> float | None:
        """Success in [0, 1] of the finished conversation; None where it cannot be known."""


class Environment(Protocol):
    """Tasks by split, and a session for each."""

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of a split ("train", "validation", "test"), always in one order.

        Raises ConfigError for a split that does not exist.
        """

    def open(self, task: Task) -> Session: ...


class Policy(Protocol):
    """Continues conversations."""

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """One completion each. Row i is drawn from its own generator, seeded with `seeds[i]`."""


@runtime_checkable
class Continuing(Protocol):
    """A policy that continues one conversation at a time, many at once. Optional; rollouts then wait for no batch."""

    async def continue_one(self, conversation: Conversation, sampling: Sampling, seed: int) -> Completion:
        """One completion. What it raises ends that episode alone; a RunError ends the run."""


@runtime_checkable
class Keeping(Protocol):
    """A policy that keeps something of a conversation for its next turn. Optional; when all have ended, it is told."""

    def forget(self) -> None:
        """Drops what was kept."""


@runtime_checkable
class Metered(Protocol):
    """A policy that costs something. Optional; evaluations then say what it took."""

    @property
    def usage(self) -> Usage:
        """Of all calls so far; it only grows."""


@frozen
class TokenRow:
    """A tokenised trajectory to learn from.

    `tokens` follow `context`; `mask[i]` says whether token i is the policy's. `temperature` is what they were
    sampled at, and 1 where nobody sampled them. `positions[i]` is the (message, character) at which token i starts,
    counted as spans are; None where nobody sampled it.
    """

    context: tuple[int, ...]
    tokens: tuple[int, ...]
    mask: tuple[bool, ...]
    temperature: float = 1.0
    positions: tuple[tuple[int, int] | None, ...] = ()


class TrainablePolicy(Policy, Protocol):
    """A policy with weights. `module`, `tokenizer` and `accelerator` are torch's and Hugging Face's own objects."""

    module: Any
    tokenizer: Any
    accelerator: Any
    version: int
    """How many updates the weights have had; an optimizer adds 1 per step."""

    def rows(self, conversations: Sequence[Conversation]) -> list[TokenRow]:
        """Token rows of whole conversations: sampled messages by their own ids, others by the chat format."""

    def logprobs(self, rows: Sequence[TokenRow]) -> Any:
        """Log-probabilities at each row's temperature: float32 (len(rows), longest tokens), right-padded with 0.

        Differentiable under torch's grad mode. Rows that share their context are cheaper next to each other.
        """

    def reference_logprobs(self, rows: Sequence[TokenRow]) -> Any:
        """The same under the weights that the run began with, without gradients."""

    def save(self, folder: Path) -> None:
        """Writes weights and tokenizer for `from_pretrained`."""

    def load(self, folder: Path) -> None: ...


class Segmenter(Protocol):
    """Cuts trajectories into subgoals."""

    async def segment(self, trajectories: Sequence[Trajectory]) -> list[list[Span]]:
        """Ordered, disjoint spans of each trajectory."""


@frozen(kw_only=True)
class Route:
    """A prototype for a subgoal, and how sure the router is, in [0, 1]."""

    prototype: "Prototype"
    confidence: float


class Router(Protocol):
    """Maps subgoals to prototypes of scope `subgoal`."""

    async def route(self, subgoals: Sequence[Subgoal], library: "Library") -> list[Route]:
        """Depends on the set of prototypes in the library, never on their order."""


@runtime_checkable
class Ranking(Protocol):
    """A router that says more than its first choice. Optional; `scribe bench routing` asks for it."""

    async def rank(self, subgoals: Sequence[Subgoal], library: "Library") -> list[list[tuple[str, float]]]:
        """For each subgoal, the ids of prototypes with a confidence in [0, 1], best first."""


@frozen(kw_only=True)
class JudgeRequest:
    """Judge this span with this prototype; `sample` tells repeated judgements of one input apart."""

    subgoal: Subgoal
    prototype: "Prototype"
    sample: int = 0


class Judge(Protocol):
    """Turns requests into verdicts."""

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Never raises for what a span holds or an endpoint does: that is an abstained or failed verdict."""


@frozen(kw_only=True)
class Estimate:
    """Bounds of what one judgement takes: the fewest and the most calls of models, and the most tokens and USD.

    `usd` is None where the price is unknown. Calls may be fractions, of what is asked only now and then.
    """

    least: float = 0
    most: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    usd: float | None = 0.0


@runtime_checkable
class Estimating(Protocol):
    """The builder of a judge that knows what it will take, before it is built. Optional."""

    def estimate(self, prototype: "Prototype") -> Estimate | None:
        """What one judgement with this prototype takes; None where a part of the judge does not know."""


class Program(Protocol):
    """Decides one rubric question without a model."""

    def __call__(self, subgoal: Subgoal) -> Finding: ...


class Aggregator(Protocol):
    """Combines the verdicts of a trajectory with its outcome."""

    def combine(
        self, trajectory: Trajectory, judgements: Sequence[Judgement], planning: Sequence[Judgement]
    ) -> Reward: ...


class Optimizer(Protocol):
    """Makes one learning step. Owns the advantages."""

    learns_from: Literal["rollouts", "demonstrations"]
    """Demonstrations arrive as groups of one unscored trajectory (reward all None)."""

    def step(self, policy: TrainablePolicy, groups: Sequence[Group]) -> Mapping[str, float]:
        """One update on the policy's weights; the metrics are finite floats."""

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


class Miner(Protocol):
    """Finds draft prototypes in trajectories."""

    async def mine(self, trajectories: Sequence[Trajectory]) -> list["Prototype"]: ...


class Tracker(Protocol):
    """A sink for run events: flat records with an `event` name."""

    def log(self, event: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...
