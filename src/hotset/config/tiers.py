"""The tiers that a cache can be made of, in words: `Memory(...)`, `"memory://?max_entries=1000"`, `"redis://…"`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from hotset.config.redis import SCHEMES, Redis, masked
from hotset.errors import ConfigError, unknown

LATER = {"max_bytes", "weigher"}
POLICIES_LATER = {"fifo", "mru", "lfu", "random", "sieve", "s3fifo", "arc", "wtinylfu", "auto"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The process tier: entries in this process, bounded, the least recently used leaving first."""

    max_entries: int = 100_000
    """How many entries it holds at the most, in all namespaces of the cache together."""
    policy: str = "lru"
    """What leaves when it is full."""

    def __post_init__(self) -> None:
        if isinstance(self.max_entries, bool) or not isinstance(self.max_entries, int) or self.max_entries < 1:  # type: ignore[redundant-expr]  # callers may be untyped
            raise ConfigError(f"max_entries: a whole number from 1 on, not {self.max_entries!r}")
        if self.policy != "lru":
            later = "not built in this version of hotset" if self.policy in POLICIES_LATER else "unknown"
            raise ConfigError(f"policy: {self.policy!r} is {later}; valid is 'lru'")


@dataclass(frozen=True, slots=True)
class Null:
    """A tier that holds nothing: every read goes to the loader, callers of one key at one time still share one load."""


Tier: TypeAlias = Memory | Null | Redis


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers of one cache, from near to far."""

    process: Memory | Null
    store: Redis | None = None


_DESCRIPTIONS: dict[str, type[Memory | Null]] = {"memory": Memory, "null": Null}
_SCHEMES_LATER = {"memcached", "lmdb"}


def in_order(tiers: tuple[str | Tier, ...]) -> Tiers:
    """Return the tiers of a cache: without any, the process tier alone; a store alone has no process tier."""
    described = [from_url(tier) if isinstance(tier, str) else tier for tier in tiers]
    for tier in described:
        if not isinstance(tier, Memory | Null | Redis):
            raise ConfigError(
                f'tiers: a tier is a url such as "memory://" or a description such as Memory(), not {tier!r}'
            )
    process = [tier for tier in described if isinstance(tier, Memory | Null)]
    stores = [tier for tier in described if isinstance(tier, Redis)]
    for kind, found in (("process tier", process), ("store", stores)):
        if len(found) > 1:
            raise ConfigError(f"tiers: a cache has one {kind}, not {len(found)}: {', '.join(map(repr, found))}")
    if stores and described[0] is not (*process, *stores)[0]:
        raise ConfigError(f"tiers: from near to far, so the process tier first: {process[0]!r}, then {stores[0]!r}")
    if stores and process and isinstance(process[0], Null):
        raise ConfigError("tiers: null:// holds nothing and stands alone; a store alone is Cache('redis://…')")
    return Tiers(process[0] if process else Null() if stores else Memory(), stores[0] if stores else None)


def from_url(url: str) -> Tier:
    """Return the tier that a url such as `memory://?max_entries=1000` or `redis://localhost:6379/0` describes."""
    if url.partition("://")[0].lower() in SCHEMES:
        return Redis(url)
    shown = masked(url)
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"tiers: {shown!r} is no url such as memory://?max_entries=1000") from None
    scheme = parts.scheme
    if "://" not in url or scheme not in _DESCRIPTIONS:
        if scheme in _SCHEMES_LATER:
            raise ConfigError(
                f"tiers: {scheme}:// is not built in this version of hotset; valid are memory:// and null://"
            )
        if "://" not in url:
            raise ConfigError(
                f'tiers: {shown!r} is no url; a tier is one such as "memory://" (a namespace is namespace=…)'
            )
        raise unknown("tier", f"{scheme}://", (f"{name}://" for name in (*_DESCRIPTIONS, *SCHEMES)))
    if parts.netloc or parts.path.strip("/") or parts.fragment:
        raise ConfigError(f"tiers: {scheme}:// takes settings only, as in {scheme}://?max_entries=1000; not {shown!r}")
    return _from_query(scheme, query, shown)


def _from_query(scheme: str, query: list[tuple[str, str]], shown: str) -> Memory | Null:
    description = _DESCRIPTIONS[scheme]
    valid = [field.name for field in fields(description)]
    settings: dict[str, object] = {}
    for name, text in query:
        if name in settings:
            raise ConfigError(f"tiers: {shown!r} names {name} twice")
        if name not in valid:
            if name in LATER:
                raise ConfigError(f"{name}: not built in this version of hotset; valid are {', '.join(valid)}")
            raise unknown(f"setting of {scheme}://", name, valid or ["none"])
        settings[name] = _whole(text, name) if name == "max_entries" else text
    return description(**settings)  # type: ignore[arg-type]


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name}: a whole number from 1 on, not {text!r}") from None
