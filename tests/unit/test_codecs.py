"""The codecs by name, their errors, and JSON of a known type."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hotset.entry.codec import Json
from hotset.entry.codecs import JSON, MSGPACK, codec_of
from hotset.entry.registry import Registry
from hotset.errors import CodecError, ConfigError
from tests.unit.test_classes_kept import Box, Leaf, Model, Page, Part

DEEP = """
from hotset.entry.codec import Msgpack
from hotset.errors import CodecError
body = b"\\xc0"
for _ in range(200):
    body = b"\\x91" * 1000 + b"\\xc9" + len(body).to_bytes(4, "big") + b"\\x01" + body
try:
    Msgpack().decode(b"\\x91" + body)
except CodecError as error:
    print("refused")
"""


def test_bytes_made_to_overflow_the_stack_do_not() -> None:
    """Lists in tuples in lists, two hundred thousand deep: an error, where a crash would end the process."""
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n")


def test_an_error_says_which_type_and_which_key() -> None:
    """Both the value's own type and the one at fault within it."""
    with pytest.raises(CodecError, match=r"the value of 'user:7', of type dict, cannot be kept: complex"):
        MSGPACK.encode({"a": [1j]}, "user:7")


@pytest.mark.parametrize(
    "value, hint",
    [
        (Box(Leaf(1)), Box[Leaf]),
        (Page(Leaf=Leaf(1)), Page),
        ({1: 2}, dict[int, int]),
        ((1, 2.0), tuple[int, float]),
        ({"a"}, set[str]),
        (Part(Leaf(1)), Part | None),
    ],
    ids=str,
)
def test_json_with_a_type_keeps_what_comes_back_exactly(value: Any, hint: Any) -> None:
    """Readable by other programs, and the same value here."""
    assert Json().decode(Json().encode(value, "k", hint), hint) == value


@pytest.mark.parametrize(
    "value, hint",
    [((1, 2), list[int]), ([1], list[float]), (Leaf(1), dict[str, int]), (Model(leaf=Leaf(1), names=["a"]), Model)],
    ids=lambda value: str(value)[:20],
)
def test_json_with_a_type_refuses_what_would_come_back_otherwise(value: Any, hint: Any) -> None:
    """A tuple as a list, an int as a float, a class as a dict, a model that its validators change."""
    with pytest.raises(CodecError):
        Json().encode(value, "k", hint)


@pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=["msgpack", "json"])
def test_what_holds_itself_is_said_to(codec: Any) -> None:
    """Not taken for something very deep; and what stands twice beside itself does not hold itself."""
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    with pytest.raises(CodecError, match="a dict that holds itself"):
        codec.encode(value, "k")
    part = [[1]]
    assert codec.decode(codec.encode([part, part, {"a": part}], "k")) == [part, part, {"a": part}]


def test_a_hundred_containers_in_one_another_are_the_limit() -> None:
    """Of any kind: the error says so, and names the kind that was one too many."""
    for make in (lambda inner: [inner], lambda inner: (inner,), lambda inner: {"a": inner}, lambda inner: {1: inner}):
        value: Any = make([None])  # a container of plain values alone is not gone into
        for _ in range(99):
            value = make(value)
        assert MSGPACK.decode(MSGPACK.encode(value, "k")) == value
        with pytest.raises(CodecError, match=f"more than 100 containers in one another, a {type(value).__name__}"):
            MSGPACK.encode(make(value), "k")


def test_json_reads_what_others_wrote_as_the_type_says() -> None:
    """And refuses what is not of the type."""
    assert JSON.decode(b'{"size": 3}', Leaf) == Leaf(3)
    with pytest.raises(CodecError, match="size"):
        JSON.decode(b'{"size": "3"}', Leaf)


def test_a_codec_is_had_by_name() -> None:
    """With the classes of a registry of one's own, if one is given."""
    registry = Registry()
    registry.register(Leaf)
    assert codec_of("msgpack") is MSGPACK
    assert codec_of("json") is JSON
    own = codec_of("msgpack", registry)
    assert own.decode(own.encode(Leaf(1), "k")) == Leaf(1)
    with pytest.raises(ConfigError, match=r"did you mean 'msgpack'\? valid are json, msgpack"):
        codec_of("msgpak")
    with pytest.raises(ConfigError, match="signed"):
        codec_of("pickle")
    with pytest.raises(ConfigError, match="valid are json, msgpack"):
        codec_of(None)  # type: ignore[arg-type]  # on purpose
