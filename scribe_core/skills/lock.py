"""The lock file of a library: the digest of each prototype, of the code of the programs they name, and of all of it.

    {"schema_version": 1, "digest": ..., "prototypes": {id: {"version", "digest"}}, "programs": {name: package},
     "sources": {package: digest}}

A program is what its package makes of it, so what is hashed is every source file of the package.
"""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scribe_core.errors import ConfigError
from scribe_core.skills.library import Library
from scribe_core.spans import canonical_json

LOCK_FILE = "library.lock.json"
SCHEMA_VERSION = 1


def make_lock(library: Library, modules: Mapping[str, str]) -> dict[str, Any]:
    """The lock of a library; `modules` are the modules of the programs by name. Raises ConfigError for a missing one."""
    names = sorted(
        {item.program for p in library.values() for item in p.checks + p.failure_modes if item.program}
    )
    programs = {name: _module(name, modules, library).partition(".")[0] for name in names}
    content = {
        "schema_version": SCHEMA_VERSION,
        "prototypes": {id_: {"version": p.version, "digest": p.digest} for id_, p in library.items()},
        "programs": programs,
        "sources": {package: source_digest(package) for package in sorted(set(programs.values()))},
    }
    return {**content, "digest": hashlib.sha256(canonical_json(content).encode()).hexdigest()}


def lock_problems(old: Any, new: Mapping[str, Any]) -> Iterator[str]:
    """How a library differs from its lock file."""
    if not isinstance(old, dict) or not all(
        isinstance(old.get(key), dict) for key in ("prototypes", "sources")
    ):
        yield "it is no lock file; write it anew"
        return
    before, after = old["prototypes"], new["prototypes"]
    yield from (f"{id_}: not in the lock" for id_ in after if id_ not in before)
    yield from (f"{id_}: in the lock, but gone" for id_ in before if id_ not in after)
    for id_ in sorted(before.keys() & after.keys()):
        locked = before[id_] if isinstance(before[id_], dict) else {}
        if locked.get("digest") != after[id_]["digest"]:
            same = locked.get("version") == after[id_]["version"]
            yield f"{id_}: changed{', but its version is still ' + str(after[id_]['version']) if same else ''}"
    for package, digest in new["sources"].items():
        if old["sources"].get(package) != digest:
            yield f"the programs of {package} have changed"


def source_digest(package: str) -> str:
    """The sha256 of all source files of an importable package, or of a single module."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources(package)):
        data = path.read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _module(name: str, modules: Mapping[str, str], library: Library) -> str:
    module = name.partition(":")[0] if ":" in name else modules.get(name)
    if not module:
        raise ConfigError(f"{library.source}: there is no program {name!r}; install the package that has it")
    return module


def _sources(package: str) -> Iterator[tuple[str, Path]]:
    spec = find_spec(package)
    if spec is None:
        raise ConfigError(f"the package {package!r} of a program cannot be found; install it again")
    if spec.submodule_search_locations:
        for folder in map(Path, spec.submodule_search_locations):
            yield from ((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.py"))
    elif spec.origin:
        yield Path(spec.origin).name, Path(spec.origin)
