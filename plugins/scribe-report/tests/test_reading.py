import json

import pytest
from scribe_report import read_run

from scribe_core.errors import DataError


def append(path, *lines):
    with path.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def test_a_run_as_the_trainer_writes_it(make_run):
    run = read_run(make_run("grpo-7", steps=3, evaluations=[(2, 1.0, 4), (0, 0.0, 4)]))
    assert run.name == "grpo-7"
    assert [step.number for step in run.steps] == [1, 2, 3]
    assert run.planned_steps == 3
    assert run.finished
    assert {"reward", "outcome", "process", "truncated", "loss", "kl"} <= set(run.steps[0].values)
    assert not {"step", "steps", "time", "elapsed", "seconds", "skills"} & set(run.steps[0].values)
    assert [(each.step, each.split, len(each.scored)) for each in run.snapshots] == [
        (0, "validation", 4),
        (2, "validation", 4),
    ]
    assert run.snapshots[1].label == "grpo-7, step 2"
    assert [row.trajectory.outcome for row in run.snapshots[1].scored] == [1.0] * 4


def test_time_is_summed_by_activity(make_run):
    run = read_run(make_run(steps=2, evaluations=[(2, 1.0, 1)]))
    assert run.seconds["generation"] == pytest.approx(6.2)
    assert run.seconds["training"] == pytest.approx(4.4)
    assert run.seconds["evaluation"] == pytest.approx(42.5)
    assert "other" not in run.seconds


def test_time_that_no_event_accounts_for_is_other_and_a_resumed_run_has_two_clocks(tmp_path):
    write_events(
        tmp_path,
        {"event": "run_started", "elapsed": 1.0},
        {"event": "step", "step": 1, "elapsed": 10.0, "seconds": {"training": 4.0}},
        {"event": "run_started", "elapsed": 2.0},
        {"event": "step", "step": 2, "elapsed": 20.0, "seconds": {"training": 5.0}},
    )
    assert read_run(tmp_path).seconds == {"training": 9.0, "other": 21.0}


def test_the_last_of_several_events_of_a_step_counts(tmp_path):
    write_events(
        tmp_path,
        {"event": "step", "step": 1, "reward": 0.1},
        {"event": "step", "step": 2, "reward": 0.2},
        {"event": "step", "step": 2, "reward": 0.7, "kl": 3},
        {"event": "step", "step": 3, "reward": None},
    )
    assert [step.values for step in read_run(tmp_path).steps] == [
        {"reward": 0.1},
        {"reward": 0.7, "kl": 3.0},
        {},
    ]


def write_events(folder, *events):
    (folder / "manifest.json").write_text("{}")
    append(folder / "events.jsonl", *events)


