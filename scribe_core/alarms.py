"""Signs that a policy learns to please its judge, or to write more, instead of doing its tasks.

Fed with the events of a run. An alarm is a hint to look, not a proof: its bounds are round numbers.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from attrs import define, field, frozen

WINDOW = 10
"""Steps that a figure is averaged over."""

MARGIN = 0.05
"""How far process must have risen and the outcome fallen, both in [0, 1]."""

GROWTH = 1.5
"""How many times its first value a figure must have become."""

INFLATED = {"subgoals": "subgoals per rollout", "completion_tokens": "tokens per rollout"}
"""Figures of a step that should not grow by themselves."""


@frozen
class Alarm:
    """What began with an event; `name` is for scripts."""

    name: str
    message: str


@define
class Watch:
    """Remembers what it has seen; a step that is seen again replaces what it was."""

    _steps: dict[int, Mapping[str, float]] = field(factory=dict, init=False)
    _evaluations: dict[int, tuple[float, float]] = field(factory=dict, init=False)
    _ringing: set[str] = field(factory=set, init=False)

    def see(self, event: Mapping[str, Any]) -> list[Alarm]:
        """The alarms that begin with this event; each again only after it was off."""
        match event:
            case {"event": "step", "step": int(step)}:
                figures = ("process", *INFLATED)
                self._steps[step] = {
                    name: event[name] for name in figures if isinstance(event.get(name), (int, float))
                }
                found = {f"{name}_inflated": self._inflation(name) for name in INFLATED}
            case {"event": "evaluation", "step": int(step), "outcome": int() | float() as outcome}:
                found = {"process_without_outcome": self._divergence(step, outcome)}
            case _:
                return []
        begun = [Alarm(name, text) for name, text in found.items() if text and name not in self._ringing]
        self._ringing -= {name for name, text in found.items() if not text}
        self._ringing |= {alarm.name for alarm in begun}
        return begun

    def _inflation(self, name: str) -> str | None:
        values = self._values(name)
        if len(values) < 2 * WINDOW:
            return None
        first, last = fmean(values[:WINDOW]), fmean(values[-WINDOW:])
        if last <= GROWTH * first:
            return None
        return f"{INFLATED[name]} have grown from {first:.1f} to {last:.1f}"

    def _divergence(self, step: int, outcome: float) -> str | None:
        """Against the evaluation with the best outcome."""
        lately = self._values("process", up_to=step)[-WINDOW:]
        if not lately:
            return None
        process = fmean(lately)
        self._evaluations[step] = outcome, process
        best, then = max(self._evaluations.values())
        if outcome > best - MARGIN or process < then + MARGIN:
            return None
        return (
            f"process in training has risen from {then:.2f} to {process:.2f} while the held-out outcome fell from "
            f"{best:.2f} to {outcome:.2f}"
        )

    def _values(self, name: str, up_to: int | None = None) -> list[float]:
        steps = sorted(step for step in self._steps if up_to is None or step <= up_to)
        return [self._steps[step][name] for step in steps if name in self._steps[step]]
