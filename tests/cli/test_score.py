import json
from pathlib import Path

import pytest


def test_a_line_each_in_order(done, trajectory, lines, config):
    path = lines(trajectory("a", outcome=1), trajectory("b", "sit", outcome=0), trajectory("c", "sit"))
    rows = [json.loads(line) for line in done("score", path, "--config", config).splitlines()]
    assert [(row["id"], row["reward"], row["process"], row["outcome"]) for row in rows] == [
        ("a", 1.0, 1.0, 1.0),
        ("b", pytest.approx(0.1), pytest.approx(1 / 3), 0.0),
        ("c", pytest.approx(1 / 3), pytest.approx(1 / 3), None),
    ]
    assert set(rows[0]) == {"id", "reward", "process", "outcome", "subgoals", "planning", "usage"}
    (subgoal,) = rows[1]["subgoals"]
    assert (subgoal["skill"], subgoal["score"], subgoal["status"]) == ("general", 1.0, "scored")
    assert subgoal["span"] == {"start": [1, 0], "end": [2, 0]}


def test_bad_lines_are_told_and_the_rest_is_scored(done, trajectory, lines, config):
    values = [
        trajectory("a"),
        b"not json",
        b"",
        {"id": "half", "messages": 5},
        b'{"id": "nan", "messages": [], "outcome": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        {**trajectory("x"), "outcome": 7},
        trajectory("z"),
    ]
    rows = [
        json.loads(line) for line in done("score", lines(*values), "--config", config, code=1).splitlines()
    ]
    assert [(row["id"], row.get("line"), "error" in row) for row in rows] == [
        ("a", None, False),
        (None, 2, True),
        ("half", 4, True),
        (None, 5, True),
        (None, 6, True),
        (None, 7, True),
        ("x", 8, True),
        ("z", None, False),
    ]
    assert all(set(row) == {"id", "line", "error"} for row in rows if "error" in row)


def test_a_group_that_mixes_outcomes_is_told_even_across_chunks(done, trajectory, lines, config):
    first = [trajectory("first", group_id="g", outcome=1), trajectory("free", group_id="")]
    between = [trajectory(f"t{n}") for n in range(300)]
    last = [trajectory("mixed", group_id="g"), trajectory("last", group_id="g", outcome=0)]
    shown = done("score", lines(*first, *between, *last), "--config", config, code=1)
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["id"] for row in rows] == [
        "first",
        "free",
        *(each["id"] for each in between),
        "mixed",
        "last",
    ]
    assert [row for row in rows if "error" in row] == [
        {
            "id": "mixed",
            "line": 303,
            "error": "outcome: null, but a number where group 'g' begins; give all of a group one or none",
        }
    ]


def test_stdin_and_unicode(done, trajectory, config):
    text = json.dumps(trajectory("ünïcode \U0001f600"), ensure_ascii=False)
    for variables in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}):
        row = json.loads(done("score", "-", "--config", config, text=text, **variables))
        assert row["id"] == "ünïcode \U0001f600"


def test_out_is_the_same_and_whole_or_absent(scribe, done, trajectory, lines, config, tmp_path):
    path, out = lines(trajectory("a"), b"bad"), tmp_path / "scores.jsonl"
    result = scribe("score", path, "--config", config, "--out", out)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"1 trajectories scored, 1 bad lines: {out}\n"
    assert out.read_text() == done("score", path, "--config", config, code=1)
    assert not list(tmp_path.glob("*.part"))


