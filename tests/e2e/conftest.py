import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
"""One thread: another number of them adds up floats in another order."""


class Scribe:
    """Runs the command: scribe("train", "base.toml", cwd=..., kill=("module:function", calls), episodes=file)."""

    def __init__(self, folder):
        self.folder = folder
        command = [sys.executable, str(HERE / "zygote.py")]
        self.zygote = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )

    def __call__(self, *arguments, cwd, kill=None, episodes=None):
        ((code, out, err),) = self.together(*arguments, cwd=cwd, kill=kill, episodes=episodes, processes=1)
        return subprocess.CompletedProcess(arguments, code, out, err)

    def together(self, *arguments, cwd, kill=None, episodes=None, processes=2, launcher=()):
        """(exit code, stdout, stderr) of each of several processes of one run; the last is killed.

        `launcher` are further variables of the environment, as a launcher sets them.
        """
        out, err = self.folder / "stdout", self.folder / "stderr"
        order = {"arguments": arguments, "cwd": cwd, "kill": kill, "episodes": episodes}
        order |= {"processes": processes, "launcher": dict(launcher)}
        order |= {"stdout": out, "stderr": err}
        self.zygote.stdin.write(json.dumps(order, default=str) + "\n")
        self.zygote.stdin.flush()
        codes = json.loads(self.zygote.stdout.readline())
        ends = ["", *(f"-{index}" for index in range(1, processes))]
        told = [
            tuple((self.folder / f"{name}{end}").read_text() for name in ("stdout", "stderr")) for end in ends
        ]
        return [(code, *texts) for code, texts in zip(codes, told, strict=True)]

    def started(self, *arguments, cwd, **variables):
        """The process of a command that is started as a user starts it."""
        command = [sys.executable, "-m", "scribe_core.cli.main", *arguments]
        return subprocess.Popen(
            command, cwd=cwd, env=ENVIRONMENT | variables, stderr=subprocess.PIPE, text=True
        )

    def close(self):
        self.zygote.stdin.close()
        self.zygote.wait()
        self.zygote.stdout.close()


@pytest.fixture(scope="session")
def scribe(tmp_path_factory):
    runner = Scribe(tmp_path_factory.mktemp("scribe"))
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def warm(tmp_path_factory, scribe):
    """A folder with a tiny model that has learnt from demonstrations, and configs to go on from there."""
    from scribe_policy_hf.testing import tiny_model

    folder = tmp_path_factory.mktemp("warm") / "workplace"
    shutil.copytree(HERE / "workplace", folder, ignore=shutil.ignore_patterns("__pycache__"))
    tiny_model(folder / "tiny")
    done = scribe("train", "base.toml", "sft.toml", "--run", "sft", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def train():
    """The command that goes on from the warm start."""
    return "train", "base.toml", "grpo.toml", "--run", "grpo"


@pytest.fixture(scope="session")
def unkilled(tmp_path_factory, warm, scribe, train):
    """The same, with a finished run that was never interrupted."""
    folder = tmp_path_factory.mktemp("unkilled") / "workplace"
    shutil.copytree(warm, folder)
    done = scribe(*train, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def workplace(tmp_path, warm):
    """A copy of `warm` to work in."""
    return shutil.copytree(warm, tmp_path / "workplace")


@pytest.fixture
def trained(tmp_path, unkilled):
    """A copy of `unkilled` to work in."""
    return shutil.copytree(unkilled, tmp_path / "workplace")
