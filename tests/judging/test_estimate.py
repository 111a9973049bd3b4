"""What judging will take is bounded before, and what it takes stays inside."""

import json
from itertools import product

import pytest
from attrs import frozen

from scribe_core import aio
from scribe_core.builtin.cached import Cached
from scribe_core.builtin.panel import Panel
from scribe_core.builtin.programs_judge import ProgramsJudge
from scribe_core.judging import ModelJudge, Reply, model_estimate
from scribe_core.judging.estimate import any_of, estimate, together
from scribe_core.protocols import Estimate, JudgeRequest
from scribe_core.skills import Check, FailureMode
from scribe_core.testing import (
    ScriptedEndpoint,
    ScriptedJudge,
    sample_prototype,
    sample_subgoal,
    sample_trajectory,
)
from scribe_core.types import Finding, Message

BUDGET, REPLY = 4000, 100


def item(caps, program, mode=False):
    name = f"{'mode' if mode else 'check'}-{caps}-{'program' if program else 'model'}"
    if mode:
        return FailureMode(id=name, description="Is it wrong?", caps=caps, program=program)
    return Check(id=name, question="Is it right?", caps=caps, program=program)


PROTOTYPES = [
    sample_prototype(checks=(item(0, None), item(1, None)), failure_modes=()),
    sample_prototype(checks=(item(0, "p"),), failure_modes=(item(2, "p", mode=True),)),
    sample_prototype(checks=(item(0, "p"), item(1, None)), failure_modes=()),
    sample_prototype(checks=(item(2, "p"), item(1, None)), failure_modes=(item(0, None, mode=True),)),
    sample_prototype(checks=(item(1, "p"),), failure_modes=(item(1, None, mode=True),)),
]


@pytest.mark.parametrize(("prototype", "mode"), [*product(PROTOTYPES, ("checklist", "holistic", "direct"))])
def test_calls_stay_inside_the_bounds_and_reach_them(prototype, mode):
    bounds = model_estimate(prototype, mode, prompt_tokens=BUDGET, reply_tokens=REPLY)
    calls = []
    for answer, readable, said in product(("pass", "fail"), (True, False), ("", "Dear grader, ")):
        asked = []
        subgoal = sample_subgoal(
            sample_trajectory(messages=(Message(role="assistant", content=f"{said}\nParis"),))
        )

        def reply(prompt, sample, asked=asked, readable=readable):
            asked.append(prompt)
            record = {
                q.id: {"reason": "", "quote": "Paris", "answer": q.answers[0]} for q in prompt.questions
            }
            return Reply(text=json.dumps(record) if readable else "never")

        programs = {"p": lambda _, answer=answer: Finding(answer=answer)}
        judge = ModelJudge(
            endpoint=ScriptedEndpoint(reply), mode=mode, prompt_tokens=BUDGET, programs=programs
        )
        (verdict,) = aio.run(judge.judge([JudgeRequest(subgoal=subgoal, prototype=prototype)]))
        assert verdict.usage.calls == len(asked)
        calls.append(len(asked))
    assert (min(calls), max(calls)) == (bounds.least, bounds.most)
    assert (bounds.prompt_tokens, bounds.completion_tokens) == (bounds.most * BUDGET, bounds.most * REPLY)


def test_the_price_is_that_of_the_tokens():
    bounds = model_estimate(
        PROTOTYPES[0], "checklist", prompt_tokens=1000, reply_tokens=10, prices=(0.5, 2.0)
    )
    assert bounds.usd == 4 * (1000 * 0.5 + 10 * 2.0)
    assert model_estimate(PROTOTYPES[0], "checklist", prompt_tokens=1, reply_tokens=1).usd is None
    assert model_estimate(PROTOTYPES[1], "checklist", prompt_tokens=1, reply_tokens=1).usd == 0


def test_canaries_are_asked_about_too():
    bounds = model_estimate(PROTOTYPES[0], "direct", prompt_tokens=100, reply_tokens=10, canary_every=4)
    assert (bounds.least, bounds.most, bounds.prompt_tokens) == (1, 4.5, 450)


@frozen
class Known:
    """A judge that knows what it takes."""

    cost: Estimate
    name = "known"

    def build(self):
        return ScriptedJudge()

    def estimate(self, prototype):
        return self.cost


CHEAP = Known(Estimate(least=1, most=2, prompt_tokens=100, completion_tokens=10, usd=0.5))
FREE = Known(Estimate(least=1, most=1, prompt_tokens=7, completion_tokens=3))
UNPRICED = Known(Estimate(least=1, most=1, usd=None))


@pytest.mark.parametrize(
    ("judge", "expected"),
    [
        (ProgramsJudge(), Estimate()),
        (Cached(judge=CHEAP), Estimate(least=0, most=2, prompt_tokens=100, completion_tokens=10, usd=0.5)),
        (
            Panel(judges=(CHEAP, FREE, ProgramsJudge()), arbiters=(CHEAP,)),
            Estimate(least=2, most=5, prompt_tokens=207, completion_tokens=23, usd=1.0),
        ),
        (
            Panel(judges=(CHEAP, UNPRICED)),
            Estimate(least=2, most=3, prompt_tokens=100, completion_tokens=10, usd=None),
        ),
        (ScriptedJudge(), None),
        (Cached(judge=ScriptedJudge()), None),
        (Panel(judges=(CHEAP, ScriptedJudge())), None),
    ],
)
def test_of_judges_that_hold_others(judge, expected):
    assert estimate(judge, sample_prototype()) == expected


def test_one_of_several_is_bounded_by_all():
    assert any_of([CHEAP.cost, FREE.cost]) == Estimate(
        least=1, most=2, prompt_tokens=100, completion_tokens=10, usd=0.5
    )
    assert any_of([CHEAP.cost, UNPRICED.cost]).usd is None
    assert together([]) == Estimate()
