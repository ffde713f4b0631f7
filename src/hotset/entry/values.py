"""Values as MessagePack, exactly: what it cannot say by itself is an extension, whose bytes are MessagePack again.

ormsgpack writes and reads what is plain. It is given nothing else, and all its pass-through options, so that whatever
slips through is an error and not another type. Extensions that hold values are read after what holds them, one
after the other and not from inside ormsgpack: its own limit of depth counts anew in each, and bytes made for that
would overflow the stack.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from hotset.entry import moments
from hotset.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hotset.entry.registry import Known

TUPLE: Final = 1
SET: Final = 2
FROZENSET: Final = 3
MAP: Final = 4
"""A dict whose keys are not all text: key, value, key, value … in one array."""
DATETIME: Final = 5
DATE: Final = 6
TIME: Final = 7
TIMEDELTA: Final = 8
DECIMAL: Final = 9
UUID_: Final = 10
BYTEARRAY: Final = 11
OBJECT: Final = 12
"""An array: the name of a class, its shape, what an instance holds."""

DEPTH_LIMIT: Final = 100
"""So many containers may lie in one another."""

_SCALARS = frozenset({NoneType, bool, int, float, str, bytes})
_TEXT = frozenset({str})
_SORTABLE = (_TEXT, frozenset({int}), frozenset({bytes}))


@cache
def _ormsgpack() -> tuple[Any, int]:
    """Return the library, loaded at the first use, and the options that it is always given."""
    import ormsgpack

    options = (
        ormsgpack.OPT_PASSTHROUGH_BIG_INT
        | ormsgpack.OPT_PASSTHROUGH_DATACLASS
        | ormsgpack.OPT_PASSTHROUGH_DATETIME
        | ormsgpack.OPT_PASSTHROUGH_ENUM
        | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
        | ormsgpack.OPT_PASSTHROUGH_TUPLE
        | ormsgpack.OPT_PASSTHROUGH_UUID
    )
    return ormsgpack, options


class Writer:
    """One value on its way to bytes."""

    __slots__ = ("_ext", "_known", "_options", "_packb", "_path")

    def __init__(self, known: Known) -> None:
        library, self._options = _ormsgpack()
        self._packb = library.packb
        self._ext = library.Ext
        self._known = known
        self._path: set[int] = set()

    def write(self, value: Any) -> bytes:
        """Return the bytes of a value; raises `CodecError` that names the type at fault."""
        return self._pack(self._plain(value))

    def _pack(self, plain: Any) -> bytes:
        try:
            packed: bytes = self._packb(plain, option=self._options)
        except TypeError as error:  # ormsgpack's own error is this one
            words = str(error)
            if "surrogate" in words:
                raise CodecError("a str with a lone surrogate, which UTF-8 cannot hold") from None
            if words.endswith(": int"):
                raise CodecError("an int beyond 64 bits") from None
            raise CodecError(words) from None
        return packed

    def _plain(self, value: Any) -> Any:
        """Return what ormsgpack is to write for a value: itself, or with extensions in it."""
        kind = type(value)
        if kind in _SCALARS:
            return value
        write = _WRITERS.get(kind)
        return write(self, value) if write is not None else self._object(value, kind)

    def _enter(self, container: Any) -> None:
        if id(container) in self._path:
            raise CodecError(f"a {type(container).__name__} that holds itself")
        if len(self._path) == DEPTH_LIMIT:
            raise CodecError(
                f"more than {DEPTH_LIMIT} containers in one another, a {type(container).__name__} the last"
            )
        self._path.add(id(container))

    def _items(self, value: Any) -> list[Any]:
        if _SCALARS.issuperset(map(type, value)):
            return list(value)
        self._enter(value)
        items = [self._plain(item) for item in value]
        self._path.discard(id(value))
        return items

    def _list(self, value: list[Any]) -> list[Any]:
        return value if _SCALARS.issuperset(map(type, value)) else self._items(value)

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        return self._ext(TUPLE, self._pack(self._items(value)))

    def _set(self, value: set[Any]) -> Any:
        return self._ext(SET, self._members(value))

    def _frozenset(self, value: frozenset[Any]) -> Any:
        return self._ext(FROZENSET, self._members(value))

    def _members(self, value: set[Any] | frozenset[Any]) -> bytes:
        """Return an array of the members in an order of their own, so that equal sets have equal bytes."""
        if frozenset(map(type, value)) in _SORTABLE:
            return self._pack(sorted(value))
        packed = sorted(self._pack(item) for item in self._items(value))
        return b"".join((_array(len(packed)), *packed))

    def _dict(self, value: dict[Any, Any]) -> Any:
        text = _TEXT.issuperset(map(type, value))
        if text and _SCALARS.issuperset(map(type, value.values())):
            return value
        self._enter(value)
        plain: Any
        if text:
            plain = {key: self._plain(item) for key, item in value.items()}
        else:
            flat = [self._plain(part) for pair in value.items() for part in pair]
            plain = self._ext(MAP, self._pack(flat))
        self._path.discard(id(value))
        return plain

    def _object(self, value: Any, kind: type) -> Any:
        name, form = self._known.of(kind)
        self._enter(value)
        parts = self._plain(form.take(value))
        self._path.discard(id(value))
        return self._ext(OBJECT, self._pack([name, form.shape, parts]))


def _array(length: int) -> bytes:
    """Return the head of a MessagePack array."""
    if length < 16:  # noqa: PLR2004  MessagePack's own bound
        return bytes((0x90 | length,))
    return struct.pack(">BH", 0xDC, length) if length <= 0xFFFF else struct.pack(">BI", 0xDD, length)  # noqa: PLR2004


def _leaf(tag: int, pack: Callable[[Any], bytes]) -> Callable[[Writer, Any], Any]:
    return lambda writer, value: writer._ext(tag, pack(value))


_WRITERS: dict[type, Callable[[Writer, Any], Any]] = {
    list: Writer._list,
    dict: Writer._dict,
    tuple: Writer._tuple,
    set: Writer._set,
    frozenset: Writer._frozenset,
    datetime: _leaf(DATETIME, moments.pack_datetime),
    date: _leaf(DATE, moments.pack_date),
    time: _leaf(TIME, moments.pack_time),
    timedelta: _leaf(TIMEDELTA, moments.pack_timedelta),
    Decimal: _leaf(DECIMAL, lambda value: str(value).encode()),
    UUID: _leaf(UUID_, lambda value: value.bytes),
    bytearray: _leaf(BYTEARRAY, bytes),
}

_LEAVES: dict[int, Callable[[bytes], Any]] = {
    DATETIME: moments.unpack_datetime,
    DATE: moments.unpack_date,
    TIME: moments.unpack_time,
    TIMEDELTA: moments.unpack_timedelta,
    DECIMAL: lambda body: Decimal(body.decode()),
    UUID_: lambda body: UUID(bytes=body),
    BYTEARRAY: bytearray,
}


class _Held:
    """An extension that holds values, not read yet."""

    __slots__ = ("body", "tag")

    def __init__(self, tag: int, body: bytes) -> None:
        self.tag = tag
        self.body = body


_NESTED = frozenset({list, dict, _Held})


class Reader:
    """One value on its way from bytes. Raises whatever comes of bytes that no `Writer` made."""

    __slots__ = ("_held", "_known", "_unpackb")

    def __init__(self, known: Known) -> None:
        self._unpackb = _ormsgpack()[0].unpackb
        self._known = known
        self._held = False

    def read(self, body: bytes) -> Any:
        """Return the value."""
        self._held = False
        value = self._unpackb(body, ext_hook=self._hook)
        return self._settled(value) if self._held else value

    def _hook(self, tag: int, body: bytes) -> Any:
        leaf = _LEAVES.get(tag)
        if leaf is not None:
            with suppress(Exception):  # ormsgpack would lose it; when it is read again, outside, it says what is wrong
                return leaf(body)
        self._held = True
        return _Held(tag, body)

    def _settled(self, value: Any) -> Any:
        """Return a value with all that it holds read."""
        kind = type(value)
        if kind is _Held:
            return self._made(value.tag, value.body)
        if kind is list:
            return value if _NESTED.isdisjoint(map(type, value)) else [self._settled(item) for item in value]
        if kind is dict and not _NESTED.isdisjoint(map(type, value.values())):
            return {key: self._settled(item) for key, item in value.items()}
        return value

    def _made(self, tag: int, body: bytes) -> Any:
        if tag in _LEAVES:
            return _LEAVES[tag](body)
        if tag not in _HOLDERS:
            raise CodecError(f"extension {tag} is none that this version knows")
        items = self.read(body)
        if type(items) is not list:
            raise CodecError(f"extension {tag} is no array")
        if tag == OBJECT:
            name, shape, parts = items
            form = self._known.form(name)
            if form.shape != shape:
                raise CodecError(f"the class {name!r} has changed since this was written")
            return form.make(parts)
        if tag == MAP:
            return dict(zip(items[::2], items[1::2], strict=True))
        return _COLLECTIONS[tag](items)


_COLLECTIONS: dict[int, Callable[[Iterable[Any]], Any]] = {TUPLE: tuple, SET: set, FROZENSET: frozenset}
_HOLDERS = {*_COLLECTIONS, MAP, OBJECT}
