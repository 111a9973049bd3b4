import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import pytest
import structlog

from scribe_core.cli.main import main
from scribe_core.registry import Registry

PLUGINS = Path(__file__).parent.parent / "broken_plugin"
SKILLS = PLUGINS / "skills"


@cache
def registry_with_works():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PLUGINS / "works"))
        return type("Fresh", (Registry,), {}).installed()


def run(*arguments, **options):
    """Runs the command, in a process of its own where anything but the arguments matters."""
    if options:
        return run_apart(*arguments, **options)
    registry = registry_with_works()
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(Registry, "installed", lambda: registry)
        code = main([str(each) for each in arguments])
    structlog.reset_defaults()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_apart(*arguments, cwd=None, text=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "scribe_core.cli.main", *map(str, arguments)],
        cwd=cwd,
        env=environment(**options),
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def environment(plugins=("works",), **variables):
    """Environment variables with which some of the plugins stand beside what is installed."""
    path = os.pathsep.join(str(PLUGINS / name) for name in plugins)
    return os.environ | {"PYTHONPATH": path} | variables


@pytest.fixture
def scribe():
    """Runs the command: scribe("score", path, plugins=[...], cwd=..., text=..., VARIABLE=...)."""
    return run


@pytest.fixture
def shell(tmp_path):
    """Runs a line of shell, in which `scribe` is the command, in the test's folder."""

    def run_line(line):
        function = f'scribe() {{ "{sys.executable}" -m scribe_core.cli.main "$@"; }}'
        options = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True}
        return subprocess.run(["/bin/sh", "-c", f"{function}; {line}"], **options)

    return run_line


@pytest.fixture
def started():
    """Starts the command and gives its process."""

    def start(*arguments):
        command = [sys.executable, "-m", "scribe_core.cli.main", *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # A shell starts background jobs with interrupts ignored, and their children would inherit that.
        return subprocess.Popen(command, env=environment(), preexec_fn=_heed_interrupts, **pipes)

    return start


def _heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def done():
    """What it printed, if it exited as expected and said nothing else."""

    def printed(*arguments, code=0, **options):
        result = run(*arguments, **options)
        assert (result.returncode, result.stderr) == (code, "")
        return result.stdout

    return printed


@pytest.fixture
def refused():
    """Its error lines, without the prefix; nothing may stand on stdout and no traceback anywhere."""

    def told(*arguments, code=2, **options):
        result = run(*arguments, **options)
        assert (result.returncode, result.stdout) == (code, ""), result.stderr
        lines = result.stderr.splitlines()
        assert all(line.startswith("scribe: error: ") for line in lines), result.stderr
        return "\n".join(line.removeprefix("scribe: error: ") for line in lines)

    return told


@pytest.fixture
def skills():
    """A folder of skill files that need the plugin `works`."""
    return SKILLS


@pytest.fixture
def config(tmp_path):
    """A config with that library."""
    path = tmp_path / "scorer.toml"
    path.write_text(f'[scorer]\nlibraries = [{{use = "folder", path = {json.dumps(str(SKILLS))}}}]\n')
    return path


@pytest.fixture
def trajectory():
    """The JSON object of a trajectory of one turn, which is judged by whether it says please."""

    def made(name, text="please sit", **changes):
        messages = [{"role": "user", "content": "Ask me."}, {"role": "assistant", "content": text}]
        return {"id": name, "messages": messages, **changes}

    return made


@pytest.fixture
def lines(tmp_path):
    """Writes values, or bytes as they are, to a file: one a line."""

    def written(*values, name="trajectories.jsonl"):
        path = tmp_path / name
        texts = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
        path.write_bytes(b"\n".join(texts) + b"\n")
        return path

    return written
