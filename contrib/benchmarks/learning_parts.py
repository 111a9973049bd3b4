"""What the arms of `learning.py` are made of, beside scribe's own parts: noise, a rubric per problem, a PRM, a low-level reward.

A config names them as "learning_parts:Noisy"; they are importable where this folder is on the path.
"""

import json
import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import evolve, field, frozen
from attrs.validators import ge, le

from scribe_core.builders import build, part
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.builtin.stockroom.environment import Stockroom
from scribe_core.builtin.weighted import Weighted
from scribe_core.protocols import Aggregator, Builder, Judge, JudgeRequest
from scribe_core.spans import canonical_json
from scribe_core.types import Conversation, Judgement, Reward, ToolCall, Trajectory, Verdict

if TYPE_CHECKING:
    from torch import Tensor

TOP = 3


@frozen(kw_only=True)
class Noisy:
    """A judge of whose scores a share is replaced by one of 0, 1, 2 and 3, drawn at random."""

    name: ClassVar[str] = "noisy"
    judge: Builder[Judge] = part("judges", ProgramsJudge())
    rate: float = field(default=0.2, validator=[ge(0), le(1)])

    def build(self) -> Judge:
        return _NoisyJudge(build(self.judge), self.rate)


@frozen
class _NoisyJudge:
    judge_: Judge
    rate: float

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        verdicts = await self.judge_.judge(requests)
        return [self._disturbed(*each) for each in zip(requests, verdicts, strict=True)]

    def _disturbed(self, request: JudgeRequest, verdict: Verdict) -> Verdict:
        span = request.subgoal.span
        draw = random.Random(f"{request.subgoal.trajectory.id}/{span.start}/{span.end}")  # noqa: S311
        if verdict.score is None or draw.random() >= self.rate:
            return verdict
        return evolve(verdict, score=float(draw.randint(0, TOP)))


@frozen(kw_only=True)
class ProblemRubric:
    """A rubric per problem, as in Rubrics as Rewards (arXiv 2507.17746): the share of its items that a trajectory has.

    The items are the calls of the problem's reference plan, and whoever checks them makes no mistake: this is as well as
    such a rubric can do. Every subgoal of a trajectory gets the same score.
    """

    name: ClassVar[str] = "problem-rubric"
    size: int = 1000
    hardest: int = 3

    def build(self) -> Judge:
        return _ProblemRubric(self)


@frozen(slots=False)
class _ProblemRubric:
    options: ProblemRubric

    @cached_property
    def _items(self) -> dict[str, set[str]]:
        tasks = Stockroom(size=self.options.size, hardest=self.options.hardest).build()
        return {
            task.id: {_written(call) for message in task.demonstration for call in message.tool_calls}
            for split in ("train", "validation", "test")
            for task in tasks.tasks(split)
        }

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        return [self._verdict(request.subgoal.trajectory) for request in requests]

    def _verdict(self, trajectory: Trajectory) -> Verdict:
        items = self._items[trajectory.task_id]
        made = {_written(call) for message in trajectory.messages for call in message.tool_calls}
        return Verdict(status="scored", score=TOP * len(items & made) / len(items))


def _written(call: ToolCall) -> str:
    return canonical_json({"name": call.name, "arguments": call.arguments})


@frozen(kw_only=True)
class PRM:
    """A process reward model: the chance of success that a linear head reads off the policy's state behind each message.

    The head is fitted by `fit_prm` on the warm start's own rollouts, each message labelled with its rollout's outcome
    (as Math-Shepherd, arXiv 2312.08935, with one completion).
    """

    name: ClassVar[str] = "prm"
    model: str
    head: str
    """A JSON file with weights and bias."""

    def build(self) -> Judge:
        return _PRM(self)