def test_out_may_be_a_device(scribe, trajectory, lines, config):
    scribe("score", lines(trajectory("a")), "--config", config, "--out", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_the_input_is_never_overwritten(refused, trajectory, lines, config, tmp_path):
    path = lines(trajectory("a"))
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(path)
    part = lines(trajectory("a"), name="x.part")
    for source, out in (
        (path, path),
        (path, tmp_path / "link"),
        (tmp_path / "link", path),
        (part, tmp_path / "x"),
    ):
        assert "that is the input" in refused("score", source, "--config", config, "--out", out)
    assert path.read_bytes() == part.read_bytes() == before


def test_what_cannot_be_read_or_written_is_told(refused, trajectory, lines, config, tmp_path):
    path = lines(trajectory("a"))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    assert "cannot be read: No such file" in refused("score", tmp_path / "none", "--config", config)
    assert "cannot be read: Is a directory" in refused("score", tmp_path, "--config", config)
    assert "holds no trajectories" in refused("score", empty, "--config", config)
    for out in (tmp_path / "no" / "folder", tmp_path):
        assert "cannot be written" in refused("score", path, "--config", config, "--out", out)


def test_a_line_is_scored_before_the_next_has_come(started, config, trajectory):
    with started("score", "-", "--config", config) as process:
        for name in ("a", "b"):
            process.stdin.write(json.dumps(trajectory(name)).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == name
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    "command",
    ["score - --out in.jsonl < in.jsonl", "score in.jsonl >> in.jsonl", "score - < in.jsonl >> in.jsonl"],
)
def test_the_input_is_never_overwritten_by_way_of_the_shell(shell, config, trajectory, lines, command):
    path = lines(trajectory("a"), name="in.jsonl")
    before = path.read_bytes()
    result = shell(f"scribe {command.replace('score', 'score --config scorer.toml')}")
    assert result.returncode == 2
    assert "is the input; write somewhere else" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("out", ["x" * 300, "in.jsonl/x", ".", ""])
def test_out_that_no_file_can_be(refused, trajectory, lines, config, tmp_path, out):
    path = lines(trajectory("a"), name="in.jsonl")
    assert "cannot be written" in refused("score", path, "--config", config, "--out", out, cwd=tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl", "scorer.toml"]


def test_out_by_a_link_is_written_where_it_leads(scribe, trajectory, lines, config, tmp_path):
    path, target, link = lines(trajectory("a")), tmp_path / "target", tmp_path / "link"
    target.write_text("earlier\n")
    link.symlink_to(target)
    assert scribe("score", path, "--config", config, "--out", link).returncode == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())["id"] == "a"


def test_a_part_that_breaks_on_one_trajectory_costs_only_that_one(done, trajectory, lines, config, tmp_path):
    (tmp_path / "mine.py").write_text(FRAGILE)
    path = lines(trajectory("a"), trajectory("b", "boom"), trajectory("c"))
    options = ["--config", config, "--set", "scorer.segmenter=mine:Fragile"]
    shown = done("score", path, *options, code=1, cwd=tmp_path)
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert rows[1] == {"id": "b", "line": 2, "error": "ZeroDivisionError: boom"}
    assert rows[0]["reward"] == rows[2]["reward"] == 1.0


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("ZeroDivisionError('boom')", "ZeroDivisionError: boom"),
        ("SystemExit(0)", "SystemExit: 0"),
        ("ImportError('no torch')", "ImportError: no torch"),
    ],
)
def test_a_part_that_cannot_be_built_is_one_line(
    refused, scribe, trajectory, lines, config, tmp_path, raised, told
):
    (tmp_path / "mine.py").write_text(FRAGILE.replace("return self", f"raise {raised}"))
    arguments = ["score", lines(trajectory("a")), "--config", config]
    arguments += ["--set", "scorer.segmenter=mine:Fragile"]
    shown = refused(*arguments, cwd=tmp_path)
    assert shown == f"'mine:Fragile' cannot be built: {told}; `scribe -v` shows where"
    assert "mine.py" in scribe("-v", *arguments, cwd=tmp_path).stderr


def test_what_a_part_prints_stands_not_among_the_scores(scribe, done, trajectory, lines, config, tmp_path):
    (tmp_path / "quiet.py").write_text(FRAGILE)
    loud = "print('at import')\n" + FRAGILE.replace("return self", "print('at build'); return self")
    loud = loud.replace("if any", "print('at work')\n        if any")
    (tmp_path / "loud.py").write_text(loud)
    arguments = ["score", lines(trajectory("a")), "--config", config, "--set"]
    result = scribe(*arguments, "scorer.segmenter=loud:Fragile", cwd=tmp_path)
    assert result.stdout == done(*arguments, "scorer.segmenter=quiet:Fragile", cwd=tmp_path)
    assert result.stderr.splitlines() == ["at import", "at build", "at work"]


FRAGILE = """
from typing import ClassVar
from attrs import frozen
from scribe_core.spans import whole

@frozen
class Fragile:
    name: ClassVar[str] = "fragile"
    def build(self):
        return self
    async def segment(self, trajectories):
        if any("boom" in each.messages[-1].content for each in trajectories):
            raise ZeroDivisionError("boom")
        return [[whole(each)] for each in trajectories]
"""


def test_an_empty_file_leaves_earlier_results_alone(refused, lines, tmp_path):
    kept = tmp_path / "out.jsonl"
    kept.write_text("earlier\n")
    assert "holds no trajectories" in refused("score", lines(), "--out", kept)
    assert kept.read_text() == "earlier\n"


def test_what_a_model_took_is_told_at_the_end(scribe, trajectory, lines, config, tmp_path):
    """It answers the first, fails on the second, and cannot be read on the third, twice."""
    (tmp_path / "mine.py").write_text(ASKED)
    path = lines(trajectory("a"), trajectory("b", "please boom"), trajectory("c", "please garble"))
    options = ["--config", config, "--set", "scorer.judge=mine:Asked"]
    result = scribe("score", path, *options, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == (
        "judged: 1 scored, 1 abstained, 1 failed; 4 calls, 40 + 4 tokens, 0.0200 USD; 0 verdicts from the cache\n"
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["subgoals"][0]["status"] for row in rows] == ["scored", "failed", "abstained"]


ASKED = """
from typing import ClassVar
from attrs import frozen
from scribe_core.judging import CallError, ModelJudge, Reply
from scribe_core.testing import ScriptedEndpoint
from scribe_core.types import Usage

USAGE = Usage(calls=1, prompt_tokens=10, completion_tokens=1, usd=0.005)

def reply(prompt, sample):
    if "boom" in prompt.user:
        raise CallError("gone", USAGE)
    text = "never" if "garble" in prompt.user else '{"rude": "absent", "cold": "absent"}'
    return Reply(text=text, usage=USAGE)

@frozen
class Asked:
    name: ClassVar[str] = "asked"
    def build(self):
        return ModelJudge(endpoint=ScriptedEndpoint(reply))
"""
