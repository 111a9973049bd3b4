"""A judge that asks a model, from request to verdict; the model is a scripted endpoint."""

import json
from typing import ClassVar

import pytest
import structlog
from attrs import evolve, frozen

from scribe_core import aio
from scribe_core.errors import ConfigError
from scribe_core.judging import CallError, ModelJudge, Reply, TooLongError
from scribe_core.judging.canaries import Canaries
from scribe_core.protocols import JudgeRequest
from scribe_core.skills import Check
from scribe_core.testing import (
    JudgeContract,
    ScriptedEndpoint,
    sample_crowded_subgoal,
    sample_prototype,
    sample_subgoal,
    sample_trajectory,
)
from scribe_core.types import Finding, Message, Span, Usage

QUOTE = "Paris is clear"
PROTOTYPE = sample_prototype(
    checks=(
        Check(id="right-tool", question="Is the called tool the one that fits?", caps=0, evidence="required"),
        Check(id="grounded", question="Is every argument taken from the request?", caps=1),
    )
)


def reply(**answers):
    """A reply in the form that was asked for; an answer may bring its quote."""
    record = {}
    for id_, given in answers.items():
        answer, quote = given if isinstance(given, tuple) else (given, "")
        record[id_.replace("_", "-")] = {"reason": "so it is", "quote": quote, "answer": answer}
    return json.dumps(record)


GOOD = reply(right_tool=("pass", QUOTE), grounded="pass", default_filled="absent")


def judged(script, prototype=PROTOTYPE, subgoal=None, **options):
    endpoint = script if isinstance(script, ScriptedEndpoint) else ScriptedEndpoint(script)
    judge = ModelJudge(endpoint=endpoint, **options)
    request = JudgeRequest(subgoal=subgoal or sample_subgoal(), prototype=prototype)
    (verdict,) = aio.run(judge.judge([request]))
    return verdict


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ({}, 3),
        ({"right_tool": ("fail", QUOTE)}, 0),
        ({"grounded": "fail"}, 1),
        ({"default_filled": ("present", QUOTE)}, 2),
        ({"default_filled": "present"}, 2),
        ({"grounded": "not_applicable"}, 3),
        ({"right_tool": "not_applicable", "grounded": "not_applicable"}, None),
        ({"right_tool": "pass"}, None),
        ({"right_tool": ("pass", "Rome is clear")}, None),
        ({"grounded": ("pass", "Rome is clear")}, None),
        ({"default_filled": ("present", "Rome is clear")}, None),
        ({"right_tool": ("fail", QUOTE), "grounded": ("pass", "made up")}, 0),
    ],
)
def test_checklist(answers, score):
    given = {"right_tool": ("pass", QUOTE), "grounded": "pass", "default_filled": "absent"}
    verdict = judged(reply(**{**given, **answers}))
    assert verdict.status == ("abstained" if score is None else "scored")
    assert verdict.score == score
    assert verdict.usage == Usage(calls=1)


def test_a_verdict_says_what_failed_and_where():
    verdict = judged(reply(right_tool=("fail", f"  {QUOTE}"), grounded="fail", default_filled="absent"))
    assert verdict.failed_checks == ("right-tool", "grounded")
    assert verdict.evidence == (QUOTE,)
    assert "so it is" in verdict.reason


def test_holistic():
    good = {"failure_mode": "none", "score": ("3", QUOTE)}
    assert judged(reply_h(**good), mode="holistic").score == 3
    assert judged(reply_h(**{**good, "failure_mode": "default-filled"}), mode="holistic").score == 2
    assert judged(reply_h(**{**good, "score": ("1", QUOTE)}), mode="holistic").score == 1
    made_up = judged(reply_h(**{**good, "score": ("3", "Rome is clear")}), mode="holistic")
    assert (made_up.status, made_up.score) == ("abstained", None)
    assert judged(reply_h(**{**good, "score": "3"}), mode="holistic").status == "abstained"


def reply_h(**answers):
    record = json.loads(reply(**answers))
    return json.dumps(
        {id_.replace("-", "_") if id_ == "failure-mode" else id_: v for id_, v in record.items()}
    )


def test_direct_shows_no_rubric():
    endpoint = ScriptedEndpoint(reply(score="2"))
    assert judged(endpoint, mode="direct").score == 2
    ((prompt, _),) = endpoint.asked
    assert PROTOTYPE.title not in prompt.user
    assert PROTOTYPE.when_to_use not in prompt.user


BY_PROGRAM = evolve(
    PROTOTYPE,
    checks=(
        Check(id="parses", question="Does it parse?", caps=0, program="parses"),
        Check(id="grounded", question="Is every argument taken from the request?", caps=1),
    ),
)


