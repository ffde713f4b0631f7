"""The classic service's settings: `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB`, `REDIS_PASSWORD`, `CACHE_…`."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hotset.config.redis import Redis, can_be_sent
from hotset.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TTL: Final = 300
_LONGEST: Final = 10**11
"""Seconds, some 3,000 years; Redis refuses what does not fit in 64 bits of milliseconds."""


@dataclass(frozen=True, slots=True)
class Classic:
    """Where a classic service keeps its values, and how. No `repr` shows the password."""

    redis: Redis
    host: str
    port: int
    db: int
    ttl: int = _TTL
    """Whole seconds that a value lives which was given no ttl of its own."""
    prefix: str = ""
    """Stands before every key."""
    secret: bool = field(default=False)
    """Whether a password is given."""


def classic_from_environment(environment: Mapping[str, str] | None = None) -> Classic:
    """Return the settings; a variable that is empty is as one that is not set. ConfigError names the variable."""
    given = os.environ if environment is None else environment
    host = given.get("REDIS_HOST") or "localhost"
    port = _whole(given, "REDIS_PORT", 6379, 1, 65_535)
    db = _whole(given, "REDIS_DB", 0, 0, 10**9 - 1)
    ttl = whole_seconds(given.get("CACHE_DEFAULT_TTL_SECONDS") or _TTL, "CACHE_DEFAULT_TTL_SECONDS")
    password = given.get("REDIS_PASSWORD") or None
    prefix = given.get("CACHE_KEY_PREFIX") or ""
    if not re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+", host):
        raise ConfigError(f"REDIS_HOST: the name of a host or its address, as in 'localhost', not {_shown(host)}")
    for name, text in ("REDIS_PASSWORD", password), ("CACHE_KEY_PREFIX", prefix):
        if text is not None and not can_be_sent(text):
            raise ConfigError(f"{name}: holds bytes that are no UTF-8")
    url = f"redis://{f'[{host}]' if ':' in host else host}:{port}/{db}"
    try:
        redis = Redis(url, password=password)
    except ConfigError as error:
        raise ConfigError(f"REDIS_HOST: {_shown(host)} is no host: {error}") from None
    return Classic(redis, host, port, db, ttl, prefix, password is not None)


def whole_seconds(value: object, setting: str) -> int:
    """Return a ttl as Redis' EX takes it: whole seconds, rounded up, so at least 1. ConfigError names the setting."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # raises TypeError
    except (TypeError, ValueError):
        number = math.nan
    except OverflowError:  # a whole number beyond all floats
        number = math.inf
    if not number > 0:
        raise ConfigError(f"{setting}: a number of seconds greater than zero, as in 300, not {value!r}")
    return math.ceil(min(number, _LONGEST))


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name) or str(default)
    number = int(text) if re.fullmatch(r" *[0-9]{1,9} *", text) else -1
    if not least <= number <= most:
        raise ConfigError(f"{name}: a whole number from {least} to {most}, as in {default}, not {_shown(text)}")
    return number


def _shown(text: str) -> str:
    """Return a setting as an error may show it: somebody may have put a url with a password there."""
    return "that (it holds an @, as a url with a password does)" if "@" in text else repr(text)
