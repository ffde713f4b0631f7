"""The codecs that ship pass the suite that ships."""

from __future__ import annotations

from types import NoneType

from hotset.entry.codec import Codec, Json, Msgpack
from hotset.testing import CodecConformance


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
