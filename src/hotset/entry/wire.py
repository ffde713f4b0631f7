"""The envelope: how an entry looks in a store, byte by byte. `docs/reference/wire.md` is its page for people.

`header | tags | etag | body`, little-endian. Scripts in a store compare bytes at the offsets below and never parse;
four places (state, mark, beginning, soft expiry) they set in place, so the checksum leaves those out. What does not
parse is None, whatever it is: a miss, and never an exception.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from hotset.entry.entry import Facts, Spans
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
"""i64, set in place with the one behind it: when the load began, microseconds of the store's clock."""
SOFT: Final = 44
SOFT_END: Final = 51
"""i64, set in place: the soft expiry, microseconds of the store's clock."""
WINDOW: Final = 52
REVALIDATE: Final = 60
EARLY: Final = 68
COST: Final = 76
FLAGS: Final = 84
CODEC: Final = 85
COMPRESSION: Final = 86
SEAL: Final = 87
TAGS_LENGTH: Final = 88
BODY_LENGTH: Final = 92
ETAG_LENGTH: Final = 96
CHECKSUM: Final = 98
HEADER: Final = 102
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
ETAG_LIMIT: Final = 0xFFFF
"""Bytes of an etag, at the most."""
BODY_LIMIT: Final = 512 * 1024 * 1024 - HEADER
"""Bytes of a body, at the most: Redis holds no value of more than 512 MiB."""

_LAYOUT: Final = struct.Struct("<2sBB8s8sQQqqQQQQBBBBIIHI")
_SUM: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<H")
_NONE: Final = bytes(8)
_MICRO: Final = 1_000_000


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
    """The same for `stale_while_revalidate`."""
    early: int = 0
    """How long before its soft expiry a refresh is due (`refresh_ahead`)."""
    cost: int = 0
    """How long its load took."""
    negative: bool = False
    placeholder: bool = False
    ended: bool = False
    codec: int = 0
    """The id of the codec that made the body; 0 where there is none."""
    tags: tuple[str, ...] = ()
    etag: str = ""
    """The validator that the source gave."""
    body: bytes = b""

    @property
    def spans(self) -> Spans:
        """How long it is good for what, in seconds."""
        times = self.soft - self.began_at, self.revalidate, self.window, self.early
        return Spans(*(time / _MICRO for time in times))

    @property
    def facts(self) -> Facts:
        """What its load has told of it."""
        return Facts(self.version, self.etag, self.cost / _MICRO)


def fields(good: Spans, facts: Facts) -> dict[str, Any]:
    """Return the fields of a record that say for how long it is good for what, its life aside, and its facts."""
    spans = {"window": good.fallback, "revalidate": good.revalidate, "early": good.early, "cost": facts.cost}
    times = {name: int(span * _MICRO) for name, span in spans.items()}
    return {**times, "version": facts.version, "etag": facts.etag}


def new_mark() -> bytes:
    """Return 8 random bytes, from the system's source, so that forked processes share none."""
    return os.urandom(MARK_SIZE)


def pack(record: Record) -> bytes:
    """Return the bytes of a record.

    Raises:
        CodecError: a tag, the etag or the body is too long, one of the first two is no text that UTF-8 can hold, or a
            number or a mark does not fit its place.
    """
    body = record.body
    if len(body) > BODY_LIMIT:
        raise CodecError(f"a value of {len(body)} bytes is over the limit of {BODY_LIMIT}")
    tags = _packed(record.tags) if record.tags else b""
    etag = _encoded("etag", record.etag, ETAG_LIMIT) if record.etag else b""
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
            record.early,
            record.cost,
            NEGATIVE if record.negative else 0,
            record.codec,
            0,  # no compression
            0,  # no seal
            len(tags),
            len(body),
            len(etag),
            0,
        )
    except struct.error as error:
        raise CodecError(f"a number of this record does not fit its place: {error}") from None
    texts = tags + etag
    total = _SUM.pack(_checksum(header, texts, body))
    return b"".join((header[:CHECKSUM], total, texts, body))


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
    flags, codec, compression, seal, tags_length, body_length, etag_length, checksum = places[13:]
    middle = HEADER + tags_length
    start = middle + etag_length
    if magic != MAGIC or form != FORMAT or len(data) != start + body_length:
        return None
    if state > PLACEHOLDER | ENDED or flags > NEGATIVE or compression or seal:
        return None
    body = data[start:]
    if checksum != _checksum(data, data[HEADER:start], body):
        return None
    tags = _unpacked(data[HEADER:middle]) if tags_length else ()
    etag = _text(data[middle:start]) if etag_length else ""
    if tags is None or etag is None:
        return None
    mark, generation, instant, version, began_at, soft, window, revalidate, early, cost = places[3:13]
    negative, lease, ended = flags == NEGATIVE, state & PLACEHOLDER != 0, state & ENDED != 0
    return Record(
        *(mark, generation, instant, version, began_at, soft, window, revalidate, early, cost),
        *(negative, lease, ended, codec, tags, etag, body),
    )


def mark_of(data: object) -> bytes:
    """Return the mark as a store's scripts see it, of a damaged entry too; empty for what has no header."""
    if not isinstance(data, bytes) or len(data) < HEADER or not data.startswith(MAGIC):
        return b""
    return data[MARK : MARK_END + 1]


def _checksum(header: bytes, texts: bytes, body: bytes) -> int:
    """Return the sum over all but what scripts set in place."""
    value = crc32(header[:STATE])
    value = crc32(header[GENERATION:BEGAN_AT], value)
    value = crc32(header[WINDOW:CHECKSUM], value)
    return crc32(body, crc32(texts, value))


def _packed(tags: tuple[str, ...]) -> bytes:
    parts: list[bytes] = []
    for tag in tags:
        text = _encoded("tag", tag, TAG_LIMIT)
        parts += (_LENGTH.pack(len(text)), text)
    joined = b"".join(parts)
    if len(joined) > TAGS_LIMIT:
        raise CodecError(f"{len(tags)} tags of {len(joined)} bytes are over the limit of {TAGS_LIMIT}")
    return joined


def _encoded(what: str, text: str, limit: int) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise CodecError(f"{what} {text!r} holds a lone surrogate, which no store can hold") from None
    if len(encoded) > limit:
        raise CodecError(f"{what} {text[:60]!r}… has {len(encoded)} bytes, {limit} at the most")
    return encoded


def _text(encoded: bytes) -> str | None:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return None


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
        tag = _text(encoded[text:at])
        if tag is None:
            return None
        tags.append(tag)
    return tuple(tags)
