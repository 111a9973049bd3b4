"""The file behind a cache of replies: SQLite in WAL mode, which many processes read and write at once.

    replies     asked, revision -> reply, check, time    `asked` is a digest: the file holds neither prompts nor keys
    revisions   endpoint -> revision, time               what each endpoint last said of its model

Only replies of the revision that their endpoint reported last are read. A kill loses at most what was being written.
"""

import hashlib
import json
import os
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import structlog
from attrs import asdict, frozen

from scribe_core.errors import ConfigError
from scribe_core.judging.asking import Reply
from scribe_core.types import Usage

VERSION = 1
APPLICATION = int.from_bytes(b"scrb", "big")
PATIENCE_S = 10.0
"""How long another process may hold the file before a row is given up."""

_SCHEMA = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
    "CREATE TABLE IF NOT EXISTS replies (asked TEXT, revision TEXT, reply TEXT, checksum TEXT, time REAL, "
    "PRIMARY KEY (asked, revision))",
    "CREATE TABLE IF NOT EXISTS revisions (endpoint TEXT PRIMARY KEY, revision TEXT, time REAL)",
)
_READ = (
    "SELECT replies.revision, reply, checksum FROM revisions JOIN replies USING (revision) "
    "WHERE endpoint = ? AND asked = ?"
)
_WRITE = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)"
_REPORT = (
    "INSERT INTO revisions VALUES (?, ?, ?) ON CONFLICT (endpoint) "
    "DO UPDATE SET revision = excluded.revision, time = excluded.time WHERE revision IS NOT excluded.revision"
)

log = structlog.get_logger("scribe.judge")


@frozen
class _Row:
    """What is to be written: the revision of an endpoint, and, where `reply` is not empty, a reply."""

    endpoint: str
    asked: str
    revision: str
    reply: str


class ReplyFile:
    """An open file of replies, to be used by the process that opened it."""

    def __init__(self, path: Path) -> None:
        """Opens or creates it. Raises ConfigError where it is something else, or cannot be written."""
        self.path = path
        self.pid = os.getpid()
        _check_kind(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _connect(path)
            # Another connection, and an impatient one: reading stands in the way of everything else.
            self._reader = _connect(path)
            self._reader.execute("PRAGMA busy_timeout = 100")
        except (OSError, ValueError, sqlite3.Error) as error:
            raise _unusable(path, f"cannot be opened for writing: {error}") from error
        self._reading, self._queueing = Lock(), Lock()
        self._rows: list[_Row] = []
        self._written: Future[None] = Future()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scribe-cache")
        self._warned: set[str] = set()

    def read(self, endpoint: str, asked: str) -> Reply | None:
        """The reply to a question, by digests; None, and a warning, where it is damaged."""
        try:
            with self._reading:
                rows = self._reader.execute(_READ, (endpoint, asked)).fetchall()
        except sqlite3.Error as error:
            self._warn("cache_unreadable", error)
            return None
        if not rows:
            return None
        ((revision, text, checksum),) = rows
        if checksum != _checksum(asked, revision, text):
            log.warning("cache_row_damaged", path=str(self.path), asked=asked, action="asking again")
            return None
        kept = json.loads(text)
        return Reply(text=kept["text"], usage=Usage(**kept["usage"]), revision=revision)

    def write(self, endpoint: str, asked: str, reply: Reply, keep: bool) -> "Future[None]":
        """Writes a reply to keep, or only its revision. Done when a kill cannot undo it, or when it failed with a warning.

        A thread of its own writes what has come while it wrote what came before.
        """
        text = json.dumps({"text": reply.text, "usage": asdict(reply.usage)}) if keep else ""
        revision = reply.revision.encode("utf-8", "backslashreplace").decode()
        with self._queueing:
            if not self._rows:
                self._written = Future()
                # Whoever waits may be cancelled; what is written is not.
                self._written.set_running_or_notify_cancel()
                self._thread.submit(self._commit)
            self._rows.append(_Row(endpoint, asked, revision, text))
            return self._written

    def close(self) -> None:
        """A connection is not to be touched by a process that inherited it."""
        if self.pid == os.getpid():
            self._thread.shutdown()
            self._reader.close()
            self._writer.close()

    def _commit(self) -> None:
        with self._queueing:
            rows, self._rows, written = self._rows, [], self._written
        now = time.time()
        try:
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                self._writer.executemany(_REPORT, [(row.endpoint, row.revision, now) for row in rows])
                self._writer.executemany(
                    _WRITE,
                    [
                        (
                            row.asked,
                            row.revision,
                            row.reply,
                            _checksum(row.asked, row.revision, row.reply),
                            now,
                        )
                        for row in rows
                        if row.reply
                    ],
                )
        except sqlite3.Error as error:
            self._warn("cache_unwritable", error)
        finally:
            written.set_result(None)

    def _warn(self, event: str, error: sqlite3.Error) -> None:
        """Once for each problem: the judgements go on, and each of them may meet it."""
        if f"{event}: {error}" not in self._warned:
            self._warned.add(f"{event}: {error}")
            log.warning(event, path=str(self.path), problem=str(error), action="going on without it")


def _checksum(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _check_kind(path: Path) -> None:
    """Raises ConfigError where there is something else in this place, and leaves it as it is."""
    try:
        kind = _kind(path)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise _unusable(path, f"cannot be read as a cache: {error}") from error
    if kind is None:
        return
    application, version = kind
    if application != APPLICATION:
        raise _unusable(path, "is an SQLite file that something else wrote")
    if version != VERSION:
        raise _unusable(path, f"is a cache of format {version}, where this version of scribe has {VERSION}")


def _kind(path: Path) -> tuple[int, int] | None:
    """What wrote the file, and in which version; None where there is none yet."""
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return None
    if not path.is_file():
        raise ValueError("it is no file")
    # By SQLite, for closing a file in any other way drops the locks that this process has on it; and immutable,
    # for otherwise it might tidy up the journal of somebody else's database.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        ((application,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
    finally:
        connection.close()
    return application, version


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that has its tables; created by whichever process comes first."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        connection = sqlite3.connect(
            path, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False, cached_statements=8
        )
        try:
            _prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            # The change to WAL mode does not wait for other processes by itself.
            if _is_busy(error) and time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            raise
        return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        # Its kind is set together with its tables, and before WAL: it stands in the file itself as soon as they do.
        for statement in _SCHEMA:
            connection.execute(statement)
    ((journal,),) = connection.execute("PRAGMA journal_mode = WAL")
    if journal != "wal":
        raise sqlite3.NotSupportedError("its file system has no shared memory; a local disk has")
    # In WAL mode the file stays whole without a sync per commit.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_READ, ("", ""))


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _unusable(path: Path, problem: str) -> ConfigError:
    return ConfigError(
        f"cached: path {str(path)!r} {problem}; give the path of a new file or of a cache, on a local disk"
    )
