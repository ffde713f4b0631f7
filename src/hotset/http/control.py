"""Cache-Control of an answer (RFC 9111 section 5.2.2), from typed settings and the life that an entry has left."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hotset.errors import ConfigError
from hotset.options import Duration, seconds


@dataclass(frozen=True, slots=True)
class CacheControl:
    """Who may keep an answer, and what of it they may use when it is over. Durations are those of options.

    How long it may be kept is no setting: it is what the entry has left, so that a client forgets it when the cache
    does. `CacheControl(public=True, stale_if_error="1h")` says
    `public, max-age=<seconds left>, stale-if-error=3600`.
    """

    public: bool = False
    """Everyone gets the same answer, and caches on the way may keep it. False: `private`, the client alone may."""
    no_store: bool = False
    """Nobody but this application's cache may keep it."""
    stale_while_revalidate: Duration | None = None
    """How long clients and caches on the way may use it after its end while they fetch another (RFC 5861)."""
    stale_if_error: Duration | None = None
    """How long they may use it after its end when this application does not answer (RFC 5861)."""

    def __post_init__(self) -> None:
        for flag in ("public", "no_store"):
            if not isinstance(getattr(self, flag), bool):
                raise ConfigError(f"CacheControl {flag}: True or False, not {getattr(self, flag)!r}")
        for window in ("stale_while_revalidate", "stale_if_error"):
            if (given := getattr(self, window)) is not None:
                object.__setattr__(self, window, seconds(given, f"CacheControl {window}"))
        if self.no_store and (
            others := [each.name for each in fields(self)[:1] + fields(self)[2:] if getattr(self, each.name)]
        ):
            raise ConfigError(f"CacheControl no_store: what nobody may keep is not {', '.join(others)}: leave one out")

    def field(self, left: float) -> str:
        """Return the field's value for an entry with so many seconds of life left; below zero it is past its end.

        Stale windows are counted from the entry's end, so what has gone by of them is taken off.
        """
        if self.no_store:
            return "no-store"
        said = ["public" if self.public else "private", f"max-age={whole(max(left, 0.0))}"]
        for window in ("stale_while_revalidate", "stale_if_error"):
            given = getattr(self, window)
            if given is not None:
                said.append(f"{window.replace('_', '-')}={whole(max(given + min(left, 0.0), 0.0))}")
        return ", ".join(said)


def whole(number: float) -> int:
    """Return whole seconds, never more than there are, within what every cache can count (RFC 9111 section 1.2.2)."""
    return int(min(number, 2**31 - 1))