@pytest.mark.parametrize("mode", ["checklist", "holistic"])
def test_no_model_is_asked_for_what_programs_have_settled(mode):
    endpoint = ScriptedEndpoint(GOOD)
    fails = {"parses": lambda _: Finding(answer="fail")}
    verdict = judged(endpoint, BY_PROGRAM, mode=mode, programs=fails)
    assert (verdict.score, verdict.usage.calls, endpoint.asked) == (0, 0, [])


def test_programs_and_the_model_decide_together():
    passes = {"parses": lambda _: Finding(answer="pass")}
    answers = reply(grounded="fail", default_filled="absent")
    endpoint = ScriptedEndpoint(answers)
    assert judged(endpoint, BY_PROGRAM, programs=passes).score == 1
    ((prompt, _),) = endpoint.asked
    assert [question.id for question in prompt.questions] == ["grounded", "default-filled"]


def test_a_model_that_says_good_does_not_raise_what_a_program_lowered():
    lowered = evolve(BY_PROGRAM, checks=(evolve(BY_PROGRAM.checks[0], caps=1),))
    fails = {"parses": lambda _: Finding(answer="fail")}
    good = reply_h(failure_mode="none", score=("3", QUOTE))
    assert judged(good, lowered, mode="holistic", programs=fails).score == 1


def test_a_program_that_does_not_exist():
    with pytest.raises(ConfigError, match="parses"):
        judged(GOOD, BY_PROGRAM, programs={})


def test_a_failed_call_is_a_failed_verdict():
    def script(*_):
        raise CallError("429 Too Many Requests, 5 attempts", Usage(calls=5))

    verdict = judged(script)
    assert (verdict.status, verdict.score, verdict.usage.calls) == ("failed", None, 5)
    assert "429" in verdict.reason


def test_a_refusal_is_an_abstention():
    verdict = judged(lambda *_: Reply(text="I can't.", refused=True))
    assert (verdict.status, verdict.score) == ("abstained", None)


def test_a_reply_that_cannot_be_read_is_asked_for_once_more():
    replies = iter(["What a question!", GOOD])
    verdict = judged(lambda *_: next(replies))
    assert (verdict.score, verdict.usage.calls) == (3, 2)
    verdict = judged("What a question!")
    assert (verdict.status, verdict.usage.calls) == ("abstained", 2)
    assert "What a question!" in verdict.reason


def test_an_answer_too_few_is_no_verdict():
    assert judged(reply(right_tool=("pass", QUOTE), grounded="pass")).status == "abstained"


PROBABLE = {
    "right-tool": {"pass": 0.6, "fail": 0.2, "not_applicable": 0.0},
    "grounded": {"pass": 0.5, "fail": 0.5, "not_applicable": 0.0},
    "default-filled": {"absent": 0.9, "present": 0.1},
}


def test_the_expected_score_of_probabilities():
    verdict = judged(ScriptedEndpoint(json.dumps(PROBABLE), probabilities=True))
    # Caps 0, 1 and 2; each holds with 0.75, 0.5 and 0.9.
    assert verdict.score == pytest.approx(0.75 + 0.75 * 0.5 + 0.75 * 0.5 * 0.9)
    assert verdict.outside == pytest.approx(0.2)


def test_a_model_that_gives_its_probability_to_other_words_has_not_answered():
    scattered = {**PROBABLE, "grounded": {"pass": 0.2, "fail": 0.2, "not_applicable": 0.0}}
    verdict = judged(ScriptedEndpoint(json.dumps(scattered), probabilities=True))
    assert (verdict.status, verdict.score) == ("abstained", None)
    assert verdict.outside == pytest.approx(0.6)


def test_the_expected_level():
    table = {
        "failure_mode": {"default-filled": 0.5, "none": 0.5},
        "score": {"0": 0.0, "1": 0.0, "2": 0.0, "3": 0.8},
    }
    verdict = judged(ScriptedEndpoint(json.dumps(table), probabilities=True), mode="holistic")
    assert verdict.score == pytest.approx(2.5)
    assert verdict.outside == pytest.approx(0.2)


LONG = sample_trajectory(
    messages=(Message(role="user", content="Go."), Message(role="assistant", content="x" * 99_999))
)


@pytest.mark.parametrize(
    ("scope", "status", "score"), [("subgoal", "scored", 0), ("trajectory", "abstained", None)]
)
def test_what_the_policy_made_too_long_to_be_read_is_worth_nothing(scope, status, score):
    endpoint = ScriptedEndpoint(GOOD)
    verdict = judged(endpoint, evolve(PROTOTYPE, scope=scope), sample_subgoal(LONG))
    assert (verdict.status, verdict.score, endpoint.asked) == (status, score, [])


