"""The envelope: how an entry looks in a store, byte by byte. `docs/reference/wire.md` is its page for people.

`header | tags | body`, little-endian. Scripts in a store compare bytes at the offsets below and never parse; three
places (state, mark, soft expiry) they set in place, so the checksum leaves those out. What does not parse is None,
whatever it is: a miss, and never an exception.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from hotset.errors import CodecError

MAGIC: Final = b"hs"
FORMAT: Final = 1
"""The version of the layout. A reader of another version has a miss."""

STATE: Final = 3
"""u8, set in place: `PLACEHOLDER`, `ENDED`."""
MARK: Final = 4
MARK_END: Final = 11
"""The last byte of the mark, as `GETRANGE name 4 11` counts; so for each `…_END`."""
GENERATION: Final = 12
GENERATION_END: Final = 19
INSTANT: Final = 20
"""u64: the namespace's count when the load of the value began."""
SOURCE: Final = 28
SOURCE_END: Final = 35
"""u64: the version that the source gave, 0 for none."""
BEGAN_AT: Final = 36
SOFT: Final = 44
SOFT_END: Final = 51
"""i64, set in place: the soft expiry, microseconds of the store's clock."""
WINDOW: Final = 52
REVALIDATE: Final = 60
FLAGS: Final = 68
CODEC: Final = 69
COMPRESSION: Final = 70
SEAL: Final = 71
TAGS_LENGTH: Final = 72
BODY_LENGTH: Final = 76
CHECKSUM: Final = 80
HEADER: Final = 84
"""The length of the header; the tags begin here."""

PLACEHOLDER: Final = 1
"""A bit of the state: no entry, but the lease of who loads it."""
ENDED: Final = 2
"""A bit of the state: `expire` has made it stale before its time."""
NEGATIVE: Final = 1
"""A bit of the flags: the source had no such thing."""

MARK_SIZE: Final = 8
GENERATION_SIZE: Final = 8
TAG_LIMIT: Final = 0xFFFF
"""Bytes of one tag, at the most."""
TAGS_LIMIT: Final = 0xFFFF_FFFF
"""Bytes of all tags with their lengths, at the most."""
BODY_LIMIT: Final = 512 * 1024 * 1024 - HEADER
"""Bytes of a body, at the most: Redis holds no value of more than 512 MiB."""

_LAYOUT: Final = struct.Struct("<2sBB8s8sQQqqQQBBBBIII")
_SUM: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<H")
_NONE: Final = bytes(8)


@dataclass(frozen=True, slots=True)
class Record:
    """What one envelope says. Times are microseconds of the store's clock, windows are microseconds."""

    mark: bytes
    """8 random bytes that name this stored state of the key."""
    generation: bytes
    """8 random bytes that name the namespace since its last `clear`."""
    instant: int = 0
    version: int = 0
    began_at: int = 0
    soft: int = 0
    window: int = 0
    """How long after its soft expiry it may be a fallback (`stale_if_error`)."""
    revalidate: int = 0
    """The same for `stale_while_revalidate`; always 0 in this version of hotset."""
    negative: bool = False
    placeholder: bool = False
    ended: bool = False
    codec: int = 0
    """The id of the codec that made the body; 0 where there is none."""
    tags: tuple[str, ...] = ()
    body: bytes = b""


def new_mark() -> bytes:
    """Return 8 random bytes, from the system's source, so that forked processes share none."""
    return os.urandom(MARK_SIZE)


