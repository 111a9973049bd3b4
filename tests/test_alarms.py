"""The alarms ring when they should, once, and not before."""

from collections.abc import Iterable
from typing import Any

from scribe_core.alarms import GROWTH, MARGIN, WINDOW, Watch


def names(watch: Watch, events: Iterable[dict[str, Any]]) -> list[str]:
    return [alarm.name for event in events for alarm in watch.see(event)]


def steps(first: int, count: int, **figures: float | None) -> list[dict[str, Any]]:
    return [{"event": "step", "step": step, **figures} for step in range(first, first + count)]


def evaluation(step: int, outcome: float | None) -> dict[str, Any]:
    return {"event": "evaluation", "step": step, "outcome": outcome}


def test_process_that_rises_while_the_outcome_falls() -> None:
    watch = Watch()
    assert names(watch, [*steps(1, 10, process=0.4), evaluation(10, 0.6)]) == []
    (alarm,) = [
        each for event in [*steps(11, 10, process=0.5), evaluation(20, 0.5)] for each in watch.see(event)
    ]
    assert alarm.name == "process_without_outcome"
    assert alarm.message == (
        "process in training has risen from 0.40 to 0.50 while the held-out outcome fell from 0.60 to 0.50"
    )


def test_neither_half_alone_is_an_alarm() -> None:
    for process, outcome in (
        (0.4 + MARGIN, 0.6),
        (0.4, 0.6 - 2 * MARGIN),
        (0.9, 0.6 - MARGIN / 2),
        (0.9, None),
    ):
        events = [*steps(1, 10, process=0.4), evaluation(10, 0.6)]
        events += [*steps(11, 10, process=process), evaluation(20, outcome)]
        assert names(Watch(), events) == []


def test_a_slow_drift_is_seen_against_the_best() -> None:
    events: list[dict[str, Any]] = []
    for i in range(4):
        events += [*steps(1 + 10 * i, 10, process=0.4 + 0.03 * i), evaluation(10 * i + 10, 0.6 - 0.03 * i)]
    assert names(Watch(), events) == ["process_without_outcome"]


def test_growth_of_subgoals_and_of_length() -> None:
    for name in ("subgoals", "completion_tokens"):
        watch = Watch()
        start = steps(1, WINDOW, **{name: 4.0})
        assert names(watch, [*start, *steps(11, WINDOW, **{name: 4.0 * GROWTH})]) == []
        assert names(watch, steps(21, WINDOW, **{name: 4.0 * GROWTH + 0.1})) == [f"{name}_inflated"]


def test_an_alarm_rings_again_only_after_it_was_off() -> None:
    watch = Watch()
    names(watch, steps(1, WINDOW, subgoals=4.0))
    assert names(watch, steps(11, 3 * WINDOW, subgoals=20.0)) == ["subgoals_inflated"]
    assert names(watch, steps(50, WINDOW, subgoals=4.0)) == []
    assert names(watch, steps(70, WINDOW, subgoals=20.0)) == ["subgoals_inflated"]


def test_what_is_not_known_or_not_meant_begins_nothing() -> None:
    watch = Watch()
    events = [*steps(1, 40, process=None), evaluation(40, 0.1), {"event": "run_started", "step": 0}, {}]
    assert names(watch, events) == []


def test_a_step_that_is_played_again_counts_once() -> None:
    watch = Watch()
    twice = [event for event in steps(1, WINDOW, subgoals=4.0) for _ in range(2)]
    assert names(watch, [*twice, *steps(11, WINDOW - 1, subgoals=20.0)]) == []
    assert names(watch, steps(20, 1, subgoals=20.0)) == ["subgoals_inflated"]
