"""Options: one frozen value inside, typed keywords outside; cache default < family < call (DESIGN 4.1)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict

from hotset.errors import ConfigError, NotFound, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

Duration: TypeAlias = float | timedelta | str
"""Seconds, a timedelta, or text such as "250ms", "90s", "10m", "1.5h", "7d", "2w"."""

Age: TypeAlias = Duration | None
"""At most so old; None for any age."""

FOREVER = 100 * 365.25 * 86_400.0
"""An endless life is a century: then `deadline - life` stays a number."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"\s*(\d+(?:_\d+)*\.?\d*|\.\d+)\s*(ms|s|m|h|d|w)\s*")


def seconds(value: object, setting: str) -> float:
    """Return a duration in seconds, or raise a `ConfigError` that names the setting."""
    valid = f'{setting}: a duration is a number of seconds, a timedelta, or text such as "90s", "10m", "1.5h", "7d"'
    number = _number(value, valid)
    if not number > 0:
        raise ConfigError(f"{valid}, and greater than zero; not {value!r}")
    return min(number, FOREVER)


def _number(value: object, valid: str) -> float:
    if isinstance(value, bool):
        raise ConfigError(f"{valid}; not {value!r}")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Real):
        try:
            return float(value)
        except OverflowError:  # a whole number beyond all floats
            return math.inf if value == abs(value) else -math.inf
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _UNITS[found[2]]
    raise ConfigError(f"{valid}; not {value!r}")


def _or_none(value: object, setting: str) -> float | None:
    """Return a duration in seconds; 0 is None, which switches off what a wider default has switched on."""
    valid = (
        f'{setting}: a duration is a number of seconds, a timedelta, or text such as "90s", "10m", "1.5h", "7d"; '
        "0 for none"
    )
    number = _number(value, valid)
    if not number >= 0:
        raise ConfigError(f"{valid}; not {value!r}")
    return min(number, FOREVER) or None


def _limit(value: object, setting: str) -> float | None:
    """Return a duration in seconds; an endless one is None, no limit."""
    number = seconds(value, setting)
    return number if number < FOREVER else None


def bound(value: object, setting: str) -> float:
    """Return a duration in seconds that may be 0."""
    return _or_none(value, setting) or 0.0


def _fraction(value: object, setting: str) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ConfigError(f"{setting}: a fraction of ttl, from 0 (none) to below 1, such as 0.1; not {value!r}")
    return float(value) or None


def _early(value: object, setting: str) -> float | str | None:
    if value == XFETCH:
        return XFETCH
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ConfigError(
            f"{setting}: the fraction of ttl after which a value is loaded anew, above 0 and below 1, such as 0.8, "
            f'or "xfetch"; 0 for none; not {value!r}'
        )
    return float(value) or None


