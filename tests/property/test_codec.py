"""Any value of the types that msgpack keeps, in any nesting, comes back the same; JSON keeps or refuses."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
from hypothesis import example, given
from hypothesis import strategies as st

from hotset.entry.codec import Json, Msgpack
from hotset.entry.registry import Registry
from hotset.errors import CodecError
from hotset.testing.same import same


@dataclass(frozen=True)
class Place:
    name: str
    more: Any = None


@attrs.frozen(cache_hash=True)
class Trip:
    _start: Any
    end: Any = None


class Point(msgspec.Struct, frozen=True, rename="camel"):
    at_x: Any
    at_y: Any | msgspec.UnsetType = msgspec.UNSET


class Pair(NamedTuple):
    left: Any
    right: Any


class User(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    more: Any = pydantic.Field(default=None, alias="More")
    _seen: Any = pydantic.PrivateAttr(default=0)


class Colour(Enum):
    RED = (1, 2)
    BLUE = None


class Size(IntEnum):
    SMALL = 1


class Word(StrEnum):
    YES = "yes"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Slug(str):
    __slots__ = ()


class Row(list[Any]):
    pass


class Table(dict[Any, Any]):
    pass


class Group(frozenset[Any]):
    pass


REGISTRY = Registry()
for _cls in (Place, Trip, Point, Pair, User, Colour, Size, Word, Rights, Slug, Row, Table, Group, OrderedDict):
    REGISTRY.register(_cls)
MSGPACK, JSON = Msgpack(REGISTRY), Json(REGISTRY)

zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))),
    st.builds(dt.timezone, st.just(dt.timedelta(hours=1)), st.text(st.characters(codec="utf-8"), max_size=3)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"]).map(ZoneInfo),
)
fold = st.sampled_from([0, 1])
text = st.text(st.characters(codec="utf-8"), max_size=5)
_plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | text
    | st.binary(max_size=5)
    | st.builds(lambda moment, fold: moment.replace(fold=fold), st.datetimes(timezones=zones), fold)
    | st.builds(lambda time, fold: time.replace(fold=fold), st.times(timezones=zones), fold)
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)  # a signalling nan has no hash; the conformance suite keeps one
    | st.just(Decimal("nan"))
    | st.uuids()
    | st.sampled_from([*Colour, *Size, *Word, *Rights, Rights(0), Rights.READ | Rights.WRITE])
    | text.map(Slug)
)


@st.composite
def scalars(draw: st.DrawFn) -> Any:
    """A value without parts; a strategy whose name is short, since Hypothesis spells out all that is built of it."""
    return draw(_plain)


def hashable(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One step of nesting that leaves a value hashable, as keys and members have to be."""
    return (
        st.lists(part, max_size=3).map(tuple)
        | st.frozensets(part, max_size=3)
        | st.frozensets(part, max_size=3).map(Group)
        | st.builds(Place, text, part)
        | st.builds(Trip, part, part)
        | st.builds(Point, part, part)
        | st.builds(Point, part)
        | st.builds(Pair, part, part)
    )


# no signalling nan: Python itself cannot hash one
_keys = st.recursive(scalars(), hashable, max_leaves=6)


@st.composite
def keys(draw: st.DrawFn) -> Any:
    """A value with a hash."""
    return draw(_keys)


def seen(user: User, value: Any) -> User:
    """A model with something in its private attribute."""
    user._seen = value
    return user


def nested(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One step of nesting, of any kind."""
    return (
        hashable(keys())
        | st.lists(part, max_size=4)
        | st.lists(part, max_size=3).map(tuple)
        | st.lists(part, max_size=3).map(Row)
        | st.dictionaries(text, part, max_size=3)
        | st.dictionaries(keys(), part, max_size=3)
        | st.dictionaries(keys(), part, max_size=3).map(Table)
        | st.dictionaries(keys(), part, max_size=3).map(OrderedDict)
        | st.sets(keys(), max_size=4)
        | st.builds(Place, text, part)
        | st.builds(Trip, part, part)
        | st.builds(Pair, part, part)
        | st.binary(max_size=4).map(bytearray)
        | st.builds(seen, st.builds(User, name=text, More=part, other=part), part)
        | st.builds(User, name=text)
    )


values = st.recursive(scalars(), nested, max_leaves=12)


def parts(value: Any) -> Any:  # noqa: PLR0911  one return for each kind of class
    """A value with every class of ours opened, so that `same` sees into it."""
    kind = type(value)
    if kind is User:
        given = value.model_fields_set, value.model_extra, value._seen
        return kind, value.name, parts(value.more), *map(parts, given)
    if kind is Trip:
        return kind, parts(value._start), parts(value.end)
    if kind is Point:
        return kind, parts(value.at_x), parts(value.at_y) if value.at_y is not msgspec.UNSET else "unset"
    if kind is Place:
        return kind, value.name, parts(value.more)
    if kind is OrderedDict or kind is Table or kind is dict:
        return kind, [(parts(key), parts(item)) for key, item in value.items()]
    if kind in (list, Row, tuple, Pair):
        return kind, [parts(item) for item in value]
    if kind in (set, frozenset, Group):
        return kind, sorted((parts(item) for item in value), key=repr)
    return value


@given(value=values)
@example(value={1: {True: {1.0: ()}}})
@example(value=[dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))])
@example(value={float("nan"), frozenset({float("nan")})})
def test_msgpack_keeps_it(value: Any) -> None:
    """Equal and of the same types, in the same order, with the same zones, at every depth."""
    body = MSGPACK.encode(value, "k")
    assert same(parts(MSGPACK.decode(body)), parts(value))


@given(value=values)
def test_what_came_back_has_the_same_bytes(value: Any) -> None:
    """So bytes may be compared where values cannot, and a copy of a copy is as good as the first."""
    body = MSGPACK.encode(value, "k")
    assert MSGPACK.encode(MSGPACK.decode(body), "k") == body


@given(key=keys())
def test_a_hash_comes_back_too(key: Any) -> None:
    """What can be a key of a dict still finds its place after it was read."""
    back = MSGPACK.decode(MSGPACK.encode(key, "k"))
    assert hash(back) == hash(key) or "nan" in repr(key).lower()


@given(value=values)
def test_json_keeps_it_or_refuses(value: Any) -> None:
    """Never another value, never another error."""
    with suppress(CodecError):
        assert same(JSON.decode(JSON.encode(value, "k")), value)


@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_codec_error(body: bytes) -> None:
    """Of either codec, with classes to be named and without."""
    for codec in (MSGPACK, JSON, Msgpack()):
        for hint in (None, Place, list[User] | None):
            with suppress(CodecError):
                codec.decode(body, hint)


@given(value=values, at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_bytes_with_one_changed_are_a_value_or_a_codec_error(value: Any, at: int, byte: int) -> None:
    """Whatever the checksum of an envelope would have caught before."""
    body = bytearray(MSGPACK.encode(value, "k"))
    body[at % len(body)] = byte
    with suppress(CodecError):
        MSGPACK.decode(bytes(body))
