"""Dates, times and durations as bytes of fixed places, with their time zone."""

from __future__ import annotations

import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from hotset.errors import CodecError

_DATE: Final = struct.Struct("<HBB")
_TIME: Final = struct.Struct("<BBBBI")  # the fourth is the fold
_SPAN: Final = struct.Struct("<iII")
_MOMENT: Final = _DATE.size + _TIME.size

NAIVE: Final = b""
OFFSET: Final = b"o"
NAMED: Final = b"n"
ZONE: Final = b"z"
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
"""Without a dot: `ZoneInfo` looks for a zone in packages of the name's parts, and no bytes choose what is imported."""


def pack_date(value: date) -> bytes:
    """Return u16 year, u8 month, u8 day."""
    return _DATE.pack(value.year, value.month, value.day)


def unpack_date(body: bytes) -> date:
    """Return the date; raises ValueError or `struct.error`, as all of these do."""
    return date(*_DATE.unpack(body))


def pack_time(value: time) -> bytes:
    """Return u8 hour, minute, second, fold, u32 microsecond, then the zone."""
    return _clock(value) + _pack_zone(value.tzinfo)


def unpack_time(body: bytes) -> time:
    """Return the time of day."""
    hour, minute, second, fold, micro = _TIME.unpack_from(body)
    return time(hour, minute, second, micro, _unpack_zone(body[_TIME.size :]), fold=fold)


def pack_datetime(value: datetime) -> bytes:
    """Return a date, a time of day and the zone, one after the other."""
    return pack_date(value) + _clock(value) + _pack_zone(value.tzinfo)


def unpack_datetime(body: bytes) -> datetime:
    """Return the moment."""
    year, month, day = _DATE.unpack_from(body)
    hour, minute, second, fold, micro = _TIME.unpack_from(body, _DATE.size)
    zone = _unpack_zone(body[_MOMENT:])
    return datetime(year, month, day, hour, minute, second, micro, zone, fold=fold)


def pack_timedelta(value: timedelta) -> bytes:
    """Return i32 days, u32 seconds, u32 microseconds, as Python holds them."""
    return _SPAN.pack(value.days, value.seconds, value.microseconds)


def unpack_timedelta(body: bytes) -> timedelta:
    """Return the duration."""
    days, seconds, micros = _SPAN.unpack(body)
    return timedelta(days, seconds, micros)


_UTC: Final = OFFSET + pack_timedelta(timedelta(0))


def _clock(value: time | datetime) -> bytes:
    return _TIME.pack(value.hour, value.minute, value.second, value.fold, value.microsecond)


def _pack_zone(zone: tzinfo | None) -> bytes:
    """Return nothing, or `o` and a duration, or `n`, a duration and its name, or `z` and the key of a zone."""
    if zone is None:
        return NAIVE
    if zone is UTC:  # by far the commonest
        return _UTC
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]  # what pickle and copy take it apart with
        return NAMED + pack_timedelta(offset) + name[0].encode() if name else OFFSET + pack_timedelta(offset)
    from zoneinfo import ZoneInfo  # late: it brings sysconfig, of which most programs need nothing

    if type(zone) is ZoneInfo and _ZONE_NAME.fullmatch(zone.key or ""):  # one made from a file has no key
        return ZONE + zone.key.encode()
    kind = type(zone)
    raise CodecError(
        f"time zone {kind.__module__}.{kind.__qualname__}: only datetime.timezone and a zoneinfo.ZoneInfo with a key "
        "can be kept"
    )


@lru_cache(maxsize=256)
def _unpack_zone(body: bytes) -> tzinfo | None:
    if not body:
        return None
    kind, rest = body[:1], body[1:]
    if kind == OFFSET:
        return timezone(unpack_timedelta(rest))
    if kind == NAMED:
        return timezone(unpack_timedelta(rest[: _SPAN.size]), rest[_SPAN.size :].decode())
    if kind == ZONE and _ZONE_NAME.fullmatch(key := rest.decode()):
        from zoneinfo import ZoneInfo

        return ZoneInfo(key)
    raise CodecError("a time zone of a kind that this version does not know")
