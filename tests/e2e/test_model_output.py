"""What a model writes is untrusted: it is answered, logged, scored and read back, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scribe_policy_hf.formats import FORMATS
from scribe_skills.library import ScribeSkills

from scribe_core import ScorerBuilder, aio
from scribe_core.builtin.functions import FunctionEnvironment
from scribe_core.runs import RunFolder, make_manifest
from scribe_core.scorer import score_record
from scribe_core.types import Message, Scored, Trajectory


def spell(letter: str) -> str:
    """Spells a letter out."""
    return letter.upper()


def said_anything(completion: str) -> bool:
    return bool(completion)


ENVIRONMENT = FunctionEnvironment(prompts=("Spell a.",), reward=said_anything, tools=(spell,)).build()
(TASK,) = (task for split in ("train", "validation", "test") for task in ENVIRONMENT.tasks(split))
SCORER = ScorerBuilder(libraries=(ScribeSkills(),)).build()


def call(arguments: str, name: str = "spell") -> str:
    return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'


HOSTILE = [
    "",
    "\x00\ud7ff\U0010ffff\u202e\u2028",
    call('{"letter": 1e999}'),
    call('{"letter": NaN}'),
    call('{"letter": -Infinity}'),
    call('{"letter": "\\ud800"}'),
    call('{"\\udfff": 1}'),
    call('{"letter": ' + "9" * 5000 + "}"),
    call('{"letter": ' + "9" * 400 + "}"),
    call('{"letter": ' + "[" * 150 + "]" * 150 + "}"),
    call('{"letter": ' + "[" * 95 + "]" * 95 + "}"),
    call("[" * 5000 + "]" * 5000),
    call('{"letter": "a", "letter": "b"}'),
    call('{"": null, "letter": {"letter": []}}'),
    call("{}", name=""),
    call("{}", name="\\u0000"),
    call("{}", name="no such tool"),
    call('{"letter": "a"}') * 300,
    "<tool_call>" * 3000,
    "<tool_call>[" + "]" * 3000 + "</tool_call>",
    '<tool_call>{"name": "spell", "arguments": {"letter": "' + "x" * 100_000,
]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run", make_manifest({}, None), resume=False)
    yield folder
    folder.close()


def played(text: str, name: str = "x") -> Trajectory:
    content, calls = FORMATS["hermes"].parse(text)
    message = Message(role="assistant", content=content, tool_calls=calls, raw=text)
    session = ENVIRONMENT.open(TASK)
    follow = aio.run(session.respond(message))
    assert [each.role for each in follow] == ["tool"] * len(calls)
    messages = (*TASK.messages, message, *follow)
    outcome = aio.run(session.outcome(messages))
    return Trajectory(id=name, messages=messages, tools=tuple(session.tools), outcome=outcome)


def logged_and_read(folder: RunFolder, trajectory: Trajectory) -> tuple[Scored, Scored]:
    """A scored trajectory, and the same as a resumed run reads it."""
    (scored,) = SCORER.score([trajectory])
    folder.log_trajectory(1, trajectory)
    folder.log_score(1, scored, "0123abcd")
    rollouts, scores = folder.replay(after=0)
    assert rollouts[1][trajectory.id] == trajectory
    return scored, scores[trajectory.id]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(folder, text):
    scored, read = logged_and_read(folder, played(text))
    assert read.reward == scored.reward
    assert score_record(read)["subgoals"] == score_record(scored)["subgoals"]


PIECES = st.sampled_from(
    ("<tool_call>", "</tool_call>", '{"name": "spell", "arguments": ', '{"letter": "a"}', "}", '"', "\\u")
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


@given(text=TEXTS)
def test_any_text(tmp_path_factory, text):
    folder = RunFolder(tmp_path_factory.mktemp("any") / "run", make_manifest({}, None), resume=False)
    try:
        scored, read = logged_and_read(folder, played(text))
    finally:
        folder.close()
    assert read.reward == scored.reward