def pack(record: Record) -> bytes:
    """Return the bytes of a record.

    Raises:
        CodecError: a tag or the body is too long, a tag is no text that UTF-8 can hold, or a number or a mark does not
            fit its place.
    """
    body = record.body
    if len(body) > BODY_LIMIT:
        raise CodecError(f"a value of {len(body)} bytes is over the limit of {BODY_LIMIT}")
    tags = _packed(record.tags) if record.tags else b""
    if len(record.mark) != MARK_SIZE or len(record.generation) != GENERATION_SIZE:
        raise CodecError(
            f"mark and generation are {MARK_SIZE} bytes each, not {len(record.mark)} and {len(record.generation)}"
        )
    try:
        header = _LAYOUT.pack(
            MAGIC,
            FORMAT,
            (PLACEHOLDER if record.placeholder else 0) | (ENDED if record.ended else 0),
            record.mark,
            record.generation,
            record.instant,
            record.version,
            record.began_at,
            record.soft,
            record.window,
            record.revalidate,
            NEGATIVE if record.negative else 0,
            record.codec,
            0,  # no compression
            0,  # no seal
            len(tags),
            len(body),
            0,
        )
    except struct.error as error:
        raise CodecError(f"a number of this record does not fit its place: {error}") from None
    total = _SUM.pack(_checksum(header, tags, body))
    return b"".join((header[:CHECKSUM], total, tags, body))


def placeholder(mark: bytes, generation: bytes) -> bytes:
    """Return the lease of who loads a value: a header alone, of the same layout."""
    return pack(Record(mark, generation, placeholder=True))


def unpack(data: object) -> Record | None:  # noqa: PLR0911  one return for each way of not being an envelope
    """Return what an envelope says, or None for whatever is none. Never raises."""
    if type(data) is not bytes:
        if not isinstance(data, bytearray | memoryview):
            return None
        try:
            data = bytes(data)
        except ValueError:  # a memoryview that was released
            return None
    if len(data) < HEADER:
        return None
    places = _LAYOUT.unpack_from(data)
    magic, form, state = places[:3]
    flags, codec, compression, seal, tags_length, body_length, checksum = places[11:]
    start = HEADER + tags_length
    if magic != MAGIC or form != FORMAT or len(data) != start + body_length:
        return None
    if state > PLACEHOLDER | ENDED or flags > NEGATIVE or compression or seal:
        return None
    encoded, body = data[HEADER:start], data[start:]
    if checksum != _checksum(data, encoded, body):
        return None
    tags = _unpacked(encoded) if encoded else ()
    if tags is None:
        return None
    mark, generation, instant, version, began_at, soft, window, revalidate = places[3:11]
    negative, lease, ended = flags == NEGATIVE, state & PLACEHOLDER != 0, state & ENDED != 0
    return Record(
        *(mark, generation, instant, version, began_at, soft, window, revalidate),
        *(negative, lease, ended, codec, tags, body),
    )


def mark_of(data: object) -> bytes:
    """Return the mark as a store's scripts see it, of a damaged entry too; empty for what has no header."""
    if not isinstance(data, bytes) or len(data) < HEADER or not data.startswith(MAGIC):
        return b""
    return data[MARK : MARK_END + 1]


def _checksum(header: bytes, tags: bytes, body: bytes) -> int:
    """Return the sum over all but what scripts set in place."""
    value = crc32(header[:STATE])
    value = crc32(header[GENERATION:SOFT], value)
    value = crc32(header[WINDOW:CHECKSUM], value)
    return crc32(body, crc32(tags, value))


def _packed(tags: tuple[str, ...]) -> bytes:
    parts: list[bytes] = []
    for tag in tags:
        try:
            text = tag.encode()
        except UnicodeEncodeError:
            raise CodecError(f"tag {tag!r} holds a lone surrogate, which no store can hold") from None
        if len(text) > TAG_LIMIT:
            raise CodecError(f"tag {tag[:60]!r}… has {len(text)} bytes, {TAG_LIMIT} at the most")
        parts += (_LENGTH.pack(len(text)), text)
    joined = b"".join(parts)
    if len(joined) > TAGS_LIMIT:
        raise CodecError(f"{len(tags)} tags of {len(joined)} bytes are over the limit of {TAGS_LIMIT}")
    return joined


def _unpacked(encoded: bytes) -> tuple[str, ...] | None:
    tags: list[str] = []
    at, end = 0, len(encoded)
    while at < end:
        text = at + _LENGTH.size
        if text > end:
            return None
        at = text + _LENGTH.unpack_from(encoded, at)[0]
        if at > end:
            return None
        try:
            tags.append(encoded[text:at].decode())
        except UnicodeDecodeError:
            return None
    return tuple(tags)