@pytest.mark.parametrize(
    ("room", "dense", "status", "score"),
    [
        (50_000, False, "scored", 3),
        (2_000, False, "scored", 3),
        (0, True, "scored", 0),
        (0, False, "failed", None),
    ],
)
def test_a_text_of_more_tokens_than_its_length_tells_is_shown_in_part(room, dense, status, score):
    """The conversation before the span gives way; a span that leaves no room is worth nothing, a model without fails."""

    def script(prompt, _):
        if len(prompt.user) > room:
            raise TooLongError("the prompt has too many tokens")
        return GOOD

    crowded = sample_crowded_subgoal()
    if dense:
        *before, last = crowded.trajectory.messages
        spoilt = (*before, evolve(last, content="\u00e6 " * 3_000))
        crowded = evolve(crowded, trajectory=evolve(crowded.trajectory, messages=spoilt))
    verdict = judged(ScriptedEndpoint(script), subgoal=crowded)
    assert (verdict.status, verdict.score) == (status, score)
    assert ("too many tokens" in verdict.reason) == (status == "failed")


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u3164", "\u0301", "\x00\ufe0f"])
@pytest.mark.parametrize("mode", ["checklist", "holistic", "direct"])
def test_nothing_is_worth_nothing(mode, text):
    endpoint = ScriptedEndpoint(GOOD)
    trajectory = sample_trajectory(messages=(Message(role="assistant", content=text),))
    verdict = judged(endpoint, subgoal=sample_subgoal(trajectory), mode=mode)
    assert (verdict.status, verdict.score, endpoint.asked) == ("scored", 0, [])


def test_samples_are_told_apart():
    endpoint = ScriptedEndpoint(GOOD)
    judge = ModelJudge(endpoint=endpoint)
    requests = [JudgeRequest(subgoal=sample_subgoal(), prototype=PROTOTYPE, sample=i) for i in range(3)]
    aio.run(judge.judge(requests))
    assert [sample for _, sample in endpoint.asked] == [0, 1, 2]
    prompts = [prompt for prompt, _ in endpoint.asked]
    assert len({prompt.fence for prompt in prompts}) == 3
    identities = [judge.identify(request, prompt) for request, prompt in zip(requests, prompts, strict=True)]
    assert [{**identity, "sample": 0} for identity in identities] == [identities[0]] * 3


def test_a_judge_that_rewards_nothing_raises_the_alarm():
    canaries = Canaries(every=2)
    answers = reply(right_tool="pass", arguments_grounded="pass", default_filled="absent")
    judge = ModelJudge(endpoint=ScriptedEndpoint(answers), canaries=canaries)
    requests = [JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype()) for _ in range(8)]
    with structlog.testing.capture_logs() as logged:
        verdicts = aio.run(judge.judge(requests))
    assert [each["event"] for each in logged] == ["judge_alarm"] * 4
    assert canaries.fooled == canaries.asked == {"null": 2, "injection": 2}
    assert sum(verdict.usage.calls for verdict in verdicts) == 12
    assert all(verdict.score == 3 for verdict in verdicts)


def test_a_judge_that_rewards_no_canary_raises_none():
    canaries = Canaries(every=1)

    def script(prompt, _):
        held = QUOTE in prompt.user
        return reply(
            right_tool=("pass" if held else "fail", QUOTE if held else ""),
            grounded="pass",
            default_filled="absent",
        )

    judge = ModelJudge(endpoint=ScriptedEndpoint(script), canaries=canaries)
    with structlog.testing.capture_logs() as logged:
        aio.run(judge.judge([JudgeRequest(subgoal=sample_subgoal(), prototype=PROTOTYPE)]))
    assert logged == []
    assert canaries.asked.total() == 1


class TestContract(JudgeContract):
    kind = "judges"

    def builder(self):
        return Builder()


@frozen
class Builder:
    """Fails one check of everything."""

    name: ClassVar[str] = "scripted-model"

    def build(self):
        answers = reply(right_tool="pass", arguments_grounded="fail", default_filled="absent")
        return ModelJudge(endpoint=ScriptedEndpoint(answers))


def test_only_the_span_is_judged():
    """What stands before it is context, and cannot be quoted."""
    subgoal = sample_subgoal(span=Span((6, 0), (7, 0)))
    quoted = reply(right_tool=("pass", "look up Paris"), grounded="pass", default_filled="absent")
    assert judged(quoted, subgoal=subgoal).status == "abstained"
