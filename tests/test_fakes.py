"""The fakes answer as told, and the sample data is what it says."""

import asyncio
import subprocess
import sys

import pytest

from scribe_core import testing
from scribe_core.protocols import JudgeRequest
from scribe_core.spans import span_text
from scribe_core.testing import (
    FixedSegmenter,
    RecordingTracker,
    ScriptedJudge,
    ScriptedPolicy,
    awkward_trajectories,
    sample_judgement,
    sample_library,
    sample_prototype,
    sample_subgoal,
    sample_trajectory,
)
from scribe_core.types import Conversation, Message, Sampling, Span, ToolCall, Trajectory, Verdict

ASKED = Message(role="user", content="Hello")
SAID = Message(role="assistant", content="One.", raw="One.")


def said(policy: ScriptedPolicy, *messages: Message, seed: int = 0) -> Message:
    return policy.generate([Conversation(messages=messages)], Sampling(), [seed])[0].message


def test_scripted_policy_says_its_turns_and_repeats_the_last():
    policy = ScriptedPolicy(script=("One.", "Two.")).build()
    assert said(policy, ASKED) == SAID
    assert said(policy, ASKED, SAID, ASKED).content == "Two."
    assert said(policy, ASKED, SAID, ASKED, SAID, ASKED).content == "Two."


def test_scripted_policy_may_call_tools_or_a_function():
    call = Message(role="assistant", tool_calls=(ToolCall(name="weather"),))
    assert said(ScriptedPolicy(script=(call,)), ASKED) is call
    echo = ScriptedPolicy(script=lambda conversation, seed: f"{conversation.messages[-1].content} {seed}")
    assert said(echo, ASKED, seed=7).content == "Hello 7"


def test_scripted_judge_gives_a_score_a_verdict_or_what_a_function_gives():
    request = JudgeRequest(subgoal=sample_subgoal(), prototype=sample_prototype())
    failed = Verdict(status="failed", reason="no network")
    scripts = {2.0: 2.0, failed: None, (lambda prototype, subgoal: len(prototype.id) % 4): 3.0}
    for script, score in scripts.items():
        verdict = asyncio.run(ScriptedJudge(script=script).build().judge([request]))[0]
        assert verdict.score == score
    assert asyncio.run(ScriptedJudge(script=failed).judge([request])) == [failed]


def test_fixed_segmenter_cuts_before_messages_and_ignores_other_cuts():
    trajectories = [Trajectory(id="t", messages=(ASKED,) * length) for length in (4, 2, 0)]
    spans = asyncio.run(FixedSegmenter(cuts=(0, 2, 9)).build().segment(trajectories))
    assert spans == [[Span((0, 0), (2, 0)), Span((2, 0), (4, 0))], [Span((0, 0), (2, 0))], []]


def test_recording_tracker_keeps_copies():
    tracker, event = RecordingTracker().build(), {"event": "step"}
    tracker.log(event)
    event["event"] = "changed"
    tracker.close()
    assert tracker.events == [{"event": "step"}]
    assert tracker.closed == [True]


def test_samples_take_changes():
    assert sample_trajectory(outcome=None).outcome is None
    assert sample_prototype(id="other").id == "other"
    assert set(sample_library(sample_prototype(id="other"))) == {"other", "general"}
    assert sample_judgement("failed").verdict.score is None
    assert "Rome" in span_text(sample_judgement(1, message=4).subgoal)
    assert sample_judgement(1, skill="other").skill == "other"


def test_awkward_trajectories_are_of_their_types():
    for trajectory in awkward_trajectories():
        assert isinstance(trajectory, Trajectory)
        assert all(isinstance(message, Message) for message in trajectory.messages)


def test_everything_can_be_imported_by_name():
    for name in (*testing.CONTRACTS, *testing.FAKES, *testing.SAMPLES):
        assert getattr(testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        _ = testing.no_such


def test_fakes_need_neither_pytest_nor_torch():
    names = ", ".join((*testing.FAKES, *testing.SAMPLES, "TinyPolicy"))
    probe = f"import sys; from scribe_core.testing import {names}; print(*{{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not {"pytest", "torch", "numpy"} & set(done.stdout.split())
