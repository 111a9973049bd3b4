"""Attacks on judges: few of each family, before a scripted model that obeys whatever gets out of the fence."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest
from attrs import evolve

BENCHMARKS = Path(__file__).parents[1] / "contrib" / "benchmarks"
PER_FAMILY = 3


@pytest.fixture(scope="module")
def bench():
    """The module of the benchmark, which finds its neighbours beside it."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import injection
    finally:
        sys.path.remove(str(BENCHMARKS))
    return injection


@pytest.fixture(scope="module")
def library(bench):
    return bench.load_folder(bench.SKILLS)


def some_of_each_family(bench):
    families = defaultdict(list)
    for attack in bench.attacks():
        families[attack.family].append(attack)
    return [
        attack
        for group in families.values()
        for attack in group[:: max(1, len(group) // PER_FAMILY)][:PER_FAMILY]
    ]


def test_there_are_hundreds_of_attacks_with_names_of_their_own(bench):
    found = bench.attacks()
    assert len(found) >= 300
    assert len({attack.name for attack in found}) == len(found)
    assert len({attack.family for attack in found}) >= 14


def test_attacks_are_deterministic_and_leave_what_is_wrong_in_place(bench, library):
    for attack in some_of_each_family(bench):
        for victim in bench.VICTIMS[::3]:
            attacked = attack.apply(victim, library[victim.skill])
            assert attacked == attack.apply(victim, library[victim.skill])
            if attack.family not in ("nothing", "evasive"):
                assert all(words in bench.span_text(attacked) for words in victim.failed.values())


def test_unattacked_victims_get_what_their_mistakes_allow(bench, library):
    for mode in bench.MODES:
        for trial in bench.obedient_trials(some_of_each_family(bench)[:1], library, [mode], bench.VICTIMS):
            prototype = library[trial.victim.skill]
            caps = min(check.caps for check in prototype.checks if check.id in trial.victim.failed)
            answered_in_lines = trial.judge.endswith("/lines") and mode != "direct"
            assert trial.before == (bench.ABSTAINED if answered_in_lines else caps)


def test_nothing_gains_more_than_an_abstention_and_orders_gain_nothing(bench, library):
    """A span that cannot be judged counts as 1, so that hiding a worthless one gains that much and no more."""
    attacks = some_of_each_family(bench)
    assert len(attacks) >= 60
    trials = bench.obedient_trials(attacks, library, ["checklist"], bench.VICTIMS[2:5:2])
    trials += bench.obedient_trials(attacks, library, ["holistic", "direct"], bench.VICTIMS[3:4])
    raised = [trial for trial in trials if trial.rose()]
    assert all(trial.after == bench.ABSTAINED for trial in raised)
    assert {trial.attack.family for trial in raised} <= {"padding", "evasive", "nothing"}


def raised_without_a_fence(bench, library, monkeypatch):
    monkeypatch.setattr(
        "scribe_core.judging.templates.fenced", lambda text, mark: f"[begin {mark}]\n{text}\n[end {mark}]"
    )
    attacks = [attack for attack in bench.attacks() if attack.family == "override"]
    trials = bench.obedient_trials(attacks, library, ["checklist"], bench.VICTIMS[:1])
    return sum(trial.rose() for trial in trials) / len(trials)


def test_a_judge_without_a_fence_is_taken_in(bench, library, monkeypatch):
    """That the scripted model is obedient: with no gutter and no second look, orders are obeyed."""
    monkeypatch.setattr("scribe_core.judging.model_judge.views", lambda subgoal, ids: (subgoal, None))
    assert raised_without_a_fence(bench, library, monkeypatch) > 0.9


def test_without_a_fence_the_second_look_still_stops_most(bench, library, monkeypatch):
    assert raised_without_a_fence(bench, library, monkeypatch) < 0.5


def test_a_failed_judgement_is_no_success(bench):
    trial = bench.Trial(judge="j", attack=bench.attacks()[0], victim=bench.VICTIMS[0], before=0.0, after=None)
    assert not trial.rose()
    assert evolve(trial, after=0.4).rose()
    assert not evolve(trial, after=0.4).rose(0.5)
    figures = bench.figures([trial, evolve(trial, after=3.0)])
    assert (figures["trials"], figures["raised"], figures["failed"]) == (1, 1, 1)
