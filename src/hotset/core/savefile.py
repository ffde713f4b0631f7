"""The file of a saved process tier: written at once or not at all, and read whole or refused.

    magic (8) | version u16 | frames, each u32 length and its bytes | BLAKE2b-256 of all before it

The first frame is the header, JSON; each other one is an entry: the number of its namespace, its name, and the envelope
that it would have in a store (`entry/wire.py`), the hottest first. Reading runs no code that the bytes could name.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from hotset.entry.names import Digest
from hotset.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hotset.entry.names import Name

MAGIC: Final = b"\x89hotset\n"
"""No text begins so, and a transfer as text would change its end."""
VERSION: Final = 1
_BEGIN: Final = struct.Struct("<8sH")
_LENGTH: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<IBIII")
"""Number of the namespace, whether the name is a digest, then the lengths of name, whole key and kind."""
_SUM: Final = 32
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One namespace, and where its counts stood."""

    namespace: str
    ended: int
    """How often something had been ended in it, or written (`engine/saves.py`)."""
    count: int
    """The count of its epochs."""


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for all entries of a file."""

    namespace: str
    """The one that was saved, escaped."""
    parts: list[Part]
    """It, and what lies within it, as far as there are entries."""
    store: bool
    """Whether they are copies of what a store holds, under its marks; else they are their process's own."""
    life: bytes
    pid: int
    """Which process tier wrote it (`engine/saves.py`)."""
    wall: float
    boot: str
    up: float
    """When it was, see `Moment`."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry: where it belongs, the type that its codec was given, and its envelope."""

    part: int
    name: Name
    kind: str
    envelope: bytes


def place(path: object) -> Path:
    """Return the path of a file; ConfigError for what is none."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ConfigError(f'path: the path of a file, such as "/var/lib/shop/hotset.saved"; not {path!r:.80}')
    return Path(os.path.realpath(os.fsdecode(path)))


def write(target: Path, header: Header, items: Iterable[Item]) -> tuple[Path, int]:
    """Write a file beside `target`, for its owner alone, down to the disk; return its path and how many it holds."""
    import tempfile

    from msgspec import json

    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            total = blake2b(digest_size=_SUM)
            begin = _BEGIN.pack(MAGIC, VERSION)
            total.update(begin)
            file.write(begin)
            number = -1  # the header is none of them
            for frame in chain([json.encode(header)], map(_frame, items)):
                part = _LENGTH.pack(len(frame)) + frame
                total.update(part)
                file.write(part)
                number += 1
            file.write(total.digest())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        discard(Path(name))
        raise
    return Path(name), number


def put(part: Path, target: Path) -> None:
    """Put a written file in its place, for good."""
    part.replace(target)
    with suppress(OSError):  # not every system can
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def discard(part: Path) -> None:
    """Remove a written file that is not to be put anywhere."""
    with suppress(OSError):
        part.unlink()


def read(file: BinaryIO, path: Path) -> tuple[Header, Iterator[Item]]:
    """Return header and entries of an open file, once all of it is proven. CodecError for what is none, or damaged."""
    from msgspec import json

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    begin = file.read(_BEGIN.size)
    if len(begin) < _BEGIN.size or not begin.startswith(MAGIC):
        raise CodecError(f"{path} is no file that `save` has written, or it is damaged at its beginning")
    version = _BEGIN.unpack(begin)[1]
    end = size - _SUM
    total, at = blake2b(begin, digest_size=_SUM), _BEGIN.size
    while at < end and (chunk := file.read(min(_CHUNK, end - at))):
        total.update(chunk)
        at += len(chunk)
    if at != end or file.read() != total.digest():
        raise CodecError(f"{path} is damaged: its checksum does not fit; nothing was restored")
    if version != VERSION:
        raise CodecError(f"{path} is of version {version}; this version of hotset reads {VERSION}")
    file.seek(_BEGIN.size)
    try:
        header = json.decode(_next(file), type=Header)
    except (ValueError, struct.error) as error:  # msgspec's errors are ValueErrors
        raise CodecError(f"{path} has no header that this version of hotset reads: {error}") from None
    return header, _items(file, end, path, len(header.parts))


def _items(file: BinaryIO, end: int, path: Path, parts: int) -> Iterator[Item]:
    while file.tell() < end:
        try:
            item = _item(_next(file))
            if item.part >= parts:
                raise ValueError("of no namespace")  # noqa: TRY301  as of what else it may be
            yield item
        except (ValueError, struct.error) as error:
            raise CodecError(f"{path} holds an entry that this version of hotset does not read: {error}") from None


def _next(file: BinaryIO) -> bytes:
    return file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])


def _frame(item: Item) -> bytes:
    name, digested = item.name, isinstance(item.name, Digest)
    texts = (name.text, name.whole, item.kind) if isinstance(name, Digest) else (name, "", item.kind)
    parts = [text.encode(errors="surrogatepass") for text in texts]
    return b"".join((_ENTRY.pack(item.part, digested, *map(len, parts)), *parts, item.envelope))


def _item(frame: bytes) -> Item:
    namespace, digested, *lengths = _ENTRY.unpack_from(frame)
    at, texts = _ENTRY.size, []
    for length in lengths:
        texts.append(frame[at : at + length].decode(errors="surrogatepass"))
        at += length
    if not digested:
        return Item(namespace, texts[0], texts[2], frame[at:])
    name = Digest.restored(texts[0])
    name.whole = texts[1]  # for endings by pattern, which a name alone would not tell of
    return Item(namespace, name, texts[2], frame[at:])