def version(value: object, setting: str) -> int:
    """Return the version of a value at its source, or raise a `ConfigError` that names the setting."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**64:
        raise ConfigError(f"{setting}: a whole number from 1 to 2**64 - 1 that grows with each change; not {value!r}")
    return value


def _errors(value: object, setting: str) -> tuple[type[Exception], ...]:
    given: tuple[Any, ...] = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    valid = f"{setting}: exceptions for which a stale value is answered, such as on=(ConnectionError, TimeoutError)"
    if not given:
        raise ConfigError(f"{valid}; not none: stale_if_error=0 answers no stale value")
    for each in given:
        if not isinstance(each, type) or not issubclass(each, Exception):
            raise ConfigError(f"{valid}; not {each!r}")
        if issubclass(each, NotFound):
            raise ConfigError(
                f"{valid}; not {each.__name__}: the source has no such thing, which negative_ttl may remember"
            )
    return given


class OptionArgs(TypedDict, total=False):
    """The options that a cache, a family and a call take as keywords."""

    ttl: Duration | None
    """How long a value is fresh, counted from when its load began. `math.inf` for no end. Default: 5 minutes."""
    stale_while_revalidate: Duration | None
    """How long after its ttl a value is still answered while it is loaded anew behind the caller. Default: not at all
    (RFC 5861)."""
    stale_if_error: Duration | None
    """How long after its ttl a value may still be answered when the source fails. Default: not at all (RFC 5861)."""
    on: type[Exception] | Iterable[type[Exception]] | None
    """For which exceptions `stale_if_error` holds. Default: any `Exception` but `NotFound`."""
    refresh_ahead: float | Literal["xfetch"] | None
    """After which fraction of its ttl a value that is read is loaded anew behind the caller, such as 0.8; or "xfetch":
    by a throw of dice whose odds grow towards the end of the ttl, the sooner the longer its load took (Vattani,
    Chierichetti, Lowenstein 2015). Default: not before the ttl is over."""
    jitter: float | None
    """The fraction of a ttl by which it is shortened at the most, at random, so that what was loaded together does not
    end together. Default: 0."""
    negative_ttl: Duration | None
    """How long a loader's `NotFound` is remembered. Default: not at all."""
    soft_timeout: Duration | None
    """After how long a read that has a stale value at hand answers it, while the load goes on. Default: never."""
    load_timeout: Duration | None
    """After how long a read gives up with `LoadTimeout`, or the stale value of `stale_if_error`, while the load goes
    on. Default: never."""
    lease_timeout: Duration | None
    """How long a process that dies while it loads keeps others from loading the same key. Default: 10 seconds."""
    tags: Iterable[str]
    """Names shared by many entries, to end them together. Tags of cache, family and call add up."""
    max_age: Duration | None
    """Of one read: nothing is answered whose load began longer ago, as a stale value neither. 0: load it now."""
    version: int | None
    """Of one `set` or `add`: the version of the value at its source, which grows with each change. What is stored with
    a version is replaced by no older one. A loader says it with `loading().version`."""


XFETCH: Final = "xfetch"
LATER = frozenset(
    (
        *("weight", "tiers", "prefix", "envelope", "outbox"),
        *("on_failover", "max_lag", "copy"),
    )
)
"""Names that the design gives a meaning and this version does not build: refused, so that nobody counts on them."""


OF_A_CACHE = frozenset({"mode", "share", "verify", "strict", "refresh_concurrency", "hold_off"})
OF_A_TIER = frozenset({"max_entries", "max_bytes", "policy", "weigher"})
OF_A_CALL = frozenset({"max_age", "version"})

ATTENDED: Final[Mapping[str, Any]] = MappingProxyType(
    {"stale_while_revalidate": 0, "refresh_ahead": 0, "soft_timeout": math.inf, "load_timeout": math.inf}
)
"""Over the options of a cache, for a loader that belongs to its caller (a request, with a session that ends with it):
it never runs behind him, and is never left to itself."""


def attended(given: Iterable[str], what: str) -> None:
    """Raise a `ConfigError` for an option under which a loader may run when its caller has gone."""
    for name in given:
        if name in ATTENDED:
            raise ConfigError(
                f"{name}: {what} belongs to its request, and is not run when that is over; stale_if_error may be set, "
                "or cache what it reads, as a function of its own"
            )


