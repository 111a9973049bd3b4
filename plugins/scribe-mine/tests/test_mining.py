"""Drafts say what is in the trajectories: which skills, what fails, how much that costs, and no one's own values."""

import json
import re
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner
from scribe_mine.clusters import Clusters
from scribe_mine.command import MineCommand
from scribe_mine.failing import blames_ahead, failing, findings, masked_error, prior_of, spread
from scribe_mine.members import masked, members_of

from scribe_core import aio
from scribe_core.builtin.turns import Turns
from scribe_core.registry import Registry
from scribe_core.skills import Library, dump_prototype, lint, load_folder
from scribe_core.trajectories import dump_trajectory
from scribe_core.types import Message, ToolCall, ToolSpec, Trajectory

TOPICS = (
    "weather forecast",
    "train tickets",
    "bank transfer",
    "concert seats",
    "museum hours",
    "recipe ideas",
)
TOOL = ToolSpec(
    name="look_up",
    parameters={"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
)


def calling(index, good=True):
    """A request, and a call that has its argument or lacks it."""
    what = TOPICS[index % len(TOPICS)]
    call = ToolCall(name="look_up", arguments={"what": what} if good else {})
    messages = (
        Message(role="user", content=f"Find the {what} number {index} for Alice."),
        Message(role="assistant", tool_calls=(call,)),
    )
    name = f"call-{index}-{good}"
    return Trajectory(id=name, task_id=f"c{index}", messages=messages, tools=(TOOL,), outcome=float(good))


def declining(index):
    messages = (
        Message(role="user", content=f"Paint the {TOPICS[index % len(TOPICS)]} blue."),
        Message(role="assistant", content="Sorry, no tool here can do that."),
    )
    return Trajectory(
        id=f"decline-{index}", task_id=f"d{index}", messages=messages, tools=(TOOL,), outcome=1.0
    )


def recovering(index):
    """A call that fails, and the same call again with what it lacked."""
    first = calling(index, good=False)
    error = Message(role="tool", content='{"error": "look_up: missing argument 4711"}', tool_call_id="a")
    return Trajectory(
        id=f"recover-{index}",
        task_id=f"r{index}",
        messages=(*first.messages, error, calling(index).messages[1]),
        tools=(TOOL,),
        outcome=1.0,
    )


@pytest.fixture
def trajectories():
    """Forty good calls and twenty bad ones, thirty refusals and thirty recoveries."""
    calls = [calling(i, good) for i in range(40) for good in ((True, False) if i % 2 else (True,))]
    return [*calls, *map(declining, range(30)), *map(recovering, range(30))]


def mined(trajectories, **options):
    return aio.run(Clusters(min_size=8, **options).build().mine(trajectories))


def members(trajectories):
    return aio.run(members_of(trajectories, Turns().build()))


def test_each_skill_is_a_draft(trajectories):
    drafts = mined(trajectories)
    counts = {draft.id: draft.provenance["mined"]["n"] for draft in drafts}
    assert counts.pop("general") == 150, "all members, the last one of each recovery twice"
    assert sorted(counts.values()) == [30, 30, 90]
    by_id = {draft.id: draft for draft in drafts}
    assert by_id["one-call-made-after-a-tool-error-one-tool-offered"].provenance["mined"]["n"] == 30
    assert by_id["text-answer-first-action-one-tool-offered"].provenance["mined"]["n"] == 30


def test_drafts_pass_lint(trajectories):
    drafts = mined(trajectories)
    known = {record.name for record in Registry.installed().records("programs")}
    assert lint(Library(drafts), known) == []


def test_general_can_be_left_out(trajectories):
    assert "general" not in {draft.id for draft in mined(trajectories, general=False)}


def test_names_of_tools_and_values_say_nothing(trajectories):
    def renamed(trajectory):
        tools = tuple(evolve(tool, name="x9") for tool in trajectory.tools)
        messages = tuple(
            evolve(m, tool_calls=tuple(evolve(c, name="x9") for c in m.tool_calls))
            for m in trajectory.messages
        )
        return evolve(trajectory, tools=tools, messages=messages)

    for one, other in zip(members(trajectories), members(map_(renamed, trajectories)), strict=True):
        assert (one.phrases, one.shape, one.request) == (other.phrases, other.shape, other.request)
    for draft in mined(trajectories):
        # Calibration cases are spans, and those are verbatim.
        text = str(dump_prototype(evolve(draft, calibration=(), provenance={})))
        for own in ("Alice", "alice", "4711", "look_up"):
            assert own not in text, draft.id


def map_(function, items):
    return [function(item) for item in items]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Find 'the file' for Alice at 10:30", "Find for at"),
        ("What's the user's plan?", "What's the user's plan?"),
        ("Send x@y.org the report_v2.pdf", "Send the"),
        ("", ""),
    ],
)
def test_masking(text, left):
    assert masked(text) == left


