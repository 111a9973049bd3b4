"""The parts that installed packages offer, by kind and name.

A plugin is loaded by itself and each of its hooks is called by itself, so that a broken one becomes a
`Problem` and everything else works. Records are named tuples, which keeps attrs out of `scribe --help`.
"""

import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from scribe_core import hookspecs
from scribe_core.errors import ConfigError, suggest
from scribe_core.hookspecs import GROUP, KINDS
from scribe_core.references import resolve

if TYPE_CHECKING:
    from scribe_core.options import Option

BLOCK = "SCRIBE_BLOCK"
"""The environment variable that turns plugins off: names of distributions, separated by commas."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Problem(NamedTuple):
    """What is wrong with a plugin; shown by `scribe doctor` and named in "unknown name" errors."""

    dist: str
    version: str
    entry_point: str
    message: str
    traceback: str = ""


class Record(NamedTuple):
    """One builder class that a plugin offers."""

    kind: str
    name: str
    dist: str
    version: str
    builder: type[Any]

    @property
    def ref(self) -> str:
        """The name that is unique even where two plugins offer one name."""
        return f"{self.dist}/{self.name}"

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring."""
        return inspect.cleandoc(self.builder.__doc__ or "").partition("\n")[0]

    @property
    def options(self) -> "dict[str, Option]":
        """What a config may set, by name."""
        from scribe_core.options import options

        return options(self.builder)


class _Plugin(NamedTuple):
    dist: str
    version: str
    entry_point: str

    def problem(self, message: str, error: BaseException | None = None) -> Problem:
        if error is None:
            return Problem(*self, message)
        last = traceback.format_exception_only(error)[-1].strip()
        text = f"{message}: {last}" if message else last
        return Problem(*self, _short(text), "".join(traceback.format_exception(error)))


class Registry:
    """Builder classes by kind and name. `Registry.installed()` holds what is installed, `Registry()` nothing."""

    def __init__(self, blocked: Iterable[str] = ()) -> None:
        self.blocked = frozenset(map(normalised, blocked))
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, _Plugin] = {}
        self._records: dict[str, list[Record]] = {}
        self._problems: list[Problem] = []

    @classmethod
    @cache
    def installed(cls) -> "Registry":
        """The plugins of this environment, loaded once, without those that SCRIBE_BLOCK names."""
        registry = cls(filter(None, os.environ.get(BLOCK, "").split(",")))
        for plugin, entry_point in _entry_points(registry._problems):
            registry._load(plugin, entry_point)
        return registry

    def register(self, module: object, dist: str, version: str = "", entry_point: str = "") -> None:
        """Adds a plugin: a module, or any object with hook implementations. What is wrong becomes a problem."""
        plugin = _Plugin(normalised(dist), version, entry_point)
        if plugin.dist in self.blocked:
            return
        key = f"{plugin.dist}:{entry_point}" if plugin.dist in self._plugins else plugin.dist
        with self._guarded(plugin):
            self._manager.register(module, key)
            self._plugins[key] = plugin
            for message in _hook_problems(self._manager, module):
                self._report(plugin.problem(message))
        if key not in self._plugins and self._manager.has_plugin(key):
            self._manager.unregister(name=key)
        self._records.clear()

    def records(self, kind: str | None = None) -> list[Record]:
        """What is offered, sorted by name. A kind is loaded when it is first asked for."""
        if kind is None:
            return [record for each in KINDS for record in self.records(each)]
        if kind not in KINDS:
            raise ConfigError(f"there are no parts of kind {kind!r}{suggest(kind, KINDS)}")
        if kind not in self._records:
            self._records[kind] = self._call_hooks(kind)
        return self._records[kind]

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong with the plugins; loads all kinds to know."""
        self.records()
        return list(self._problems)

    def get(self, kind: str, ref: str) -> type[Any]:
        """The builder class that `ref` names: "name", "dist/name", or "module:Class" for unpackaged code."""
        records = self.records(kind)
        if ":" in ref:
            return _imported(kind, ref)
        matches = [record for record in records if ref in (record.name, record.ref)]
        if "/" in ref and not matches:
            dist, _, name = ref.rpartition("/")
            matches = [record for record in records if (record.dist, record.name) == (normalised(dist), name)]
        if not matches:
            hint = suggest(ref, {record.ref if "/" in ref else record.name for record in records})
            raise ConfigError(
                f"no installed plugin offers {ref!r} among its {kind.replace('_', ' ')}{hint}{self.caveats()}"
            )
        if len(matches) > 1:
            choices = " or ".join(repr(record.ref) for record in matches)
            raise ConfigError(f"{ref!r} is offered by {len(matches)} plugins; write {choices}")
        return matches[0].builder

    def ref(self, kind: str, builder: type[Any]) -> str:
        """The shortest text that `get` turns into this builder class."""
        records = self.records(kind)
        for record in records:
            if record.builder is builder:
                unique = sum(other.name == record.name for other in records) == 1
                return record.name if unique else record.ref
        return f"{builder.__module__}:{builder.__qualname__}"

    def caveats(self) -> str:
        """The end of an "unknown name" message: plugins that are turned off, and problems known so far."""
        text = f"; {BLOCK} turns off {', '.join(sorted(self.blocked))}" if self.blocked else ""
        for problem in self._problems[:3]:
            text += f"; plugin {problem.dist} {problem.version} has a problem: {problem.message}"
        return text + "; run `scribe doctor`" if self._problems else text

    @contextmanager
    def _guarded(self, plugin: _Plugin, doing: str = "") -> Iterator[None]:
        """Runs a plugin's code: what it raises becomes a problem, what it prints stays out of our output."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._report(plugin.problem(doing, error))

    def _report(self, problem: Problem) -> None:
        # A plugin that is registered late makes the hooks of the others be called once more.
        if problem not in self._problems:
            self._problems.append(problem)

    def _load(self, plugin: _Plugin, entry_point: EntryPoint) -> None:
        if plugin.dist in self.blocked:
            return
        with self._guarded(plugin):
            self.register(entry_point.load(), *plugin)

    def _call_hooks(self, kind: str) -> list[Record]:
        found: dict[tuple[str, str], Record] = {}
        for impl in getattr(self._manager.hook, f"scribe_{kind}").get_hookimpls():
            plugin = self._plugins[impl.plugin_name]
            with self._guarded(plugin, f"scribe_{kind}"):
                for builder in impl.function():
                    message = _builder_problem(kind, builder) or _add(found, kind, plugin, builder)
                    if message:
                        self._report(plugin.problem(f"scribe_{kind}: {message}"))
        return sorted(found.values(), key=lambda record: (record.name, record.dist))


