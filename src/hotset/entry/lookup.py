"""What `lookup` answers: a Hit that tells all about itself, or a falsy Miss that tells why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hit(Generic[T]):
    """A value, and where it comes from. Always true, whatever the value is."""

    value: T
    tier: str
    """The tier that answered: "process" or "cluster"; "request" for what `request()` remembers."""
    age: float
    """Seconds since the load of the value began, or since it was written."""
    ttl_left: float
    """Seconds until it stops being fresh; negative when that is past."""
    stale: bool
    """Whether it may only be used as a fallback; without a loader such an entry is a miss for `get`."""
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """No value. Always false, so that a cached None and an absent key are told apart."""

    reason: str
    """"absent", "expired" (past its life), "tag" (a tag of it was ended), "negative" (a remembered NotFound),
    "loading" (a first load is under way); why the cache does not answer: "disabled", "transaction" (in this context),
    "off", "share" (by the roll-out, for all keys or this one), "shadow" (it is there, and the source answers); or how
    it left lately: "deleted", "ended" (by `expire`, without a stale window), "cleared", "evicted"."""

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one key; made for people, by `explain`."""

    key: str
    namespace: str
    state: str
    """"fresh", "stale", "negative", "loading", or "absent"."""
    reason: str | None
    """Why a read would miss now, or why the last one did; None when a read would hit."""
    tier: str | None
    age: float | None
    ttl_left: float | None
    stale_left: float | None
    """Seconds for which it may still be a fallback."""
    tags: tuple[str, ...]
    waiting: int
    """Callers that wait for a load of it now."""


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""Absence, where None is a value like any other."""
