"""Files of records: JSON lines, a JSON document, or a zip archive of documents; read in bounds, never unpacked."""

import json
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from attrs import frozen

from scribe_core.errors import DataError
from scribe_core.strict_json import MAX_LINE_BYTES, lines, strict_json
from scribe_core.trajectories import LineError

MAX_MEMBERS = 100_000
MAX_UNPACKED_BYTES = 16 * 1024**3
"""Of all members of an archive together; each has the bound of a line."""

ZSTANDARD = 93


@frozen
class Record:
    """One record of a file: its number, its bytes (None: too long), and whether it is the `whole` file."""

    number: int
    data: bytes | LineError | None
    whole: bool = False

    def value(self, strict: bool) -> Any:
        """The JSON value, or a LineError. Unless `strict`, NaN and infinities are null, as Python writes them."""
        if isinstance(self.data, LineError):
            return self.data
        if self.data is None:
            return LineError(f"the line is longer than {MAX_LINE_BYTES} bytes; a line is one trajectory")
        try:
            return strict_json(self.data.decode(), refuse_nan=strict)
        except UnicodeDecodeError as error:
            return LineError(f"byte {error.start} of the line is not UTF-8")
        except ValueError as error:
            return LineError(f"not JSON: {error}")


def records(stream: BinaryIO) -> Iterator[Record]:
    """The records of a file. Raises DataError where it cannot be read at all."""
    peek: Callable[[int], bytes] | None = getattr(stream, "peek", None)
    head = peek(4)[:4] if peek else b""
    if head == b"PK\x03\x04":
        yield from _zipped(stream)
    elif head == b"PAR1":
        raise DataError(
            'a Parquet table; write it as JSON lines first: `python -c "import pandas; '
            "pandas.read_parquet('IN').to_json('OUT', orient='records', lines=True)\"`"
        )
    else:
        yield from _written(stream)


def _written(stream: BinaryIO) -> Iterator[Record]:
    """Lines, or one document, which begins with a line that holds a bracket alone."""
    found = lines(stream)
    begun: list[tuple[int, bytes | None]] = []
    for number, line in found:
        begun.append((number, line))
        if line is None or line.strip():
            break
    first = begun[-1][1] if begun else None
    if first is not None and first.strip() in (b"{", b"["):
        yield from _document(first + stream.read(MAX_LINE_BYTES + 1 - len(first)))
        return
    for number, line in chain(begun, found):
        if line is None or line.strip():
            yield Record(number, line)


def _document(data: bytes) -> Iterator[Record]:
    if len(data) > MAX_LINE_BYTES:
        raise DataError(f"a JSON document of more than {MAX_LINE_BYTES} bytes; write one record a line")
    whole = Record(1, data, whole=True)
    value = whole.value(strict=False)
    if not isinstance(value, list):
        yield whole
        return
    for number, item in enumerate(value, 1):
        yield Record(number, json.dumps(item, ensure_ascii=False).encode())


def _zipped(stream: BinaryIO) -> Iterator[Record]:
    if not stream.seekable():
        raise DataError("a zip archive through a pipe; give the file by its name")
    try:
        archive = ZipFile(stream)
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"not a readable zip archive: {error}") from error
    members = {
        info.filename: info for info in archive.infolist() if fnmatchcase(info.filename, "samples/*.json")
    }
    if len(members) > MAX_MEMBERS:
        raise DataError(f"an archive of {len(members)} samples; {MAX_MEMBERS} are the most")
    unpacked = 0
    for number, info in enumerate(members.values(), 1):
        data = _member(archive, info)
        unpacked += len(data) if isinstance(data, bytes) else 0
        if unpacked > MAX_UNPACKED_BYTES:
            raise DataError(f"an archive of more than {MAX_UNPACKED_BYTES} bytes when unpacked")
        yield Record(number, data)


def _member(archive: ZipFile, info: ZipInfo) -> bytes | LineError:
    """What a member holds, read up to the bound whatever the archive says of its size."""
    if info.compress_type == ZSTANDARD:
        return LineError(
            f"{info.filename}: packed with Zstandard, which this Python cannot read; "
            "`inspect log convert LOG --to json --output-dir FOLDER` writes it as JSON"
        )
    try:
        with archive.open(info) as member:
            data = member.read(MAX_LINE_BYTES + 1)
    except (
        BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        zlib.error,
    ) as error:
        return LineError(f"{info.filename}: cannot be unpacked: {error}")
    if len(data) > MAX_LINE_BYTES:
        return LineError(f"{info.filename}: more than {MAX_LINE_BYTES} bytes; a sample is one trajectory")
    return data
