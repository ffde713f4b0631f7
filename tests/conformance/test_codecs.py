"""The codecs that ship pass the suite that ships."""

from __future__ import annotations

from types import NoneType
from typing import Any

import pytest

from hotset.entry.codec import Codec, Json, Msgpack
from hotset.entry.pickled import SignedPickle
from hotset.errors import CodecError
from hotset.testing import CodecConformance
from hotset.testing.codec_conformance import SUBCLASSES, Place, Trip
from hotset.testing.same import same


class TestMsgpack(CodecConformance):
    """Everything, exactly."""

    def make_codec(self) -> Codec:
        """Return the codec."""
        return Msgpack()


class TestJson(CodecConformance):
    """What JSON has, and no more."""

    promises = frozenset({NoneType, bool, int, float, str, list, dict})
    keeps_any_key = False
    keeps_not_finite = False

    def make_codec(self) -> Codec:
        """Return the codec."""
        return Json()


class TestSignedPickle(CodecConformance):
    """Everything that pickles, of classes that nobody registered too: what the suite has refused, this one keeps."""

    def make_codec(self) -> Codec:
        """Return the codec."""
        return SignedPickle([b"a secret of these tests"])

    @pytest.mark.parametrize("value", SUBCLASSES, ids=repr)
    def test_a_class_that_nobody_registered_is_refused(self, codec: Codec, value: Any) -> None:
        """No: it is kept, and comes back as what it was."""
        self.check(codec, [value], kept=True)

    @pytest.mark.parametrize(
        "value", [lambda: 1, memoryview(b"x"), (_ for _ in ()), open], ids=lambda value: type(value).__name__
    )
    def test_what_no_reader_could_have_is_refused(self, codec: Codec, value: Any) -> None:
        """Fewer than elsewhere; the error names the key."""
        if value is open:
            assert codec.decode(codec.encode(value, "k"), None, "k") is open
            return
        with pytest.raises(CodecError, match="user:7"):
            codec.encode([value], "user:7")

    def test_a_lone_surrogate_as_a_key_is_refused(self, codec: Codec) -> None:
        """No: pickle has a way to say it."""
        self.check(codec, {"\udfff": 1}, kept=True)

    def test_what_holds_itself_is_refused(self, codec: Codec) -> None:
        """No: it comes back, and holds itself."""
        value: list[Any] = []
        value.append(value)
        [inner] = back = codec.decode(codec.encode(value, "k"), None, "k")
        assert inner is back

    @pytest.mark.parametrize("value, hint", [(Place("Rome", 20), Place), (Trip([Place("Rome")]), None)])
    def test_the_type_makes_its_classes_known(self, codec: Codec, value: Any, hint: Any) -> None:
        """They are known without."""
        self.check(codec, value, kept=True, type=hint)

    def test_equal_values_have_equal_bytes(self, codec: Codec) -> None:
        """Sets apart, which pickle writes as they lie; equal values come back from either."""
        assert codec.encode({"b": [1, 2.5]}, "k") == codec.encode({"b": [1, 2.5]}, "k")
        one, other = codec.encode({0, 8}, "k"), codec.encode({8, 0}, "k")
        assert same(codec.decode(one, None, "k"), codec.decode(other, None, "k"))

    @staticmethod
    def check(codec: Codec, value: Any, *, kept: bool, type: Any = None) -> None:
        """As the suite's, for the key that the bytes were signed for."""
        assert kept
        assert same(codec.decode(codec.encode(value, "k", type), type, "k"), value)
