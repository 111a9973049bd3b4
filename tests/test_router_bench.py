import json
from math import comb
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from scribe_core import aio
from scribe_core.builtin.lexical import Lexical
from scribe_core.errors import DataError
from scribe_core.labelled import Labelled, read_labelled
from scribe_core.router_bench import (
    Routed,
    appended,
    calibration_error,
    clustered,
    compared,
    figures,
    mcnemar,
    routed,
)
from scribe_core.skills import Routing
from scribe_core.spans import message_text
from scribe_core.testing import sample_library, sample_prototype, sample_subgoal, sample_trajectory
from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Message, Span, Subgoal


def row(right: bool, confidence: float = 0.9, task: str = "t", **more: Any) -> Routed:
    found = "a" if right else "b"
    fields: dict[str, Any] = {"first": (found, "c"), "calls": False, "moved": False, **more}
    return Routed(skill="a", task=task, found=found, confidence=confidence, **fields)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    assert calibration_error([row(True, 1.0)] * 30) == 0
    assert calibration_error([row(False, 1.0)] * 30) == 1
    half = [row(number % 2 == 0, 0.7) for number in range(30)]
    assert calibration_error(half) == pytest.approx(0.2)
    # Bins of equal mass: gaps of opposite sign in different bins do not cancel.
    opposite = [row(False, 0.5)] * 28 + [row(True, 0.6)] * 32
    assert calibration_error(opposite) == pytest.approx((28 * 0.5 + 32 * 0.4) / 60)


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(0, 10) == mcnemar(10, 0) == pytest.approx(2 / 2**10)
    assert mcnemar(12, 3) == pytest.approx(2 * sum(comb(15, k) for k in range(4)) / 2**15)


def test_intervals_draw_whole_tasks():
    alike = [[number % 2] * 50 for number in range(20)]
    apart = [[number % 2] for number in range(1000)]
    low, high = clustered(alike, lambda values: sum(values) / len(values))
    narrow_low, narrow_high = clustered(apart, lambda values: sum(values) / len(values))
    assert low < narrow_low < 0.5 < narrow_high < high
    assert clustered(alike, len) == (1000, 1000)


def test_figures_of_routes():
    rows = [row(True, 0.9, task=str(n)) for n in range(9)] + [row(False, 0.2, task="9", first=("b", "a"))]
    found = figures(rows)
    assert (found["subgoals"], found["tasks"]) == (10, 10)
    assert found["top_1"]["value"] == pytest.approx(0.9)
    assert found["top_3"]["value"] == 1
    assert found["coverage"]["90%"]["value"] == 1
    assert found["skills"] == {"a": pytest.approx(0.9)}
    assert figures([evolve(each, first=None) for each in rows])["top_3"] is None


def test_what_was_left_to_general_is_covered_last():
    rows = [row(True, 0.5), evolve(row(False, 0.99), found="general")]
    assert figures(rows)["coverage"]["50%"]["value"] == 1
    assert figures(rows)["general"] == 0.5


def test_paired_difference():
    rows = [row(True, task=str(n)) for n in range(10)]
    others = [row(n >= 8, task=str(n)) for n in range(10)]
    paired = compared(rows, others)
    assert paired["difference"]["value"] == pytest.approx(0.8)
    assert (paired["only_right"], paired["only_other_right"]) == (8, 0)
    assert paired["p_mcnemar"] == pytest.approx(2 / 2**8)
    assert paired["difference"]["interval"][0] > 0


def test_appended_changes_what_was_said_last_and_nothing_else():
    before = sample_subgoal()
    after = appended(before, "And the bound is 44.")
    changed = [
        (old, new)
        for old, new in zip(before.trajectory.messages, after.trajectory.messages, strict=True)
        if old != new
    ]
    ((old, new),) = changed
    assert (new.content, new.tool_calls) == (f"{old.content} And the bound is 44.", old.tool_calls)
    assert old is before.trajectory.messages[-1]


