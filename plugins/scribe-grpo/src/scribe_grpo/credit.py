"""From the scores of a group to an advantage for each token of its rollouts.

A rollout of which neither process nor outcome is known gets None: it is left out, as if it had not been played.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING

import torch
from attrs import frozen
from torch import Tensor

from scribe_core.errors import RunError
from scribe_core.exercises import exercises
from scribe_core.protocols import TokenRow
from scribe_core.spans import message_text
from scribe_core.types import Group, Scored, Span, Trajectory
from scribe_grpo import advantages

if TYPE_CHECKING:
    from scribe_grpo.builders import GRPO

Position = tuple[int, int]
TOP_SCORE = 3


def token_advantages(group: Group, rows: Sequence[TokenRow], options: "GRPO") -> list[Tensor | None]:
    """A float32 tensor (tokens of the row,) for each rollout, by the mode `options.credit`.

    Raises RunError where the mode needs to know where tokens stand and the policy's rows do not say so.
    """
    return _MODES[options.credit](group, rows, options)


def _episode(group: Group, rows: Sequence[TokenRow], options: "GRPO") -> list[Tensor | None]:
    rewards = _known(scored.reward.value for scored in group)
    return _spread(advantages.episode(rewards, options.noise_floor), rewards.isnan(), rows)


def _decoupled(group: Group, rows: Sequence[TokenRow], options: "GRPO") -> list[Tensor | None]:
    process = _known(scored.reward.process for scored in group)
    outcome = _known(scored.reward.outcome for scored in group)
    weights = options.process_weight, options.outcome_weight
    found = advantages.decoupled(process, outcome, weights, options.noise_floor)
    return _spread(found, process.isnan() & outcome.isnan(), rows)


def _subgoal(group: Group, rows: Sequence[TokenRow], options: "GRPO") -> list[Tensor | None]:
    done = _Exercises.of(group, options.abstained_score)
    own = advantages.subgoal(
        done.scores, done.skills, done.counts, options.noise_floor, options.subgoal_shrinkage
    )
    return _with_outcome(group, rows, options, done, own, _inside)


def _return_to_go(group: Group, rows: Sequence[TokenRow], options: "GRPO") -> list[Tensor | None]:
    done = _Exercises.of(group, options.abstained_score)
    own = advantages.return_to_go(done.scores, done.rows, done.counts, options.noise_floor, options.discount)
    return _with_outcome(group, rows, options, done, own, _until)


_MODES: Mapping[str, Callable[[Group, Sequence[TokenRow], "GRPO"], list[Tensor | None]]] = {
    "episode": _episode,
    "decoupled": _decoupled,
    "subgoal": _subgoal,
    "return_to_go": _return_to_go,
}


@frozen
class _Exercises:
    """All exercises of a group. Shapes: (N,). Scores are in [0, 1], as rewards are."""

    spans: list[list[Span]]
    scores: Tensor
    skills: Tensor
    rows: Tensor
    counts: Tensor

    @classmethod
    def of(cls, group: Group, abstained_score: float) -> "_Exercises":
        found = [
            (row, each)
            for row, scored in enumerate(group)
            for each in exercises(scored.judgements, abstained_score)
        ]
        names = sorted({each.judgements[0].skill for _, each in found})
        return cls(
            [[judgement.subgoal.span for judgement in each.judgements] for _, each in found],
            torch.tensor([each.score / TOP_SCORE for _, each in found], dtype=torch.float64),
            torch.tensor([names.index(each.judgements[0].skill) for _, each in found]),
            torch.tensor([row for row, _ in found]),
            torch.tensor([each.counts for _, each in found], dtype=torch.bool),
        )


_Locate = Callable[[Position, list[list[Span]]], int | None]


def _with_outcome(
    group: Group,
    rows: Sequence[TokenRow],
    options: "GRPO",
    done: _Exercises,
    own: Tensor,
    locate: _Locate,
) -> list[Tensor | None]:
    """The outcome's advantage on all tokens, and on each the own advantage of the exercise that `locate` gives it."""
    outcome = _known(scored.reward.outcome for scored in group)
    whole = options.outcome_weight * advantages.episode(outcome, options.noise_floor)
    judged = {int(row) for row in done.rows}
    found: list[Tensor | None] = []
    extra = (options.process_weight * own).tolist()
    for index, (scored, row) in enumerate(zip(group, rows, strict=True)):
        if outcome[index].isnan() and index not in judged:
            found.append(None)
            continue
        values = torch.full((len(row.tokens),), float(whole[index]))
        mine = (done.rows == index).nonzero().flatten().tolist()
        spans = [done.spans[i] for i in mine]
        for token, place in enumerate(_places(row, scored)) if mine else ():
            at = None if place is None else locate(place, spans)
            if at is not None:
                values[token] += extra[mine[at]]
        found.append(values)
    return found


def _inside(place: Position, spans: list[list[Span]]) -> int | None:
    """The exercise that was under way there."""
    at = _until(place, spans)
    return at if at is not None and any(s.start <= place < s.end for s in spans[at]) else None


def _until(place: Position, spans: list[list[Span]]) -> int | None:
    """The first exercise that was not over there."""
    at = bisect_right(spans, place, key=lambda each: each[-1].end)
    return at if at < len(spans) else None


def _places(row: TokenRow, scored: Scored) -> list[Position | None]:
    """Where each token stands; the token that ends a message stands on its last character."""
    if row.tokens and not any(row.positions):
        raise RunError(
            "optimizer.credit: it gives tokens credit of their own, and this policy does not say where in the "
            "messages its tokens stand; choose 'episode' or 'decoupled'"
        )
    last = _last_characters(scored.trajectory)
    return [place and (place[0], min(place[1], last[place[0]])) for place in row.positions]


def _last_characters(trajectory: Trajectory) -> list[int]:
    return [max(len(message_text(message)) - 1, 0) for message in trajectory.messages]


def _known(values: Iterable[float | None]) -> Tensor:
    return torch.tensor([nan if value is None else value for value in values], dtype=torch.float64)


def _spread(values: Tensor, unknown: Tensor, rows: Sequence[TokenRow]) -> list[Tensor | None]:
    """One advantage for all tokens of a rollout."""
    triples = zip(values.tolist(), unknown.tolist(), rows, strict=True)
    return [None if left_out else torch.full((len(row.tokens),), a) for a, left_out, row in triples]