def test_errors_lose_what_one_call_had():
    assert masked_error('{"error": "look_up: missing argument 4711"}') == "missing argument"


def found(trajectories, function):
    """Members, and what a program says of each."""
    own = members(trajectories)
    return own, [{"it": function(member)} for member in own]


def good(member):
    return "pass" if "True" in member.id else "fail"


def test_caps_are_what_a_failure_leaves():
    trajectories = [calling(i, right) for i in range(40) for right in (True, False)]
    for outcome, caps in ((0.0, 0), (0.3, 1), (0.7, 2), (1.0, None)):
        changed = [t if t.outcome == 1 else evolve(t, outcome=outcome) for t in trajectories]
        own, answers = found(changed, good)
        chosen = failing(own, answers, {"it": "it is right"}, prior_of(own, answers))
        assert [each.caps for each in chosen] == ([] if caps is None else [caps]), outcome


def test_what_most_good_members_fail_is_no_check():
    own, answers = found([calling(i) for i in range(20)] + [calling(i, False) for i in range(20)], good)
    turned = [{"it": {"pass": "fail", "fail": "pass"}[each["it"]]} for each in answers]
    assert failing(own, turned, {"it": "it is wrong"}, prior_of(own, turned)) == []


PROGRAM = """
from scribe_core.builders import program
from scribe_core.types import Finding

@program
def nothing_follows(subgoal):
    \"\"\"Whether the span is the last one.\"\"\"
    follows = subgoal.span.end[0] < len(subgoal.trajectory.messages)
    return Finding(answer="fail" if follows else "pass")
"""


def test_programs_that_blame_what_follows_are_found(tmp_path, monkeypatch):
    (tmp_path / "later_programs.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    own, name = members(map_(recovering, range(20))), "later_programs:nothing_follows"
    answers = findings(own, [name])
    assert [each[name] for each in answers] == ["fail", "pass"] * 20
    assert blames_ahead(own, answers) == {name}
    last = [member for member in own if member.is_last]
    assert blames_ahead(last, findings(last, [name])) == set()


def test_spread_is_even_and_no_longer_than_asked():
    assert spread(list(range(10)), 20) == list(range(10))
    assert spread(list(range(100)), 5) == [0, 20, 40, 60, 80]
    assert len(spread(list(range(1159)), 600)) == 600


def test_broken_trajectories_are_left_out(trajectories):
    broken = [evolve(each, status="error") for each in trajectories]
    assert members(broken) == []
    assert mined(broken) == []


def lines(trajectories):
    return "".join(json.dumps(dump_trajectory(each)) + "\n" for each in trajectories)


@pytest.fixture
def file(tmp_path, trajectories):
    path = tmp_path / "in.jsonl"
    path.write_text(lines(trajectories))
    return path


def command(*arguments):
    result = CliRunner().invoke(MineCommand().build(), list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        return f"{type(result.exception).__name__}: {result.exception}"
    assert result.exit_code == 0, result.output
    return result.output


SMALL = ("--set", "refresh.miner.use=clusters", "--set", "refresh.miner.min_size=8")


def test_the_command_writes_drafts_that_lint(file, tmp_path):
    out = tmp_path / "drafts"
    shown = command(file, "--out", out, *SMALL)
    drafts = load_folder(out)
    assert set(drafts) == {path.stem for path in out.glob("*.yaml")}
    assert "general" in drafts
    assert re.search(r"one-call-made-first-action-one-tool-offered: 90 members, \d+ checks", shown)
    assert "4 drafts" in shown


def test_nothing_is_overwritten(file, tmp_path):
    out = tmp_path / "drafts"
    command(file, "--out", out, *SMALL)
    before = {path: path.read_text() for path in out.iterdir()}
    assert "holds something already" in command(file, "--out", out, *SMALL)
    assert {path: path.read_text() for path in out.iterdir()} == before


def test_what_drafts_are_near_to(file, tmp_path):
    command(file, "--out", tmp_path / "one", *SMALL)
    shown = command(file, "--out", tmp_path / "two", "--library", tmp_path / "one", *SMALL)
    assert "% like " in shown
    assert not (tmp_path / "two/general.yaml").exists()


def test_too_few_trajectories_are_an_error_that_says_so(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text(lines([calling(0)]))
    assert "min_size" in command(path, "--out", tmp_path / "out")
    assert not Path(tmp_path / "out").exists()