def test_a_run_without_events_or_evaluations_is_empty(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    run = read_run(tmp_path, "named")
    assert (run.name, run.steps, run.snapshots, run.seconds, run.finished) == ("named", (), (), {}, False)


def test_a_line_that_a_kill_cut_short_is_not_there_yet(make_run):
    folder = make_run(steps=2, evaluations=[(2, 1.0, 2)])
    append(folder / "events.jsonl", b'{"event": "step", "step": 3, "rew')
    assert [step.number for step in read_run(folder).steps] == [1, 2]


def test_what_is_unknown_is_left_out(tmp_path):
    write_events(
        tmp_path,
        {"event": "the weather", "step": "fine"},
        {"no": "event"},
        {"event": "step", "step": 1, "note": "text", "flag": True, "nested": {"a": 1}, "loss": 2},
    )
    assert read_run(tmp_path).steps[0].values == {"loss": 2.0}


def test_an_evaluation_whose_name_holds_no_step(make_run):
    folder = make_run(evaluations=[(0, 1.0, 2)])
    evaluation = folder / "evaluations" / "step-000000-validation.jsonl"
    evaluation.rename(evaluation.with_name("test.jsonl"))
    (found,) = read_run(folder).snapshots
    assert (found.split, found.step, found.label) == ("test", None, "run")


MANIFESTS = {
    "missing": None,
    "empty": b"",
    "not JSON": b"{",
    "no object": b"[]",
    "not UTF-8": b'{"config": "\xff"}',
    "NaN": b'{"config": {"x": NaN}}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "config is no table": b'{"config": [1]}',
    "versions are no table": b'{"versions": "1.0"}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json: "):
        read_run(tmp_path)


EVENTS = {
    "not JSON": b"{\n",
    "empty line": b"\n",
    "no object": b"[1]\n",
    "not UTF-8": b'"\xff"\n',
    "NaN": b'{"event": "step", "step": 1, "reward": NaN}\n',
    "overflow": b'{"event": "step", "step": 1, "loss": 1e999}\n',
    "huge integer": b'{"event": "step", "step": 1, "loss": ' + b"9" * 400 + b"}\n",
    "endless integer": b'{"event": "step", "step": ' + b"9" * 10_000 + b"}\n",
    "deep": b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}\n",
    "key twice": b'{"event": "step", "event": "step"}\n',
    "no step": b'{"event": "step"}\n',
    "step is a text": b'{"event": "step", "step": "1"}\n',
    "step is true": b'{"event": "step", "step": true}\n',
    "negative step": b'{"event": "step", "step": -1}\n',
    "reward is a text": b'{"event": "step", "step": 1, "reward": "high"}\n',
    "steps are a text": b'{"event": "run_started", "steps": "many"}\n',
    "seconds are a list": b'{"event": "step", "step": 1, "seconds": [1]}\n',
    "negative time": b'{"event": "evaluation", "seconds": {"evaluation": -1}}\n',
    "elapsed is a text": b'{"event": "evaluation", "elapsed": "long"}\n',
}


@pytest.mark.parametrize("line", EVENTS.values(), ids=EVENTS)
def test_a_wrong_event_is_named_by_file_and_line(make_run, line):
    folder = make_run(steps=1)
    count = len((folder / "events.jsonl").read_bytes().splitlines())
    append(folder / "events.jsonl", line)
    with pytest.raises(DataError, match=rf"events\.jsonl:{count + 1}: "):
        read_run(folder)


def test_a_folder_in_place_of_a_log(make_run):
    folder = make_run(steps=1)
    (folder / "events.jsonl").unlink()
    (folder / "events.jsonl").mkdir()
    with pytest.raises(DataError, match=r"events\.jsonl: cannot be read"):
        read_run(folder)


def changed(record, path, value):
    *parents, last = path
    inner = record
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return record


JUDGED = ("score", "subgoals", 0)
RECORDS = {
    "no trajectory": (("trajectory",), None),
    "a message without a role": (("trajectory", "messages", 0), {}),
    "an impossible outcome": (("trajectory", "outcome"), 7),
    "no score": (("score",), None),
    "subgoals are a text": (("score", "subgoals"), "abc"),
    "reward is a text": (("score", "reward"), "high"),
    "process is true": (("score", "process"), True),
    "a score beyond 3": ((*JUDGED, "score"), 4),
    "an unknown status": ((*JUDGED, "status"), "praised"),
    "a status that is a list": ((*JUDGED, "status"), []),
    "a skill that is a list": ((*JUDGED, "skill"), ["a"]),
    "a reason that is an object": ((*JUDGED, "reason"), {}),
    "failure modes that are numbers": ((*JUDGED, "failure_modes"), [1]),
    "failed checks that are a number": ((*JUDGED, "failed_checks"), 1),
    "a span without an end": ((*JUDGED, "span"), {"start": [0, 0]}),
    "a span of texts": ((*JUDGED, "span"), {"start": "a", "end": "b"}),
}


@pytest.mark.parametrize(("path", "value"), RECORDS.values(), ids=RECORDS)
def test_a_wrong_evaluation_is_named_by_file_and_line(make_run, path, value):
    folder = make_run(evaluations=[(0, 1.0, 3)])
    file = folder / "evaluations" / "step-000000-validation.jsonl"
    lines = file.read_text().splitlines()
    record = json.loads(lines[1])
    record["score"]["subgoals"][0] |= {"status": "scored", "score": 3}
    assert read_run(folder)
    lines[1] = json.dumps(changed(record, path, value))
    file.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DataError, match=r"step-000000-validation\.jsonl:2: (trajectory|score)"):
        read_run(folder)
