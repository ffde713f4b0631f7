"""The conformance suite of codecs: subclass it, say how a codec is made, and run it with pytest.

```python
class TestMyCodec(CodecConformance):
    promises = frozenset({type(None), bool, int, float, str, list, dict})

    def make_codec(self):
        return MyCodec()
```
"""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from hotset.errors import CodecError
from hotset.testing.same import same

if TYPE_CHECKING:
    from hotset.entry.codec import Codec

EAST = timezone(timedelta(hours=5, minutes=30))
HERE = ZoneInfo("UTC")
NAN = float("nan")

SAMPLES: dict[type, tuple[Any, ...]] = {
    NoneType: (None,),
    bool: (True, False),
    int: (0, -1, 127, 128, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    float: (0.0, -0.0, 1.0, 0.1, 1e22, 5e-324, 1.7976931348623157e308),
    str: ("", "a", "é", "→", "\U0001f600", "\x00", "a" * 70_000),
    list: ([], [1, "1", None, True, 1.0], [[[]]], [0] * 70_000),
    dict: ({}, {"b": 1, "a": 2}, {"": {"x": []}}, {str(number): number for number in range(20)}),
    bytes: (b"", b"\x00\xff", b"x" * 70_000),
    bytearray: (bytearray(), bytearray(b"\x00\xff")),
    tuple: ((), (1,), ((), (1, [2])), tuple(range(70_000))),
    set: (set(), {1}, {1, "1", None, 2.5, (1, 2), frozenset({3})}, set(range(70_000))),
    frozenset: (frozenset(), frozenset({"a", "b", "c"}), frozenset({frozenset()})),
    datetime: (
        *(datetime.min, datetime.max, datetime(2024, 2, 29, 23, 59, 59, 999_999)),  # noqa: DTZ001, DTZ901  naive ones
        *(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=EAST), datetime(2024, 1, 1, tzinfo=HERE)),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=-1, microseconds=5), "odd")),
        datetime(2024, 10, 27, 2, 30, fold=1),  # noqa: DTZ001
    ),
    date: (date.min, date.max, date(2024, 2, 29)),
    time: (time.min, time.max, time(1, 2, 3, 4, tzinfo=EAST), time(1, fold=1)),
    timedelta: (timedelta.min, timedelta.max, timedelta(0), timedelta(days=-1, microseconds=1)),
    Decimal: (
        Decimal("1.10"),
        Decimal("-0"),
        Decimal("1E+400"),
        Decimal("NaN"),
        Decimal("sNaN12"),
        Decimal("-Infinity"),
    ),
    UUID: (UUID(int=0), UUID("12345678-1234-5678-1234-567812345678")),
}
"""Values of each type that a codec may promise."""

KEYED = ({1: 2}, {(1, "a"): [1], None: 0, 2.5: 1, True: 2}, {b"x": "y", "x": b"y"})
"""Dicts whose keys are not all text."""


@dataclass(frozen=True)
class Place:
    """A class that nobody registers."""

    name: str
    height: int = 0


@dataclass(frozen=True)
class Trip:
    """Another, which leads to the first."""

    places: list[Place] = field(default_factory=list)
    home: Place | None = None


class _Text(str):
    __slots__ = ()


class _Number(int):
    pass


class _Share(float):
    pass


class _Raw(bytes):
    pass


class _Table(dict[str, int]):
    pass


class _Row(list[int]):
    pass


class _Size(IntEnum):
    SMALL = 1


class _Colour(StrEnum):
    RED = "red"


class _State(Enum):
    ON = 1


SUBCLASSES = (
    *(_Text("a"), _Number(1), _Share(1), _Raw(b"a"), _Table(a=1), _Row([1])),
    *(_Size.SMALL, _Colour.RED, _State.ON, Place("Rome")),
)
"""What nobody registered."""


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


