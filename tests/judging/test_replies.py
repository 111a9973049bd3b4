import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribe_core.judging import Question
from scribe_core.judging.replies import read_probabilities, read_reply

TOOL = Question(id="right-tool", text="?", answers=("pass", "fail", "not_applicable"))
DEFAULT = Question(id="default-filled", text="?", answers=("absent", "present"))
SCORE = Question(id="score", text="?", answers=("0", "1", "2", "3"))
GOOD = {
    "right-tool": {"reason": "so", "quote": "weather", "answer": "fail"},
    "default-filled": {"reason": "no", "quote": "", "answer": "absent"},
}


def answers(text, *questions):
    return {id_: answer.answer for id_, answer in read_reply(text, questions).items()}


BOTH = {"right-tool": "fail", "default-filled": "absent"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"<think>Maybe {{this}} passes.</think>\nHere it is: {json.dumps(GOOD)} That is all.",
        json.dumps({"right-tool": "pass", "default-filled": "present"}) + json.dumps(GOOD),
        "{{{{" + json.dumps(GOOD),
        json.dumps({"right-tool": " FAIL. ", "default-filled": "'absent'"}),
        json.dumps({**GOOD, "surplus": [1]}),
        "right-tool: pass\nI was wrong.\n- right-tool: fail\n* **default-filled**: absent.",
    ],
)
def test_the_last_verdict_counts(text):
    assert answers(text, TOOL, DEFAULT) == BOTH


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("I cannot help with that.", {}),
        (json.dumps(GOOD)[:60], {}),
        (json.dumps({"score": {"answer": "3"}, **GOOD})[:100], {}),
        ("[1, 2]", {}),
        ('{"right-tool": {"answer": "probably"}, "default-filled": null}', {}),
        ('{"right-tool": true, "default-filled": ["absent"]}', {}),
        ('{"right-tool": {"answer": {"answer": "pass"}}}', {}),
        ('{"score": 3}', {}),
        ("right-tool: pass or fail", {}),
        ("is right-tool: pass", {}),
        ('{"right-tool": {"answer": "pass"}}', {"right-tool": "pass"}),
    ],
)
def test_what_is_not_said_stays_open(text, expected):
    assert answers(text, TOOL, DEFAULT) == expected


@pytest.mark.parametrize("score", ["3", 3, " 3 "])
def test_levels_may_be_numbers(score):
    assert answers(json.dumps({"score": {"reason": "", "answer": score}}), SCORE) == {"score": "3"}


@pytest.mark.parametrize("score", [4, -1, 2.5, True, "three", None, "3/3"])
def test_other_levels_do_not_count(score):
    assert answers(json.dumps({"score": score}), SCORE) == {}


def test_reason_and_quote_of_the_wrong_type_are_dropped():
    answer = read_reply('{"score": {"reason": 5, "quote": {}, "answer": "1"}}', [SCORE])["score"]
    assert (answer.reason, answer.quote) == ("", "")


@pytest.mark.parametrize(
    "text", ["{" * 10**6, '{"a":' * 10**6, "[" * 10**6, "right-tool:" * 10**5, '"' * 10**6]
)
def test_absurd_replies(text):
    assert answers(text, TOOL) == {}
    assert answers(text + "\n" + json.dumps(GOOD), TOOL)["right-tool"] == "fail"


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    for answer in read_reply(text, [TOOL, DEFAULT, SCORE]).values():
        assert answer.answer in (*TOOL.answers, *DEFAULT.answers, *SCORE.answers)


def test_probabilities():
    text = json.dumps({"score": {"0": 0.1, "1": 0.2, "2": 0.5, "3": 0.1}})
    answer = read_probabilities(text, [SCORE])["score"]
    assert answer.answer == "2"
    assert answer.probabilities == {"0": 0.1, "1": 0.2, "2": 0.5, "3": 0.1}


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"score": {"0": 1}},
        {"score": {"0": 0.9, "1": 0.9, "2": 0, "3": 0}},
        {"score": {"0": -1, "1": 0, "2": 0, "3": 0}},
    ],
)
def test_what_is_no_distribution(table):
    assert read_probabilities(json.dumps(table), [SCORE]) == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", "[" * 10**6, '{"score": {"0": NaN, "1": 0, "2": 0, "3": 0}}']
)
def test_what_is_no_table_of_probabilities(text):
    assert read_probabilities(text, [SCORE]) == {}