@pytest.mark.parametrize("span", [Span((6, 0), (6, 5)), Span((1, 0), (2, 0))])
def test_appended_leaves_alone_what_ends_inside_a_message_or_is_not_the_policys(span: Span):
    subgoal = Subgoal(trajectory=sample_trajectory(), span=span)
    assert appended(subgoal, "text") == subgoal


def test_saying_something_in_place_of_nothing_is_no_phrasing():
    trajectory = sample_trajectory(messages=(Message(role="user", content="?"), Message(role="assistant")))
    subgoal = Subgoal(trajectory=trajectory, span=Span((1, 0), (2, 0)))
    assert appended(subgoal, "text") == subgoal


def test_raw_text_is_appended_to_as_well():
    messages = (Message(role="user", content="?"), Message(role="assistant", content="Yes", raw="Yes<end>"))
    subgoal = Subgoal(trajectory=sample_trajectory(messages=messages), span=Span((1, 0), (2, 0)))
    assert message_text(appended(subgoal, "or no").trajectory.messages[1]) == "Yes<end> or no"


def test_routes_of_a_router():
    calling = sample_prototype(id="calling", routing=Routing(exemplars=("one call made",)))
    saying = sample_prototype(id="saying", routing=Routing(exemplars=("no call made; text answer",)))
    spans = (("calling", Span((2, 0), (4, 0))), ("saying", Span((6, 0), (7, 0))))
    items = [
        Labelled(skill=skill, subgoal=sample_subgoal(span=span), text="", task=skill) for skill, span in spans
    ]
    items.append(Labelled(skill="saying", subgoal=None, text="no trajectory", task="none"))
    rows = aio.run(routed(Lexical().build(), items, sample_library(calling, saying)))
    assert [(each.found, each.right, each.calls, each.moved) for each in rows] == [
        ("calling", True, True, False),
        ("saying", True, False, False),
    ]
    assert rows[0].first is not None
    assert rows[0].first[0] == "calling"


class TestReading:
    def written(self, path: Path, **changes: Any) -> Path:
        record = {"skill": "a", "trajectory": dump_trajectory(sample_trajectory()), **changes}
        path.write_text(json.dumps(record))
        return path

    def test_span_and_task(self, tmp_path: Path):
        span = {"start": [2, 0], "end": [4, 0]}
        (item,) = read_labelled(self.written(tmp_path / "f", span=span, task="group", source="?")).items
        assert item.subgoal is not None
        assert (item.skill, item.task, item.subgoal.span) == ("a", "group", Span((2, 0), (4, 0)))

    def test_whole_trajectory_and_its_task_without_them(self, tmp_path: Path):
        (item,) = read_labelled(self.written(tmp_path / "f")).items
        assert item.subgoal == sample_subgoal()
        assert item.task == sample_trajectory().task_id

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"skill": 3}, "skill: 3; write the id of a prototype"),
            ({"span": {"start": [2, 0], "end": [99, 0]}}, "span: .* within"),
            ({"span": {"start": [2, 0], "end": [2, 0]}}, "span: "),
            ({"span": [0, 1]}, "span: "),
            ({"span": {"start": [-1, 0], "end": [2, True]}}, "span: "),
            ({"trajectory": {"id": "x"}}, "messages"),
            ({"text": 1}, "text: 1 is no text"),
        ],
    )
    def test_wrong_lines_say_what_is_right(self, tmp_path: Path, changes: dict[str, Any], problem: str):
        with pytest.raises(DataError, match=f"line 1: .*{problem}"):
            read_labelled(self.written(tmp_path / "f", **changes))

    def test_no_object_no_lines_no_file(self, tmp_path: Path):
        path = tmp_path / "f"
        for content, problem in (
            ("[]", "no JSON object"),
            ('{"skill": "a"}', "needs a `trajectory`"),
            ("\n", "holds no"),
        ):
            path.write_text(content)
            with pytest.raises(DataError, match=problem):
                read_labelled(path)
        with pytest.raises(DataError, match="cannot be read"):
            read_labelled(tmp_path / "none")
