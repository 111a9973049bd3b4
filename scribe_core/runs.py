"""A run's folder: what was configured, what happened, and what is needed to go on after a kill.

    manifest.json        resolved config, versions, seed, library digest
    events.jsonl         one line an event, appended
    trajectories.jsonl   {"step", "trajectory"}: each rollout as soon as it has finished
    scores.jsonl         {"step", "library", "score"}: its judgements and reward, and the library's digest
    library/             step-000000 and one after each refresh, where there are any: the library's skill files
    evaluations/         one JSONL file per evaluation: {"trajectory", "score"}; while it is under way, and until
                         none of its rollouts is broken, also NAME.unfinished: {"of", "usage", "trajectory"}
    checkpoints/         step-000050/policy (loads with from_pretrained), /optimizer, /state.json

Logs only grow; a line cut short by a kill is dropped when the run is opened again.
"""

import json
import platform
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from attrs import asdict, frozen

from scribe_core.errors import ConfigError, DataError
from scribe_core.records import drop_partial_line, dumps, read_json, read_jsonl, replace, write_json
from scribe_core.scorer import restore, score_record
from scribe_core.trajectories import dump_trajectory, parse_trajectory
from scribe_core.types import Scored, Trajectory, Usage

if TYPE_CHECKING:
    from scribe_core.config import Config

MANIFEST = "manifest.json"

MAY_CHANGE = ("training.steps", "training.minutes", "training.checkpoint_every", "trackers")
"""What of a config may be another when a run goes on: keys, or whole tables."""

_RENAME = "choose another name: --run NAME to train, --as NAME to evaluate"