def not_yet(name: str) -> ConfigError:
    """Return the error for a setting that a later version builds."""
    return ConfigError(f"{name}: not built in this version of hotset; leave it out. Valid are {', '.join(NAMES)}")


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for one call, every default filled in. Durations are seconds."""

    ttl: float = 300.0
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    on: tuple[type[Exception], ...] = (Exception,)
    refresh_ahead: float | str | None = None
    jitter: float | None = None
    negative_ttl: float | None = None
    soft_timeout: float | None = None
    load_timeout: float | None = None
    lease_timeout: float = 10.0
    tags: tuple[str, ...] = ()
    max_age: float | None = None
    version: int = 0
    kind: Any = None
    """The type of the values, for the codec of a store; a family's own, or the annotation of a cached function."""
    family: str | None = None
    """The template of the family, or the name of the cached function, for reports; None for plain keys."""

    def override(self, given: Mapping[str, object]) -> Options:
        """Return these options with those given put over them. None leaves one as it is; tags add up."""
        if not given:
            return self
        changes: dict[str, object] = {}
        for name, value in given.items():
            if name == "tags":
                changes["tags"] = tuple(dict.fromkeys((*self.tags, *tags(value))))
            elif name in _READERS:
                if value is not None:
                    changes[name] = _READERS[name](value, name)
            elif name in LATER:
                raise not_yet(name)
            elif name in OF_A_CACHE:
                raise ConfigError(f"{name}: a setting of the whole cache, as in Cache({name}=…); not of a part of it")
            elif name in OF_A_TIER:
                raise ConfigError(
                    f"{name}: a setting of a tier, as in Cache(Memory({name}=…)); options are {', '.join(NAMES)}"
                )
            else:
                raise unknown("option", name, NAMES)
        made = replace(self, **changes)  # type: ignore[arg-type]
        if changes.keys() != _TAGS:
            _agree(made, changes.keys())
        return made

    def tagged(self, names: tuple[str, ...]) -> Options:
        """Return these options with more tags."""
        return replace(self, tags=tuple(dict.fromkeys((*self.tags, *names)))) if names else self

    def default(self, given: Mapping[str, object]) -> Options:
        """Return these options as the defaults of a cache, a family or a function, with those given put over them."""
        for name in OF_A_CALL & given.keys():
            if given[name] is not None:
                how = "get(key, max_age=5)" if name == "max_age" else "set(key, value, version=7)"
                raise ConfigError(f"{name}: an option of one call, as in {how}; not of a cache, a family or a function")
        return self.override(given)


_TAGS: Final = {"tags"}
_READERS: Final[dict[str, Callable[[object, str], object]]] = {
    "ttl": seconds,
    "stale_while_revalidate": _or_none,
    "stale_if_error": _or_none,
    "on": _errors,
    "refresh_ahead": _early,
    "jitter": _fraction,
    "negative_ttl": _or_none,
    "soft_timeout": _limit,
    "load_timeout": _limit,
    "lease_timeout": seconds,
    "max_age": bound,
    "version": version,
}


def _agree(options: Options, given: AbstractSet[str]) -> None:
    """Raise a `ConfigError` for two options that contradict each other; it says which, and why.

    One of them was given here. What was given further out and has no effect here is none: `stale_if_error=0` for one
    read is no mistake of a cache that has a `soft_timeout`, nor an endless ttl for one key of a cache with `jitter`.
    """
    stale = options.stale_while_revalidate or options.stale_if_error
    soft, limit = options.soft_timeout, options.load_timeout
    if "soft_timeout" in given and soft and not stale:
        raise ConfigError(
            "soft_timeout: answers a stale value, and without stale_while_revalidate or stale_if_error there is none; "
            "set one of them, or load_timeout in its place"
        )
    if given & {"soft_timeout", "load_timeout"} and stale and soft and limit and soft >= limit:
        raise ConfigError(
            f"soft_timeout ({soft:g} s) and load_timeout ({limit:g} s): a read would have given up before its stale "
            "value is answered; soft_timeout is the shorter one"
        )
    if "on" in given and options.on != (Exception,) and not options.stale_if_error:
        raise ConfigError("on: says for which errors stale_if_error answers a stale value; set stale_if_error too")
    if options.ttl >= FOREVER:
        for name in ("stale_while_revalidate", "refresh_ahead", "jitter"):
            if name in given and getattr(options, name):
                raise ConfigError(f"{name} and an endless ttl: what never ends is never stale, nor due; give it a ttl")


NAMES = tuple(OptionArgs.__annotations__)


def tags(given: object) -> tuple[str, ...]:
    """Return tags as a tuple of text, or raise a `ConfigError`."""
    valid = 'tags: a list of names such as tags=["users"]'
    if isinstance(given, str | bytes):
        raise ConfigError(f"{valid}; not the one text {given!r}")
    try:
        names: tuple[Any, ...] = tuple(given)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(f"{valid}; not {given!r}") from None
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{valid}; each a text that is not empty, not {name!r}")
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError:
                raise ConfigError(f"{valid}; {name!r} holds a lone surrogate, which no store can hold") from None
    return names
