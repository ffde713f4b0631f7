"""Reading a request trace: which keys were asked for, in which order. Plain text or gzip, told apart by content."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from importlib import resources
from itertools import chain, islice
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    _Lines = io.BufferedReader | gzip.GzipFile

VALID = "valid: text or gzip; a first line that names the columns (`key`, or `time,key,size`), then one request a line"

# A request is a key and three numbers. A longer line means that this is no trace, and is not read to its end.
_LONGEST = 4096

_GZIP = b"\x1f\x8b"


class BadTrace(ValueError):
    """The file cannot be replayed; the message is one line and says what would be valid."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A request trace: its name, and the key of each request in their order."""

    name: str
    keys: Sequence[str]

    def user_ids(self, users: int) -> list[int]:
        """Give each request a user's id from 1 to `users`, the same for the same key.

        Different keys get different users for as long as there are users; the order of first appearance is spread over
        the whole table, so that neighbours in the trace are none in the database.
        """
        # A stride without a common divisor visits every user once before it meets the first again. It starts near the
        # golden section of the table, which spreads any number of steps evenly.
        stride = next(step for step in range(max(1, int(users * 0.618)), 2 * users + 1) if gcd(step, users) == 1)
        order: dict[str, int] = {}
        return [1 + order.setdefault(key, len(order)) * stride % users for key in self.keys]


def carried(limit: int) -> Trace:
    """Read at most `limit` requests of the trace that comes with the package; `data/README.md` says whose it is."""
    packed = resources.files("hotset.cli").joinpath("data", "web12-head.txt.gz").read_bytes()
    return Trace("web12-head", _requests(io.BufferedReader(io.BytesIO(packed)), limit))


def read(path: Path, limit: int) -> Trace:
    """Read at most `limit` requests from a file; what comes after them is not looked at.

    Raises:
        BadTrace: there is no such file, or none that can be replayed.
    """
    try:
        with path.open("rb") as file:
            return Trace(path.name, _requests(file, limit))
    except BadTrace as error:
        raise BadTrace(f"{path}: {error}; {VALID}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BadTrace(f"{path}: the gzip data is damaged or cut off; {VALID}") from None
    except OSError as error:
        raise BadTrace(f"{path}: {error.strerror or error}; {VALID}") from None


def _requests(file: io.BufferedReader, limit: int) -> list[str]:
    if file.peek(2)[:2] == _GZIP:
        with gzip.open(file) as unpacked:
            return _keys(unpacked, limit)
    return _keys(file, limit)


def _keys(file: _Lines, limit: int) -> list[str]:
    lines = _lines(file)
    first = next(lines, None)
    if first is None:
        raise BadTrace("there is nothing in it")
    columns = [column.strip().lower() for column in first[1].split(",")]
    if "key" in columns:
        place = columns.index("key")
        keys = list(islice((_key(number, line, place, len(columns)) for number, line in lines), limit))
    elif len(columns) == 1:
        # No columns named: a plain list of keys. Its keys are single words, or any prose would be a trace.
        keys = list(islice((_word(number, line) for number, line in chain([first], lines)), limit))
    else:
        raise BadTrace(f"line {first[0]} names no column `key`")
    if not keys:
        raise BadTrace("there is no request in it")
    return keys


def _lines(file: _Lines) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        if len(line) > _LONGEST:
            raise BadTrace(f"line {number} is longer than {_LONGEST} bytes")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            raise BadTrace(f"line {number} is no text") from None
        if not text.isprintable():
            raise BadTrace(f"line {number} is no text")
        if text:
            yield number, text


def _key(number: int, line: str, place: int, columns: int) -> str:
    if columns == 1:
        return line  # a comma in it is its own
    fields = line.split(",")
    if len(fields) != columns or not (key := fields[place].strip()):
        raise BadTrace(f"line {number} has not the {columns} columns that the first line names")
    return key


def _word(number: int, line: str) -> str:
    if len(line.split()) != 1:
        raise BadTrace(f"line {number} is no single key")
    return line