@frozen(slots=False)
class _PRM:
    options: PRM

    @cached_property
    def _reader(self) -> "States":
        return States(self.options.model)

    @cached_property
    def _head(self) -> dict[str, Any]:
        return json.loads(Path(self.options.head).read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    async def judge(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        import torch

        shown = {request.subgoal.trajectory.id: request.subgoal.trajectory for request in requests}
        states = dict(zip(shown, self._reader.of(list(shown.values())), strict=True))
        verdicts = []
        for request in requests:
            at = states[request.subgoal.trajectory.id]
            last = max((i for i in at if i < request.subgoal.span.end[0]), default=min(at))
            chance = torch.sigmoid(at[last] @ torch.tensor(self._head["weights"]) + self._head["bias"])
            verdicts.append(Verdict(status="scored", score=TOP * float(chance)))
        return verdicts


class States:
    """The last hidden state of a model behind each message that was sampled, by the message's index."""

    def __init__(self, model: str) -> None:
        from scribe_policy_hf.builder import HF

        self.policy = HF(model=model).build()

    def of(self, trajectories: Sequence[Trajectory]) -> "list[dict[int, Tensor]]":
        import torch

        talks = [Conversation(messages=each.messages, tools=each.tools) for each in trajectories]
        rows = self.policy.rows(talks)
        longest = max(len(row.context) + len(row.tokens) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row.context) + len(row.tokens)] = torch.tensor(row.context + row.tokens)
        with torch.no_grad():
            hidden = self.policy.module.model(input_ids=ids).last_hidden_state.float()
        found = []
        for i, row in enumerate(rows):
            ends = {place[0]: len(row.context) + j for j, place in enumerate(row.positions) if place}
            found.append({message: hidden[i, at] for message, at in ends.items()})
        return found


def fit_prm(model: str, trajectories: Sequence[Trajectory], head: Path) -> dict[str, float]:
    """Fits the head and writes it; its accuracy on a fifth of the trajectories, and what always guessing is right on."""
    import torch

    states = States(model)
    batches = [trajectories[i : i + 64] for i in range(0, len(trajectories), 64)]
    found = [each for batch in batches for each in states.of(batch)]
    parts = []
    for some in (range(len(found) // 5), range(len(found) // 5, len(found))):
        x = torch.stack([state for i in some for state in found[i].values()])
        y = torch.tensor([float(trajectories[i].outcome or 0) for i in some for _ in found[i]])
        parts.append((x, y))
    (held_x, held_y), (x, y) = parts
    layer = torch.nn.Linear(x.shape[1], 1)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2, weight_decay=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(layer(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    right = ((layer(held_x).squeeze(1) > 0) == (held_y > 0.5)).float().mean()
    weights = {"weights": layer.weight[0].tolist(), "bias": float(layer.bias)}
    head.write_text(json.dumps(weights), encoding="utf-8")
    guess = max(float(held_y.mean()), 1 - float(held_y.mean()))
    return {"accuracy": float(right), "guessing": guess, "messages": len(y)}


@frozen(kw_only=True)
class LowLevel:
    """Adds a reward for the calls themselves, whatever they are for: the share that is well formed and runs without an error."""

    name: ClassVar[str] = "low-level"
    aggregator: Builder[Aggregator] = part("aggregators", Weighted())
    weight: float = field(default=0.2, validator=[ge(0), le(1)])

    def build(self) -> Aggregator:
        return _LowLevel(build(self.aggregator), self.weight)


@frozen
class _LowLevel:
    aggregator: Aggregator
    weight: float

    def combine(
        self, trajectory: Trajectory, judgements: Sequence[Judgement], planning: Sequence[Judgement]
    ) -> Reward:
        reward = self.aggregator.combine(trajectory, judgements, planning)
        if reward.value is None:
            return reward
        return evolve(reward, value=(1 - self.weight) * reward.value + self.weight * executed(trajectory))


def executed(trajectory: Trajectory) -> float:
    """The share of attempted calls that were read and did not end in an error; 0 where none was attempted."""
    attempted = ran = 0
    for message in trajectory.messages:
        if message.role == "assistant":
            attempted += len(message.tool_calls) or "tool_call" in (message.raw or "")
        elif message.role == "tool":
            ran += not message.content.startswith("Error")
    return ran / max(attempted, 1)