def normalised(dist: str) -> str:
    """The name of a distribution as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", dist.strip()).lower()


def _add(found: dict[tuple[str, str], Record], kind: str, plugin: _Plugin, builder: type[Any]) -> str:
    record = Record(kind, builder.name, plugin.dist, plugin.version, builder)
    first = found.setdefault((record.dist, record.name), record)
    return "" if first.builder is builder else f"two parts are named {record.name!r}; the first one counts"


def _entry_points(problems: list[Problem]) -> Iterator[tuple[_Plugin, EntryPoint]]:
    seen = set()
    for dist in distributions():
        try:
            # Most distributions have no such group; parsing the metadata of all of them is slow.
            if GROUP not in (dist.read_text("entry_points.txt") or ""):
                continue
            entry_points = [entry for entry in dist.entry_points if entry.group == GROUP]
            metadata = dist.metadata
            name, version = normalised(metadata["Name"] or ""), str(metadata["Version"] or "")
        except Exception as error:
            problems.append(_Plugin("?", "", "").problem(f"{dist!r} cannot be read", error))
            continue
        if entry_points and name not in seen:
            seen.add(name)
            yield from ((_Plugin(name or "?", version, entry.name), entry) for entry in entry_points)


def _hook_problems(manager: pluggy.PluginManager, module: object) -> Iterator[str]:
    callers = manager.get_hookcallers(module) or []
    known = [f"scribe_{kind}" for kind in KINDS]
    if not callers:
        yield "it has no hook: mark functions such as scribe_judges with `scribe_core.hookimpl`"
    for caller in callers:
        if not caller.has_spec():
            hint = suggest(caller.name, known)
            yield f"unknown hook {caller.name!r}: a typo, or it needs a newer scribe-core{hint}"
    marked = {caller.name for caller in callers}
    for name in known:
        if name not in marked and callable(getattr(module, name, None)) and callers:
            yield f"{name} is not marked with `scribe_core.hookimpl`, so it is not used"


def _builder_problem(kind: str, builder: object) -> str:
    """Why a class cannot be a builder; empty if it can."""
    if not isinstance(builder, type):
        return f"{_short(repr(builder))} is not a class; yield the builder class itself"
    where = f"{builder.__module__}:{builder.__qualname__}"
    name = getattr(builder, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{where} needs a `name: ClassVar[str]` of a-z, 0-9, '.', '_' and '-'; it has {_short(repr(name))}"
    if not callable(getattr(builder, "build", None)):
        return f"{where} has no `build()`"
    # A command has no options, so that a plain class will do and `--help` need not import attrs.
    fields = getattr(builder, "__attrs_attrs__", () if kind == "commands" else None)
    if fields is None:
        return f"{where} is not an attrs class; write `@attrs.frozen` above it"
    return f"{where} has an option named 'use'" if any(each.alias == "use" for each in fields) else ""


def _imported(kind: str, ref: str) -> type[Any]:
    builder = resolve(ref, repr(ref))
    if message := _builder_problem(kind, builder):
        raise ConfigError(f"{ref!r} is not a builder: {message}")
    return builder  # type: ignore[no-any-return]


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
