"""What each file of layout 1 says. Once released, add and change nothing; a new layout gets a folder of its own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic

from hotset.entry.codec import Msgpack
from hotset.entry.registry import Registry
from hotset.entry.wire import Record

LAYOUT = 1


@dataclass(frozen=True)
class Place:
    """A dataclass."""

    name: str
    height: int | None = None


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any


class Point(msgspec.Struct):
    """A struct."""

    x: float
    y: float = 0.0


@attrs.frozen
class Trip:
    """An attrs class."""

    places: list[Place]


class User(pydantic.BaseModel):
    """A model."""

    id: int
    name: str = pydantic.Field(default="nobody", max_length=20)
    home: Place | None = None


class Colour(Enum):
    """An enum."""

    RED = "r"


class Size(IntEnum):
    """An enum of numbers."""

    SMALL = 1


class Rights(Flag):
    """A flag."""

    READ = 1
    WRITE = 2


class Slug(str):
    """A text."""

    __slots__ = ()


REGISTRY = Registry()
for _cls in (Place, Pair, Point, Trip, User, Colour, Size, Rights, Slug, OrderedDict):
    REGISTRY.register(_cls, f"golden.{_cls.__name__}")
CODEC = Msgpack(REGISTRY)

VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "integers": [0, 1, -1, 127, 128, 255, 256, -32, -33, 2**31, 2**32, 2**63 - 1, 2**64 - 1, -(2**63)],
    "floats": [0.0, -0.0, 1.5, 1e300, 5e-324, float("inf"), float("-inf")],
    "texts": ["", "a", "é", "→", "\U0001f600", "\x00", "x" * 300],
    "bytes": [b"", b"\x00\xff", bytearray(b"\x01\x02")],
    "dicts": [{}, {"b": 1, "a": {"c": []}}, {1: "one", (2, "two"): None, "three": 3.0}],
    "tuples": [(), (1, (2, [3])), ([],)],
    "sets": [set(), {"c", "a", "b"}, {3, 1, 2}, {1, "1", None, (2,)}, frozenset({frozenset({b"x"})})],
    "moments": [
        datetime(2024, 2, 29, 23, 59, 59, 999_999),  # noqa: DTZ001  a naive one
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-3), "BRT")),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("UTC"), fold=1),
        date(2024, 2, 29),
        time(1, 2, 3, 4),
        time(1, 2, 3, 4, tzinfo=UTC, fold=1),
        timedelta(days=-1, seconds=2, microseconds=3),
    ],
    "decimals": [Decimal("1.10"), Decimal("-0"), Decimal("1E+400"), Decimal("Infinity")],
    "uuids": [UUID("12345678-1234-5678-1234-567812345678")],
    "dataclass": [Place("Bern", 540), Place("Rome")],
    "named-tuple": Pair((1, 2), Pair(None, {"a"})),
    "struct": Point(1.5),
    "attrs": Trip([Place("Oslo")]),
    "pydantic": User(id=7, home=Place("Bern")),
    "enums": [Colour.RED, Size.SMALL, Rights.READ | Rights.WRITE, {Colour.RED: Size.SMALL}],
    "subclasses": [Slug("a-b"), OrderedDict([("b", 1), ("a", 2)])],
}
"""One file each: an envelope as in `RECORDS["value"]` with the value as its body."""

MARK, GENERATION = bytes(range(8)), bytes(range(248, 256))
RECORDS: dict[str, Record] = {
    "placeholder": Record(MARK, GENERATION, placeholder=True),
    "negative": Record(MARK, GENERATION, 7, 0, 1_700_000_000_000_000, 1_700_000_060_000_000, negative=True),
    "ended": Record(MARK, GENERATION, 7, 0, 1, -2, 60_000_000, ended=True, codec=2, body=b"[1]"),
    "tagged": Record(
        MARK, GENERATION, 2**64 - 1, 2**63, 1, 2, 3, 4, tags=("users", "team:→", ""), codec=1, body=b"\xc0"
    ),
    "windows": Record(MARK, GENERATION, 7, 8, 1, 2, 3, 4, early=12_000_000, cost=2**64 - 1, codec=1, body=b"\xc0"),
    "etag": Record(MARK, GENERATION, 7, 8, 1, 2, etag='W/"é"', codec=1, body=b"\xc0"),
    "tagged-etag": Record(MARK, GENERATION, 7, 2**64 - 1, 1, 2, tags=("users",), etag='"7"', codec=1, body=b"\xc0"),
    "value": Record(MARK, GENERATION, 7, 8, 1_700_000_000_000_000, 1_700_000_060_000_000, tags=("golden",), codec=1),
}
"""One file each but for the last, which is around every value."""
