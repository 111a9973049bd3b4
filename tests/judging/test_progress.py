"""How far judging is: told now and then, with what it has cost."""

import pytest
from structlog.testing import capture_logs

from scribe_core import aio
from scribe_core.errors import ConfigError
from scribe_core.judging import CallError, ModelJudge, Reply
from scribe_core.judging.progress import INTERVAL, Progress
from scribe_core.protocols import JudgeRequest
from scribe_core.skills import Check
from scribe_core.testing import ScriptedEndpoint, sample_prototype, sample_subgoal
from scribe_core.types import Usage, Verdict

PRICED = Usage(calls=1, prompt_tokens=10, completion_tokens=1, usd=0.25)
DONE = Verdict(status="scored", score=3.0, usage=PRICED)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress(clock)


def told(progress, verdict=DONE):
    with capture_logs() as logged:
        progress.note(verdict)
    return logged


def test_what_is_done_soon_is_not_told(progress, clock):
    progress.expect(3)
    clock.now += INTERVAL * 0.9
    assert [told(progress) for _ in range(3)] == [[], [], []]


def test_a_line_in_each_interval(progress, clock):
    progress.expect(10)
    for done in (1, 3, 5):
        clock.now += INTERVAL
        (line,) = told(progress)
        assert line == {
            "event": "judging",
            "log_level": "info",
            "done": f"{done} of 10",
            "failed": 0,
            "calls": done,
            "cached": 0,
            "usd": 0.25 * done,
        }
        assert told(progress) == []


def test_time_between_batches_does_not_count_but_their_figures_do(progress, clock):
    progress.expect(1)
    told(progress, Verdict(status="failed", reason="gone"))
    clock.now += 100 * INTERVAL
    progress.expect(2)
    assert told(progress) == []
    clock.now += INTERVAL
    (line,) = told(progress)
    assert (line["done"], line["failed"]) == ("3 of 3", 1)


def test_an_unknown_price_is_said_to_be(progress, clock):
    progress.expect(2)
    clock.now += INTERVAL
    assert told(progress, Verdict(status="abstained"))[0]["usd"] == "unknown"


def test_a_judge_tells_while_it_judges(clock):
    def reply(prompt, sample):
        clock.now += INTERVAL
        if sample == 1:
            raise CallError("gone")
        return Reply(text="never", usage=PRICED)

    judge = ModelJudge(endpoint=ScriptedEndpoint(reply), progress=Progress(clock))
    requests = [
        JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype(), sample=n) for n in range(3)
    ]
    with capture_logs() as logged:
        aio.run(judge.judge(requests))
    lines = [line for line in logged if line["event"] == "judging"]
    assert [line["done"] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]
    assert lines[-1]["failed"] == 1
    assert (lines[-1]["calls"], lines[-1]["usd"]) == (4, 1.0)


def test_what_was_given_up_is_no_longer_expected():
    broken = sample_prototype(checks=(Check(id="x", question="?", caps=0, program="none"),))
    judge = ModelJudge(endpoint=ScriptedEndpoint("never"))
    requests = [JudgeRequest(subgoal=sample_subgoal(), prototype=p) for p in (broken, sample_prototype())]
    with pytest.raises(ConfigError):
        aio.run(judge.judge(requests))
    assert judge.progress.done <= judge.progress.total <= 1
