"""The envelope: what was packed is read, and whatever else is None."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset.entry import wire
from hotset.entry.wire import Record, new_mark, pack, placeholder, unpack
from hotset.errors import CodecError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "wire.md"
eight = st.binary(min_size=8, max_size=8)
count = st.integers(0, 2**64 - 1)
moment = st.integers(-(2**63), 2**63 - 1)
records = st.builds(
    Record,
    mark=eight,
    generation=eight,
    instant=count,
    version=count,
    began_at=moment,
    soft=moment,
    window=count,
    revalidate=count,
    early=count,
    cost=count,
    negative=st.booleans(),
    placeholder=st.booleans(),
    ended=st.booleans(),
    codec=st.integers(0, 255),
    tags=st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=4).map(tuple),
    etag=st.text(st.characters(codec="utf-8"), max_size=9),
    body=st.binary(max_size=50),
)
SAMPLE = Record(
    *(b"mark....", b"generatn", 7, 8, 9, 10, 11, 0),
    tags=("users", "team:→"),
    codec=1,
    early=12,
    cost=13,
    etag='W/"é"',
    body=b"\x01\x02\x03",
)
SET_IN_PLACE = {*range(wire.STATE, wire.MARK_END + 1), *range(wire.BEGAN_AT, wire.SOFT_END + 1)}


@given(record=records)
def test_what_was_packed_is_read(record: Record) -> None:
    """Every field, and a body and tags of any length."""
    assert unpack(pack(record)) == record
    assert unpack(bytearray(pack(record))) == record
    assert unpack(memoryview(pack(record))) == record


@given(data=st.binary(max_size=200))
def test_chance_is_nothing(data: bytes) -> None:
    """Bytes by chance are no envelope, with or without a head that looks like one."""
    assert unpack(data) is None
    assert unpack(wire.MAGIC + bytes([wire.FORMAT]) + data) is None


@given(record=records, cut=st.integers(0, 200))
def test_what_is_cut_short_or_goes_on_is_nothing(record: Record, cut: int) -> None:
    """At every place."""
    whole = pack(record)
    assert unpack(whole[: min(cut, len(whole) - 1)]) is None
    assert unpack(whole + b"\x00" * (cut + 1)) is None


@given(record=records, at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_turned_bit_is_seen(record: Record, at: int, bit: int) -> None:
    """Outside of what scripts set in place it makes the envelope nothing; inside it changes that alone."""
    whole = bytearray(pack(record))
    at %= len(whole)
    whole[at] ^= 1 << bit
    read = unpack(whole)
    if at not in SET_IN_PLACE:
        assert read is None
    elif at == wire.STATE and bit > 1:
        assert read is None, "a state of a later version"
    else:
        assert read is not None
        assert read != record
        same = replace(
            read,
            mark=record.mark,
            began_at=record.began_at,
            soft=record.soft,
            placeholder=record.placeholder,
            ended=record.ended,
        )
        assert same == record


def test_every_bit_of_one() -> None:
    """As above, with no bit of this one left out."""
    whole = pack(SAMPLE)
    for at in set(range(len(whole))) - SET_IN_PLACE:
        for bit in range(8):
            turned = bytearray(whole)
            turned[at] ^= 1 << bit
            assert unpack(turned) is None, at


def test_many_turned_at_once() -> None:
    """Heavier damage is seen too, or changes what may be set in place alone."""
    source = random.Random(1)
    whole = pack(SAMPLE)
    for _ in range(5000):
        turned = bytearray(whole)
        for _ in range(source.randrange(1, 30)):
            turned[source.randrange(len(whole))] = source.randrange(256)
        read = unpack(turned)
        assert read is None or (read.body, read.tags, read.instant) == (SAMPLE.body, SAMPLE.tags, SAMPLE.instant)


@pytest.mark.parametrize("data", [None, 1, "hs", [], object(), {}, b"", b"hs\x01", float("nan")], ids=repr)
def test_anything_else_is_nothing(data: object) -> None:
    """Whatever a store's client may hand over."""
    assert unpack(data) is None


def test_a_view_that_was_released_is_nothing() -> None:
    """It has no bytes any more."""
    view = memoryview(pack(SAMPLE))
    view.release()
    assert unpack(view) is None


@pytest.mark.parametrize("state", [4, 8, 128, 255])
def test_a_state_that_this_version_does_not_know_is_nothing(state: int) -> None:
    """No checksum covers it, so its other bits are looked at."""
    whole = bytearray(pack(SAMPLE))
    whole[wire.STATE] = state
    assert unpack(whole) is None


@pytest.mark.parametrize("at, byte", [(2, 2), (wire.COMPRESSION, 1), (wire.SEAL, 1), (wire.FLAGS, 2)])
def test_what_this_version_does_not_know_is_nothing(at: int, byte: int) -> None:
    """A later layout, compression, seal or flag, though its checksum is right."""
    whole = bytearray(pack(SAMPLE))
    whole[at] = byte
    total = wire._checksum(bytes(whole[: wire.HEADER]), bytes(whole[wire.HEADER :]), b"")
    whole[wire.CHECKSUM : wire.HEADER] = total.to_bytes(4, "little")
    assert unpack(whole) is None


