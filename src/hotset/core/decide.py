"""Decisions: pure functions, no clock, no I/O. The core performs what they say."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from hotset.errors import CodecError, NotFound

if TYPE_CHECKING:
    from hotset.options import Options


class AfterFailure(Enum):
    """What becomes of a load whose loader raised."""

    REMEMBER = "remember"
    """Keep the NotFound for `negative_ttl`."""
    FORGET = "forget"
    """The source has no such thing: remove what stood there."""
    FALL_BACK = "fall back"
    """Leave what stands there; who has a stale value at hand answers with it."""


def after_failure(error: BaseException, options: Options) -> AfterFailure:
    """Return what to do with a slot whose loader raised `error`."""
    if not isinstance(error, NotFound):
        return AfterFailure.FALL_BACK
    return AfterFailure.REMEMBER if options.negative_ttl else AfterFailure.FORGET


def may_fall_back(error: BaseException) -> bool:
    """Tell whether a caller may answer its own stale value in place of `error`: any Exception but NotFound."""
    return isinstance(error, Exception) and not isinstance(error, NotFound)


def refuse(value: Any, key: object) -> CodecError | None:
    """Return the error for a value that a second reader could not read again, if it is one."""
    kind = type(value)
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return CodecError(
            f"the value of {key!r} is a {kind.__name__}, which can be read only once; "
            "cache what it yields, as in list(...) or tuple(...)"
        )
    if hasattr(kind, "__await__"):
        return CodecError(f"the value of {key!r} is a {kind.__name__}, which must be awaited; cache what it returns")
    return None
