import io
import json
import math
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scribe_core.builtin.trackers import ConsoleTracker, JsonlTracker
from scribe_core.errors import ConfigError

STEP = {
    "event": "step",
    "step": 3,
    "steps": 20,
    "reward": 0.25,
    "outcome": None,
    "process": math.nan,
    "skills": {"general": 2.5},
    "seconds": {"generation": 1.25, "scoring": 0.5},
}
EVENTS = [
    {"event": "run_started", "step": 0, "steps": 20},
    STEP,
    {"event": "evaluation", "step": 3, "steps": 20, "split": "[bold]test", "tasks": 150, "outcome": 0.5},
    {
        "event": "refresh",
        "step": 3,
        "changes": [
            {"kind": "add", "skill": "one", "refused": ""},
            {"kind": "retire", "skill": "two", "refused": "lint: no"},
        ],
    },
    {"event": "refresh", "step": 3, "changes": []},
    {"event": "checkpoint", "step": 3, "path": "runs/x/checkpoints/step-000003"},
    {"event": "something_new", "step": 3},
    {"event": "run_finished", "step": 3},
]
LINES = [
    "run started: 20 steps",
    "step 3/20  reward 0.250  outcome -  process -  1.8 s",
    "evaluation after step 3: 150 [bold]test tasks  outcome 0.500",
    "library after step 3: 2 proposal(s); taken up: add one",
    "library after step 3: 0 proposal(s); taken up: none",
    "checkpoint after step 3: runs/x/checkpoints/step-000003",
    "run finished after step 3",
]


def read(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_jsonl_appends_a_line_per_event_and_creates_the_folder(tmp_path):
    path = tmp_path / "some" / "folder" / "metrics.jsonl"
    for _ in range(2):
        tracker = JsonlTracker(path=str(path)).build()
        tracker.log({"event": "step", "step": 1, "text": "é\n"})
        tracker.close()
    assert read(path) == [{"event": "step", "step": 1, "text": "é\n"}] * 2


def test_jsonl_is_on_disk_after_each_event(tmp_path):
    tracker = JsonlTracker(path=str(tmp_path / "m.jsonl")).build()
    tracker.log({"event": "step"})
    assert read(tmp_path / "m.jsonl") == [{"event": "step"}]
    tracker.close()


def test_jsonl_writes_null_for_what_json_has_no_number_for(tmp_path):
    tracker = JsonlTracker(path=str(tmp_path / "m.jsonl")).build()
    tracker.log({"a": math.nan, "b": {"c": math.inf}, "d": (1.5, -math.inf), "e": Path("x"), "f": "\ud800"})
    tracker.close()
    assert read(tmp_path / "m.jsonl") == [{"a": None, "b": {"c": None}, "d": [1.5, None], "e": "x", "f": "?"}]


def test_jsonl_does_not_join_the_half_line_of_a_killed_run(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"event": "step"}\n{"event": "st')
    tracker = JsonlTracker(path=str(path)).build()
    tracker.log({"event": "run_started"})
    tracker.close()
    assert path.read_bytes() == b'{"event": "step"}\n{"event": "st\n{"event": "run_started"}\n'


@pytest.mark.parametrize("path", ["", ".", "file/inside", "nul\0byte"])
def test_jsonl_refuses_a_path_that_cannot_be_opened_before_the_run_begins(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="tracker jsonl: path"):
        JsonlTracker(path=path).build()


def test_console_prints_a_line_per_event_into_a_pipe(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    tracker = ConsoleTracker().build()
    for event in EVENTS:
        tracker.log(event)
    tracker.close()
    assert stream.getvalue().splitlines() == LINES


def test_console_says_where_a_run_goes_on(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    ConsoleTracker().build().log({"event": "run_started", "step": 7, "steps": 20})
    assert stream.getvalue() == "run resumed after step 7 of 20\n"


CODE = f"""
import math
from scribe_core.builtin.trackers import ConsoleTracker
nan = math.nan
tracker = ConsoleTracker().build()
for event in {EVENTS!r}:
    tracker.log(event)
tracker.close()
"""


def on_terminal(**variables):
    """What a process writes to a terminal."""
    master, slave = pty.openpty()
    received = []

    def receive():
        try:
            while data := os.read(master, 65536):
                received.append(data)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=receive)
    reader.start()
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"} | variables
    subprocess.run([sys.executable, "-c", CODE], stderr=slave, stdout=slave, env=environment, check=True)
    os.close(slave)
    reader.join()
    os.close(master)
    return b"".join(received).decode()


def test_console_shows_a_bar_on_a_terminal_and_the_other_events_above_it():
    shown = on_terminal()
    assert "\x1b[" in shown
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(r"training .* 3/20 reward 0\.250  outcome -  process -  1\.8 s", text)
    for line in (LINES[0], *LINES[2:]):
        assert line in text


def test_console_is_plain_on_a_dumb_terminal():
    shown = on_terminal(TERM="dumb")
    assert shown.splitlines() == LINES


def test_console_writes_no_escape_codes_into_a_pipe_whatever_the_environment():
    environment = os.environ | {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "CLICOLOR_FORCE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == ""
    assert done.stderr.splitlines() == LINES