@pytest.mark.parametrize("tags", [b"\x01", b"\x05\x00abc", b"\x01\x00\xff", b"\x00\x00\x01"])
def test_tags_that_do_not_parse_are_nothing(tags: bytes) -> None:
    """Though the checksum is right."""
    header = bytearray(pack(replace(SAMPLE, tags=(), etag="", body=b""))[: wire.HEADER])
    header[wire.TAGS_LENGTH : wire.BODY_LENGTH] = len(tags).to_bytes(4, "little")
    total = wire._checksum(bytes(header), tags, b"")
    header[wire.CHECKSUM :] = total.to_bytes(4, "little")
    assert unpack(bytes(header) + tags) is None
    good = b"\x01\x00a"
    header[wire.TAGS_LENGTH : wire.BODY_LENGTH] = len(good).to_bytes(4, "little")
    header[wire.CHECKSUM :] = wire._checksum(bytes(header), good, b"").to_bytes(4, "little")
    read = unpack(bytes(header) + good)
    assert read is not None
    assert read.tags == ("a",)


def test_an_etag_that_is_no_text_is_nothing() -> None:
    """Though the checksum is right."""
    header = bytearray(pack(replace(SAMPLE, tags=(), etag="", body=b""))[: wire.HEADER])
    for etag, good in [(b"\xff", False), (b"e", True)]:
        header[wire.ETAG_LENGTH : wire.CHECKSUM] = len(etag).to_bytes(2, "little")
        header[wire.CHECKSUM :] = wire._checksum(bytes(header), etag, b"").to_bytes(4, "little")
        read = unpack(bytes(header) + etag)
        assert (read is not None) is good
        assert read is None or read.etag == "e"


def test_scripts_find_their_places() -> None:
    """The bytes at the offsets are the fields, and what is set there is read."""
    whole = bytearray(pack(SAMPLE))
    assert whole[wire.MARK : wire.MARK_END + 1] == SAMPLE.mark
    assert whole[wire.GENERATION : wire.GENERATION_END + 1] == SAMPLE.generation
    assert int.from_bytes(whole[wire.INSTANT : wire.INSTANT + 8], "little") == SAMPLE.instant
    assert int.from_bytes(whole[wire.SOURCE : wire.SOURCE_END + 1], "little") == SAMPLE.version
    mark = new_mark()
    whole[wire.STATE] |= wire.ENDED
    whole[wire.MARK : wire.MARK_END + 1] = mark
    whole[wire.BEGAN_AT : wire.SOFT] = (-9).to_bytes(8, "little", signed=True)
    whole[wire.SOFT : wire.SOFT_END + 1] = (-5).to_bytes(8, "little", signed=True)
    assert unpack(whole) == replace(SAMPLE, ended=True, mark=mark, began_at=-9, soft=-5)


def test_a_placeholder_is_a_header_alone() -> None:
    """With the mark of who loads and the generation that it loads for."""
    lease = placeholder(b"12345678", b"abcdefgh")
    assert len(lease) == wire.HEADER
    assert unpack(lease) == Record(b"12345678", b"abcdefgh", placeholder=True)


def test_marks_are_all_different() -> None:
    """Eight bytes each."""
    marks = {new_mark() for _ in range(1000)}
    assert len(marks) == 1000
    assert {len(mark) for mark in marks} == {8}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"mark": b"short"}, "mark"),
        ({"generation": b""}, "generation"),
        ({"instant": -1}, "number"),
        ({"soft": 2**63}, "number"),
        ({"codec": 256}, "number"),
        ({"tags": ("a" * 65_536,)}, "65535"),
        ({"tags": ("\ud800",)}, "surrogate"),
        ({"etag": "a" * 65_536}, "etag .*65535"),
        ({"etag": "\ud800"}, "etag .*surrogate"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_what_does_not_fit_is_refused(change: dict[str, object], words: str) -> None:
    """With an error that says what."""
    with pytest.raises(CodecError, match=words):
        pack(replace(SAMPLE, **change))  # type: ignore[arg-type]  # wrong on purpose


def test_a_body_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both numbers."""
    monkeypatch.setattr(wire, "BODY_LIMIT", 2)
    with pytest.raises(CodecError, match="3 bytes is over the limit of 2"):
        pack(SAMPLE)


def test_the_page_says_what_the_code_does() -> None:
    """Every offset of the table in `docs/reference/wire.md` is the constant of that name, and none is missing."""
    rows = re.findall(r"^\| (\d+) \| \d+ \| [^|]+ \| `([A-Z_]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {name: int(offset) for offset, name in rows}
    names = [name for name in vars(wire) if name.isupper() and not name.startswith("_")]
    apart = {"MAGIC", "FORMAT", "HEADER", "PLACEHOLDER", "ENDED", "NEGATIVE"}
    places = {name for name in names if not name.endswith(("_END", "_SIZE", "_LIMIT")) and name not in apart}
    assert told == {name: getattr(wire, name) for name in places}


def test_the_rows_of_the_page_follow_one_another() -> None:
    """Offset and length of each field lead to the next, and the last to the end of the header."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ", PAGE.read_text("utf-8"), re.MULTILINE)
    ends = [int(offset) + int(length) for offset, length in rows]
    assert [int(offset) for offset, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == wire.HEADER
