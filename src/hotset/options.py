"""Options: one frozen value inside, typed keywords outside; cache default < family < call (DESIGN 4.1)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from hotset.errors import ConfigError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Duration: TypeAlias = float | timedelta | str
"""Seconds, a timedelta, or text such as "250ms", "90s", "10m", "1.5h", "7d", "2w"."""

FOREVER = 100 * 365.25 * 86_400.0
"""An endless life is a century: then `deadline - life` stays a number."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"\s*(\d+(?:_\d+)*\.?\d*|\.\d+)\s*(ms|s|m|h|d|w)\s*")


def seconds(value: object, setting: str) -> float:
    """Return a duration in seconds, or raise a `ConfigError` that names the setting."""
    valid = f'{setting}: a duration is a number of seconds, a timedelta, or text such as "90s", "10m", "1.5h", "7d"'
    if isinstance(value, bool):
        raise ConfigError(f"{valid}; not {value!r}")
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond all floats
            number = math.inf if value == abs(value) else -math.inf
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        number = float(found[1]) * _UNITS[found[2]]
    else:
        raise ConfigError(f"{valid}; not {value!r}")
    if not number > 0:
        raise ConfigError(f"{valid}, and greater than zero; not {value!r}")
    return min(number, FOREVER)


class OptionArgs(TypedDict, total=False):
    """The options that a cache, a family and a call take as keywords."""

    ttl: Duration | None
    """How long a value is fresh, counted from when its load began. `math.inf` for no end. Default: 5 minutes."""
    negative_ttl: Duration | None
    """How long a loader's `NotFound` is remembered. Default: not at all."""
    stale_if_error: Duration | None
    """How long after its ttl a value may still be answered when the source fails. Default: not at all."""
    lease_timeout: Duration | None
    """How long a process that dies while it loads keeps others from loading the same key. Default: 10 seconds."""
    tags: Iterable[str]
    """Names shared by many entries, to end them together. Tags of cache, family and call add up."""


LATER = frozenset(
    (
        *(
            "stale_while_revalidate",
            "refresh_ahead",
            "jitter",
            "soft_timeout",
            "load_timeout",
            "max_age",
        ),
        *("weight", "version", "on", "tiers", "prefix", "envelope", "hold_off", "outbox"),
        *("on_failover", "max_lag", "refresh_concurrency", "copy"),
    )
)
"""Names that the design gives a meaning and this version does not build: refused, so that nobody counts on them."""


OF_A_CACHE = frozenset({"mode", "share", "verify", "strict"})
OF_A_TIER = frozenset({"max_entries", "max_bytes", "policy", "weigher"})


def not_yet(name: str) -> ConfigError:
    """Return the error for a setting that a later version builds."""
    return ConfigError(f"{name}: not built in this version of hotset; leave it out. Valid are {', '.join(NAMES)}")


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for one call, every default filled in. Durations are seconds."""

    ttl: float = 300.0
    negative_ttl: float | None = None
    stale_if_error: float | None = None
    lease_timeout: float = 10.0
    tags: tuple[str, ...] = ()
    kind: Any = None
    """The type of the values, for the codec of a store; a family's own, or the annotation of a cached function."""
    family: str | None = None
    """The template of the family, or the name of the cached function, for reports; None for plain keys."""

    def override(self, given: Mapping[str, object]) -> Options:
        """Return these options with those given put over them. None leaves a duration as it is; tags add up."""
        if not given:
            return self
        changes: dict[str, object] = {}
        for name, value in given.items():
            if name == "tags":
                changes["tags"] = tuple(dict.fromkeys((*self.tags, *tags(value))))
            elif name in NAMES:
                if value is not None:
                    changes[name] = seconds(value, name)
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
        return replace(self, **changes)  # type: ignore[arg-type]


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
