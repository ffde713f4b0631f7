"""Signed pickles: what proves them, what does not, and that nothing is unpickled before it is proven."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import pytest

from hotset import Cache, CodecError, ConfigError
from hotset.entry.codecs import codec_of
from hotset.entry.names import name_of
from hotset.entry.pickled import Pickled, SignedPickle

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW, OTHER = (letter * 20 for letter in (b"o", b"n", b"x"))


class Bomb:
    """Its pickle runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_for_one_key_of_one_namespace() -> None:
    """Moved to another of either it is an error; a digest and the text that looks like it are two keys."""
    codec = SignedPickle([NEW]).within("shop")
    body = codec.encode({"a": 1}, "user:7")
    assert codec.decode(body, None, "user:7") == {"a": 1}
    for reader, key in ((codec, "user:8"), (codec, ""), (codec.within("sho"), "puser:7"), (codec.within(""), "user:7")):
        with pytest.raises(CodecError, match="no signature of ours"):
            reader.decode(body, None, key)
    digest = name_of(b"\x00\xff")
    with pytest.raises(CodecError):
        codec.decode(codec.encode(1, digest), None, str(digest))


def test_the_first_key_signs_and_each_is_accepted() -> None:
    """So a new key is put first, and the old one taken out once nothing that it signed is left."""
    before, during, after = SignedPickle([OLD]), SignedPickle([NEW, OLD]), SignedPickle([NEW])
    assert during.decode(before.encode(1, "k"), None, "k") == 1
    assert after.decode(during.encode(1, "k"), None, "k") == 1
    with pytest.raises(CodecError):
        after.decode(before.encode(1, "k"), None, "k")
    with pytest.raises(CodecError):
        before.decode(during.encode(1, "k"), None, "k")


def test_nothing_is_unpickled_before_its_signature_is_proven(tmp_path: Path) -> None:
    """Unsigned, signed with another key, or with any byte changed: the code in it does not run."""
    codec, bomb = SignedPickle([NEW]), Bomb(tmp_path / "boom")
    good = codec.encode(bomb, "k")
    bodies = [pickle.dumps(bomb), b"\0" * 32 + b"v" + pickle.dumps(bomb), SignedPickle([OTHER]).encode(bomb, "k")]
    bodies.extend(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(len(good)))
    for body in (*bodies, *(good[:at] for at in range(len(good)))):
        with pytest.raises(CodecError):
            codec.decode(body, None, "k")
    assert not bomb.path.exists()
    codec.decode(good, None, "k")
    assert bomb.path.exists(), "the bomb is one"


def test_what_came_as_a_pickle_comes_back_as_one() -> None:
    """Proven, and not read: each reader makes a copy of its own."""
    codec = SignedPickle([NEW])
    back = codec.decode(codec.encode(Pickled.of([1]), "k"), None, "k")
    assert isinstance(back, Pickled)
    assert back.value() == [1]
    assert back.value() is not back.value()


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({"codec": "pickle"}, "have to be signed"),
        ({"codec": "pickle", "signing_keys": []}, "have to be signed"),
        ({"codec": "pickle", "signing_keys": "one secret alone"}, "not one secret alone"),
        ({"codec": "pickle", "signing_keys": ["short-secret"]}, "at least 16"),
        ({"codec": "pickle", "signing_keys": [7]}, "none of int"),
        ({"codec": "pickle", "signing_keys": 7}, "not int"),
        ({"signing_keys": ["a long enough secret"]}, "for codec='pickle' alone"),
    ],
)
def test_wrong_keys_are_refused(given: dict[str, object], complaint: str) -> None:
    """With a message that says what is right, and shows no secret."""
    with pytest.raises(ConfigError, match=complaint) as caught:
        Cache(**given)  # type: ignore[arg-type]  # on purpose
    assert "short-secret" not in str(caught.value)


def test_no_repr_shows_a_key() -> None:
    """Neither that of the codec nor that of the settings."""
    cache = Cache(codec="pickle", signing_keys=["a long enough secret"])
    shown = f"{cache!r} {cache._space.settings!r} {cache._space.codec!r} {codec_of('pickle', None, [NEW])!r}"
    assert "secret" not in shown
    assert "nnn" not in shown
