"""Decisions: pure functions, no clock, no I/O. The core performs what they say.

What a read does at each age of what it finds is `decide`, and only that; `docs/concepts/staleness.md` shows its table.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING, Any, Final

from hotset.entry.entry import NEGATIVE, Spans
from hotset.entry.epochs import Verdict
from hotset.errors import CodecError, NotFound
from hotset.options import XFETCH

if TYPE_CHECKING:
    from hotset.entry.entry import Entry
    from hotset.options import Options

_DELTAS: Final = 20.0
"""How many times its load's cost before the end of its life an entry is thought about: XFetch refreshes it earlier than
that once in 500 million reads."""


class Step(Enum):
    """What a read with a loader does with what it finds."""

    ANSWER = "answer"
    """It is fresh."""
    REFRESH = "refresh"
    """It is fresh, and a refresh is due: answer it, and load it anew behind the caller."""
    REVALIDATE = "revalidate"
    """It is stale: answer it, say so, and load it anew behind the caller."""
    LOAD_OR_STALE = "load or stale"
    """Load it now; if the source is slow or fails, what was found may be answered."""
    LOAD = "load"
    """Load it now; nothing that was found may be answered."""


def decide(entry: Entry | None, verdict: Verdict, now: float, options: Options, chance: float = 1.0) -> Step:
    """Return what a read does with what stands there, by the windows that it was stored with and those of the read.

    `chance`: a number from above 0 to 1, drawn evenly for each read, for "xfetch".
    """
    if entry is None or verdict not in _USABLE or too_old(entry, now, options):
        return Step.LOAD
    if verdict is Verdict.FRESH:
        return Step.REFRESH if _due(entry, now, options, chance) else Step.ANSWER
    after = over(entry, now)
    if verdict is Verdict.STALE and after < (options.stale_while_revalidate or 0.0):
        return Step.REVALIDATE
    return Step.LOAD_OR_STALE if after < fallback(options) else Step.LOAD


_USABLE: Final = frozenset((Verdict.FRESH, Verdict.STALE, Verdict.ENDED))


def over(entry: Entry, now: float) -> float:
    """Return for how many seconds its life has been over: 0 for what `expire` has ended before."""
    return max(now - entry.soft, 0.0)


def too_old(entry: Entry, now: float, options: Options) -> bool:
    """Tell whether a read has asked for something younger; of no age at all is nothing that was there before it."""
    oldest = options.max_age
    return oldest is not None and (not oldest or now - entry.began > oldest)


def _due(entry: Entry, now: float, options: Options, chance: float) -> bool:
    if options.refresh_ahead is None or now < entry.due or entry.flags & NEGATIVE or not entry.spans.early:
        return False
    if options.refresh_ahead != XFETCH:
        return True
    return now - entry.facts.cost * log(chance) >= entry.soft


def patience(step: Step, options: Options) -> float | None:
    """Return for how many seconds a read that loads waits at the most; None without a limit."""
    return options.soft_timeout if softly(step, options) else options.load_timeout


def softly(step: Step, options: Options) -> bool:
    """Tell whether a read that loads answers what it has found once `soft_timeout` is over."""
    return options.soft_timeout is not None and step is Step.LOAD_OR_STALE


def fallback(options: Options) -> float:
    """Return for how many seconds after its life, or its `expire`, a value may be answered for want of a better one.

    With a `soft_timeout` either window will do; without it only that for errors.
    """
    wide = max(options.stale_while_revalidate or 0.0, options.stale_if_error or 0.0)
    return wide if options.soft_timeout else options.stale_if_error or 0.0


def spans(options: Options, life: float, *, chance: float, cost: float = 0.0) -> Spans:
    """Return how long what was loaded is good for what; jitter shortens its life, because a ttl is a promise.

    `chance`: a number from 0 to 1, drawn evenly. `cost`: the seconds that the load took.
    """
    if options.jitter:
        life *= 1.0 - options.jitter * chance
    ahead, windows = options.refresh_ahead, options.stale_while_revalidate or options.stale_if_error
    if not (ahead or windows):
        return plain(life)
    early = _DELTAS * cost if isinstance(ahead, str) else (1.0 - ahead) * life if ahead else 0.0
    return Spans(life, options.stale_while_revalidate or 0.0, fallback(options), min(early, life))


plain = lru_cache(256)(Spans)
"""Returns the spans of what is only fresh: most entries of a cache have one and the same life."""


def drawn() -> float:
    """Return a number from above 0 to 1, drawn evenly."""
    from random import random  # late: few caches throw dice

    return 1.0 - random()


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


def may_fall_back(error: BaseException, entry: Entry, now: float, options: Options) -> bool:
    """Tell whether a caller may answer its own stale value in place of `error`."""
    if isinstance(error, NotFound) or not isinstance(error, options.on) or too_old(entry, now, options):
        return False
    return over(entry, now) < (options.stale_if_error or 0.0)


_READABLE: Final = frozenset((int, str, bytes, float, bool, type(None), dict, list, tuple, set))
"""Most values; all others are looked at."""


def refuse(value: Any, key: object) -> CodecError | None:
    """Return the error for a value that a second reader could not read again, if it is one."""
    kind = type(value)
    if kind in _READABLE:
        return None
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return CodecError(
            f"the value of {key!r} is a {kind.__name__}, which can be read only once; "
            "cache what it yields, as in list(...) or tuple(...)"
        )
    if hasattr(kind, "__await__"):
        return CodecError(f"the value of {key!r} is a {kind.__name__}, which must be awaited; cache what it returns")
    return None