class CodecConformance:
    """What `hotset.entry.codec.Codec` promises."""

    promises: ClassVar[frozenset[type]] = frozenset(SAMPLES)
    """The types whose values it keeps, whatever they hold. Of the others it has to refuse every one, or a reader would
    get another type."""
    keeps_any_key: ClassVar[bool] = True
    """Whether dicts may have keys other than text."""
    keeps_not_finite: ClassVar[bool] = True
    """Whether nan and inf are kept; else they are refused."""

    def make_codec(self) -> Codec:
        """Return a codec, without any class registered; to be overridden."""
        raise NotImplementedError("a conformance suite says how its codec is made: override make_codec")

    @pytest.fixture
    def codec(self) -> Codec:
        """Return the codec under test."""
        return self.make_codec()

    @staticmethod
    def check(codec: Codec, value: Any, *, kept: bool, type: Any = None) -> None:
        """Have a value encoded and decoded: it is the same, or it is refused at once."""
        if kept:
            body = codec.encode(value, "k", type)
            assert isinstance(body, bytes)
            assert same(codec.decode(body, type, "k"), value)
        else:
            with pytest.raises(CodecError):
                codec.encode(value, "k", type)

    def test_it_has_a_name_and_a_number(self, codec: Codec) -> None:
        """An envelope has one byte for the number, and 0 is no codec."""
        assert codec.name
        assert 0 < codec.id < 256

    @pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
    def test_a_value_comes_back_as_it_was(self, codec: Codec, kind: type) -> None:
        """Of the same type and equal, or it is refused."""
        for value in SAMPLES[kind]:
            self.check(codec, value, kept=kind in self.promises)

    @pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
    def test_inside_others_too(self, codec: Codec, kind: type) -> None:
        """Whatever holds it."""
        for value in SAMPLES[kind]:
            kept = kind in self.promises
            self.check(codec, {"a": [value, {"b": value}]}, kept=kept)
            self.check(codec, (value, [value]), kept=kept and tuple in self.promises)

    @pytest.mark.parametrize("value", KEYED, ids=repr)
    def test_any_key_of_a_dict(self, codec: Codec, value: dict[Any, Any]) -> None:
        """Keys keep their types and their order, or are refused."""
        self.check(codec, value, kept=self.keeps_any_key)
        self.check(codec, [value], kept=self.keeps_any_key)

    @pytest.mark.parametrize("value", [NAN, -NAN, float("inf"), float("-inf")], ids=repr)
    def test_what_is_not_finite(self, codec: Codec, value: float) -> None:
        """It is kept, or refused; never null."""
        self.check(codec, value, kept=self.keeps_not_finite)
        self.check(codec, {"a": [value]}, kept=self.keeps_not_finite)

    @pytest.mark.parametrize("value", SUBCLASSES, ids=repr)
    def test_a_class_that_nobody_registered_is_refused(self, codec: Codec, value: Any) -> None:
        """A subclass never comes back as its base, nor an enum as its value; the error names class and key."""
        for holder in (value, [value], {"a": value}):
            with pytest.raises(CodecError, match=type(value).__name__) as caught:
                codec.encode(holder, "user:7")
            assert "user:7" in str(caught.value)
        with pytest.raises(CodecError):
            codec.encode({value if value.__hash__ else "a": value}, "k")

    @pytest.mark.parametrize(
        "value",
        [2**64, -(2**63) - 1, 10**5000, "\ud800", object(), len, 1j, memoryview(b"x"), range(3), NotImplemented],
        ids=lambda value: type(value).__name__,
    )
    def test_what_no_reader_could_have_is_refused(self, codec: Codec, value: Any) -> None:
        """With an error that names the key, wherever it stands."""
        for holder in (value, [value], {"a": [value]}):
            with pytest.raises(CodecError, match="user:7"):
                codec.encode(holder, "user:7")

    def test_a_lone_surrogate_as_a_key_is_refused(self, codec: Codec) -> None:
        """As it is in a value."""
        with pytest.raises(CodecError):
            codec.encode({"\udfff": 1}, "k")

    def test_what_holds_itself_is_refused(self, codec: Codec) -> None:
        """Without an end, and without a crash."""
        with pytest.raises(CodecError):
            codec.encode(_itself(), "k")

    def test_what_is_too_deep_is_refused(self, codec: Codec) -> None:
        """Fifty lists in one another are kept; a hundred thousand are no crash."""
        self.check(codec, _deep(50), kept=True)
        with pytest.raises(CodecError):
            codec.encode(_deep(100_000), "k")

    @pytest.mark.parametrize(
        "value, hint",
        [
            (Place("Rome", 20), Place),
            ([Place("Rome")], list[Place]),
            ({"a": Place("Rome"), "b": None}, dict[str, Place | None] | None),
            (None, Place | None),
            (Trip([Place("Rome"), Place("Bern", 540)], Place("Oslo")), Trip),
        ],
        ids=["class", "list", "dict", "none", "nested"],
    )
    def test_the_type_makes_its_classes_known(self, codec: Codec, value: Any, hint: Any) -> None:
        """For that call; without it they are refused."""
        self.check(codec, value, kept=True, type=hint)
        self.check(codec, value, kept=value is None)

    def test_equal_values_have_equal_bytes(self, codec: Codec) -> None:
        """A set has no order, so none that would show."""
        twice: list[tuple[Any, Any]] = [({"b": [1, 2.5], "a": None}, {"b": [1, 2.5], "a": None})]
        if set in self.promises:  # 0 and 8 meet in the same place of a small set: the first that comes has it
            twice += [({0, 8}, {8, 0}), ({0, 8, 0.5}, {8, 0, 0.5}), (frozenset((0, 8, None)), frozenset((8, 0, None)))]
        for one, other in twice:
            assert codec.encode(one, "k") == codec.encode(other, "k")

    def test_bytes_that_are_none_of_its_own_are_an_error(self, codec: Codec) -> None:
        """Cut short, or with a bit turned, or by chance: a value or a `CodecError`, nothing else."""
        source = random.Random(7)
        value = [
            samples[-1] for kind, samples in SAMPLES.items() if kind in self.promises if len(repr(samples[-1])) < 999
        ]
        whole = codec.encode(value, "k")
        bodies = [whole[:cut] for cut in range(len(whole))]
        for _ in range(2000):
            flipped = bytearray(whole)
            flipped[source.randrange(len(whole))] ^= 1 << source.randrange(8)
            bodies += (bytes(flipped), source.randbytes(source.randrange(12)))
        refused = 0
        for body in bodies:
            try:
                codec.decode(body)
            except CodecError:
                refused += 1
        assert refused > len(whole)

    def test_deep_bytes_are_no_crash(self, codec: Codec) -> None:
        """A hundred thousand brackets, in the words of MessagePack and of JSON: each is an error to one of the two."""
        for body in (b"\x91" * 100_000, b"[" * 100_000, b'{"a":' * 100_000):
            with suppress(CodecError):
                codec.decode(body)
