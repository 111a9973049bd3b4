"""A run's folder: what was configured, what happened, and what is needed to go on after a kill.

    manifest.json        resolved config, versions, seed, library digest
    events.jsonl         one line an event, appended
    trajectories.jsonl   {"step", "trajectory"}: each rollout as soon as it has finished
    scores.jsonl         {"step", "score"}: its judgements and reward
    evaluations/         one JSONL file per evaluation: {"trajectory", "score"}
    checkpoints/         step-000050/policy (loads with from_pretrained), /optimizer, /state.json

Logs only grow; a line cut short by a kill is dropped when the run is opened again.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from scribe_core.errors import ConfigError, DataError
from scribe_core.scorer import restore, score_record
from scribe_core.trajectories import dump_trajectory, parse_trajectory
from scribe_core.types import Scored, Trajectory

MANIFEST = "manifest.json"


class RunFolder:
    """An open run; used by one process at a time."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], resume: bool) -> None:
        """Creates the folder, or opens it again where `resume` is set and the manifest agrees.

        Raises ConfigError where the run exists and is not to be resumed, is in use, or was configured differently.
        """
        self.path = path
        if (path / MANIFEST).exists():
            if not resume:
                raise ConfigError(
                    f"{path}: this run exists; pass --resume to go on with it, or another --run name"
                )
            _check_same(path, read_json(path / MANIFEST), manifest)
        path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path / "lock")
        for name in ("events.jsonl", "trajectories.jsonl", "scores.jsonl"):
            _drop_partial_line(path / name)
        if not (path / MANIFEST).exists():
            write_json(path / MANIFEST, manifest)
        self._files: dict[str, IO[str]] = {}
        self._started = time.monotonic()

    def log(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Appends an event and returns it with the seconds since the run was opened."""
        record = {
            "time": round(time.time(), 3),
            "elapsed": round(time.monotonic() - self._started, 3),
            **event,
        }
        self._append("events.jsonl", record)
        return record

    def log_trajectory(self, step: int, trajectory: Trajectory) -> None:
        self._append("trajectories.jsonl", {"step": step, "trajectory": dump_trajectory(trajectory)})

    def log_score(self, step: int, scored: Scored) -> None:
        self._append("scores.jsonl", {"step": step, "score": score_record(scored)})

    def replay(self, after: int) -> tuple[dict[int, dict[str, Trajectory]], dict[str, Scored]]:
        """(finished rollouts by step and id, scored ones by id) of the steps after `after`."""
        rollouts: dict[int, dict[str, Trajectory]] = {}
        scored: dict[str, Scored] = {}
        by_id: dict[str, Trajectory] = {}
        for record in read_jsonl(self.path / "trajectories.jsonl"):
            if record["step"] > after:
                trajectory = parse_trajectory(record["trajectory"])
                rollouts.setdefault(record["step"], {}).setdefault(trajectory.id, trajectory)
                by_id.setdefault(trajectory.id, trajectory)
        for record in read_jsonl(self.path / "scores.jsonl"):
            if record["step"] > after and (known := by_id.get(record["score"]["id"])):
                scored[known.id] = restore(known, record["score"])
        return rollouts, scored

    def write_evaluation(self, name: str, scored: Iterable[Scored]) -> Path:
        """Writes one evaluation, whole or not at all."""
        path = self.path / "evaluations" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = (
            json.dumps(
                {"trajectory": dump_trajectory(s.trajectory), "score": score_record(s)}, allow_nan=False
            )
            for s in scored
        )
        _replace(path, "".join(f"{line}\n" for line in lines))
        return path

    def checkpoint(self, step: int, policy: Any, optimizer: Any, keep: int = 1) -> Path:
        """Saves weights and optimizer state; the folder appears whole or not at all, older ones are removed."""
        final = self.path / "checkpoints" / f"step-{step:06d}"
        draft = final.with_name(f"draft-{step:06d}")
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "policy").mkdir(parents=True)
        (draft / "optimizer").mkdir()
        policy.save(draft / "policy")
        optimizer.save(draft / "optimizer")
        write_json(draft / "state.json", {"step": step, "policy_version": policy.version})
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        for old in self.checkpoints()[:-keep]:
            shutil.rmtree(old)
        return final

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*"))

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._lock.close()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name not in self._files:
            self._files[name] = (self.path / name).open("a", encoding="utf-8")
        self._files[name].write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        self._files[name].flush()


def make_manifest(config: Mapping[str, Any], library_digest: str | None) -> dict[str, Any]:
    """What a run is made of, so that it can be repeated."""
    names = ("scribe-core", "torch", "transformers", "accelerate")
    plugins = {
        d.name for d in metadata.distributions() if any(e.group == "scribe_core" for e in d.entry_points)
    }
    versions = {}
    for name in sorted({*names, *plugins}):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "schema_version": 1,
        "config": config,
        "library_digest": library_digest,
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def read_json(path: Path) -> Any:
    """A JSON file of a run; DataError where it is not readable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a run's log; nothing where the log does not exist."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not a JSON line ({error})") from error
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: expected an object, found {type(record).__name__}")
            yield record


def write_json(path: Path, value: Any) -> None:
    _replace(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _drop_partial_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            position = start
        file.truncate(0)


def _check_same(path: Path, old: Any, new: Mapping[str, Any]) -> None:
    if not isinstance(old, dict):
        raise DataError(f"{path / MANIFEST}: expected an object, found {type(old).__name__}")
    changed = sorted(key for key in _differences(old.get("config"), new["config"]) if key not in _MAY_CHANGE)
    if changed:
        raise ConfigError(f"{path}: --resume needs the config it began with; changed: {', '.join(changed)}")
    if old.get("library_digest") != new["library_digest"]:
        raise ConfigError(
            f"{path}: the skill library has changed since this run began; use another --run name"
        )


_MAY_CHANGE = frozenset({"training.steps", "training.minutes", "training.checkpoint_every", "trackers"})


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {*old, *new}:
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif old != new:
        yield key


def _lock(path: Path) -> IO[str]:
    """Held until closed or the process ends, however it ends."""
    file = path.open("w")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError as error:
        file.close()
        raise ConfigError(f"{path.parent}: another process is using this run") from error
    return file