@frozen(kw_only=True)
class Checkpoint:
    """A saved state of a run: the weights in `path`/policy, the optimizer's state in `path`/optimizer."""

    path: Path
    step: int
    policy_version: int

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in a folder. Raises DataError where its state.json is not what a run wrote."""
        match read_json(path / "state.json"):
            case {"step": int(step), "policy_version": int(version)} if step >= 0 and version >= 0:
                return cls(path=path, step=step, policy_version=version)
        raise DataError(
            f"{path / 'state.json'}: needs step and policy_version, integers from 0; without the folder "
            f"{path.name} the run goes on from the checkpoint before, or from its beginning"
        )


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints in a run's folder, oldest first."""
    found = [path for path in (run / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


class RunFolder:
    """An open run; used by one process at a time."""

    def __init__(
        self,
        path: Path,
        manifest: Mapping[str, Any],
        resume: bool,
        may_change: Collection[str] = MAY_CHANGE,
    ) -> None:
        """Creates the folder, or opens it again where `resume` is set and the manifest agrees.

        Raises ConfigError where the run exists and is not to be resumed, is in use, or was configured differently
        in anything but `may_change`.
        """
        self.path = path
        if (path / MANIFEST).exists():
            if not resume:
                raise ConfigError(
                    f"{path}: this run exists; pass --resume to go on with it, or another --run name"
                )
            _check_same(path, read_json(path / MANIFEST), manifest, may_change)
        path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path / "lock")
        for name in ("events.jsonl", "trajectories.jsonl", "scores.jsonl"):
            drop_partial_line(path / name)
        for draft in (path / "checkpoints").glob("draft-*"):
            shutil.rmtree(draft)
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

    def log_score(self, step: int, scored: Scored, library: str) -> None:
        """`library` is the digest of the library that judged it."""
        self._append("scores.jsonl", {"step": step, "library": library, "score": score_record(scored)})

    def replay(self, after: int) -> tuple[dict[int, dict[str, Trajectory]], dict[str, Scored]]:
        """(finished rollouts by step and id, scored ones by id) of the steps after `after`; broken ones are played again."""
        rollouts: dict[int, dict[str, Trajectory]] = {}
        scored: dict[str, Scored] = {}
        by_id: dict[str, Trajectory] = {}
        for where, step, value in _steps(self.path / "trajectories.jsonl", "trajectory"):
            if step > after:
                trajectory = read_trajectory(where, value)
                if trajectory.status == "error":
                    continue
                rollouts.setdefault(step, {}).setdefault(trajectory.id, trajectory)
                by_id.setdefault(trajectory.id, trajectory)
        for where, step, value in _steps(self.path / "scores.jsonl", "score"):
            if step > after and (known := by_id.get(str(value.get("id")))):
                scored[known.id] = _scored(where, known, value)
        return rollouts, scored

    def write_evaluation(self, name: str, scored: Collection[Scored]) -> Path:
        """Writes one evaluation, whole or not at all; an earlier one of the same name makes way for it."""
        path = self.path / _evaluation(name, "jsonl")
        path.parent.mkdir(exist_ok=True)
        records = ({"trajectory": dump_trajectory(s.trajectory), "score": score_record(s)} for s in scored)
        replace(path, "".join(f"{dumps(record)}\n" for record in records))
        if all(s.trajectory.status != "error" for s in scored):
            self._remove(_evaluation(name, "unfinished"))
        return path

    def log_evaluated(self, name: str, of: str, trajectory: Trajectory, usage: Usage) -> None:
        """Keeps a rollout of an evaluation under way; `of` is what it follows from, `usage` what all took so far."""
        (self.path / "evaluations").mkdir(exist_ok=True)
        record = {"of": of, "usage": asdict(usage), "trajectory": dump_trajectory(trajectory)}
        self._append(_evaluation(name, "unfinished"), record)

    def evaluated(self, name: str, of: str) -> tuple[dict[str, Trajectory], Usage]:
        """The rollouts by id that an evaluation has played before it was killed, and what they took."""
        path = self.path / _evaluation(name, "unfinished")
        drop_partial_line(path)
        played: dict[str, Trajectory] = {}
        usage = Usage()
        for where, record in read_jsonl(path):
            if record.get("of") == of:
                trajectory = read_trajectory(where, record.get("trajectory"))
                played[trajectory.id] = trajectory
                usage = _usage(where, record.get("usage"))
        return played, usage

    def checkpoint(self, step: int, version: int, save: Callable[[Path], None]) -> Path:
        """`save` fills the folders policy and optimizer; the checkpoint appears whole or not at all, older ones go.

        A step that has its checkpoint keeps it: nothing has been learnt since.
        """
        final = self.path / "checkpoints" / f"step-{step:06d}"
        if final not in self.checkpoints():
            draft = final.with_name(f"draft-{step:06d}")
            (draft / "policy").mkdir(parents=True)
            (draft / "optimizer").mkdir()
            save(draft)
            write_json(draft / "state.json", {"step": step, "policy_version": version})
            draft.rename(final)
        for old in self.checkpoints()[:-1]:
            shutil.rmtree(old)
        return final

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return checkpoints(self.path)

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest complete checkpoint. Raises DataError where it is damaged."""
        found = self.checkpoints()
        return Checkpoint.read(found[-1]) if found else None

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._lock.close()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if name not in self._files:
            self._files[name] = (self.path / name).open("a", encoding="utf-8", errors="replace")
        self._files[name].write(f"{dumps(record)}\n")
        self._files[name].flush()

    def _remove(self, name: str) -> None:
        if name in self._files:
            self._files.pop(name).close()
        (self.path / name).unlink(missing_ok=True)


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


def pinned_policy(config: "Config", run: Path) -> Any:
    """The policy's builder, with what its options stood for when the run began.

    A builder may have `pinned() -> Self` for options that come to mean something else, such as a run's last checkpoint.
    """
    if (run / MANIFEST).exists():
        manifest = read_json(run / MANIFEST)
        if isinstance(manifest, dict) and isinstance(manifest.get("policy"), dict):
            return type(config).from_table({"policy": manifest["policy"]}).policy
        return config.policy
    return pinned(config.policy)


def pinned(builder: Any) -> Any:
    """A policy's builder with what its options stand for now."""
    return builder.pinned() if hasattr(builder, "pinned") else builder


def _evaluation(name: str, kind: str) -> str:
    return "evaluations/" + re.sub(r"[^\w.-]", "-", name) + f".{kind}"


def _usage(where: str, value: Any) -> Usage:
    match value:
        case {"calls": int(calls), "prompt_tokens": int(into), "completion_tokens": int(out), "usd": usd} if (
            usd is None or type(usd) in (int, float)
        ):
            return Usage(calls=calls, prompt_tokens=into, completion_tokens=out, usd=usd)
    raise DataError(f"{where}: usage: needs calls, prompt_tokens, completion_tokens and usd, numbers")


def _steps(path: Path, key: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Where it stands, the step, and the object under `key`, of each line of a log."""
    for where, record in read_jsonl(path):
        step, value = record.get("step"), record.get(key)
        if type(step) is not int or not isinstance(value, dict):
            raise DataError(f"{where}: needs step, an integer, and {key}, an object")
        yield where, step, value


def read_trajectory(where: str, value: Any) -> Trajectory:
    """The trajectory that a log holds. Raises DataError that says where it is wrong."""
    try:
        return parse_trajectory(value)
    except DataError as error:
        raise DataError(f"{where}: trajectory: {error}") from error


def _scored(where: str, trajectory: Trajectory, value: Mapping[str, Any]) -> Scored:
    try:
        scored = restore(trajectory, value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: score: not as a run writes it ({error!r})") from error
    reward = scored.reward
    for number in (reward.value, reward.process, reward.outcome):
        if number is not None and type(number) not in (int, float):
            raise DataError(f"{where}: score: {number!r} is no reward; expected a number or null")
    return scored


def _check_same(path: Path, old: Any, new: Mapping[str, Any], may_change: Collection[str]) -> None:
    if not isinstance(old, dict) or not isinstance(old.get("config"), dict):
        raise DataError(f"{path / MANIFEST}: expected an object with a config; is {path} a run's folder?")
    keys = set(_differences(old["config"], json.loads(dumps(new["config"]))))
    changed = sorted(
        key for key in keys if not any(key == free or key.startswith(f"{free}.") for free in may_change)
    )
    if changed:
        raise ConfigError(
            f"{path}: this run began with another config; changed: {', '.join(changed)}; undo that, or {_RENAME}"
        )
    if old.get("library_digest") != new["library_digest"]:
        raise ConfigError(f"{path}: the skill library has changed since this run began; {_RENAME}")


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
        raise ConfigError(
            f"{path.parent}: another process is using this run; wait for it, or {_RENAME}"
        ) from error
    return file
