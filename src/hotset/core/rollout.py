"""Roll-out: which keys a cache is used for, and how far: not at all, beside the source, or in its place.

The choice is a hash of the key alone, so every process and every namespace makes the same one, and a larger share
holds all keys of a smaller. A cache without these settings has no `Rollout`, and its hit path is the table's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zlib import crc32

from hotset.entry.lookup import MISSING
from hotset.entry.names import name_of, text_of
from hotset.errors import ConfigError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.engine.protocol import Slots
    from hotset.entry.names import Name

    Get: TypeAlias = Callable[..., Any]
    """Called as `Slots.get` is."""

_MODES: Final = ("on", "off", "shadow")
_HASHES: Final = 2**32


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a cache is rolled out."""

    mode: str
    """"on", "off", or "shadow": the source answers, and the cache is kept beside it and compared."""
    share: float
    """The fraction of keys for which it is; the others go past the cache."""
    verify: float
    """The fraction of hits that are compared with the source after they were served."""

    @property
    def shadow(self) -> bool:
        """Whether the source answers every read."""
        return self.mode == "shadow"

    @property
    def compares(self) -> bool:
        """Whether a read with a loader may be compared with the source."""
        return self.shadow or (self.mode == "on" and self.verify > 0)

    def past(self, name: Name) -> str:
        """Return why reads of a key go past the cache: "off", or "share"; "" when it is used, or kept, for it."""
        if self.mode == "off":
            return "off"
        return "" if self.share >= 1 or crc32(text_of(name).encode()) < self.share * _HASHES else "share"


def rollout_of(mode: object, share: object, verify: object) -> Rollout | None:
    """Return the roll-out of these settings, None if the cache is simply on; ConfigError for a wrong one."""
    if mode not in _MODES:
        raise unknown("mode", mode, _MODES)
    used = _fraction(share)
    if not used:
        raise ConfigError(
            f"share: a fraction of the keys above 0, up to 1, such as 0.05; not {share!r}: see mode='off'"
        )
    compared = _fraction(verify)
    if compared is None:
        raise ConfigError(f"verify: a fraction of the hits from 0 to 1, such as 0.01; not {verify!r}")
    return None if (mode, used, compared) == ("on", 1, 0) else Rollout(str(mode), used, compared)


def _fraction(value: object) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if fits else None  # type: ignore[arg-type]  # it is a number


def paths(table: Slots, rollout: Rollout | None) -> tuple[Get, Get]:
    """Return what `get` is, and what a read that has a loader tries first: both the table's own if simply on."""
    if rollout is None:
        return table.get, table.get

    def get(key: Any, default: Any = None, *, max_age: Any = None, type: Any = None) -> Any:
        if rollout.past(name_of(key)):
            table.misses += default is not MISSING
        elif not rollout.shadow:
            return table.get(key, default, max_age=max_age, type=type)
        elif default is not MISSING:
            table.get(key, default, max_age=max_age, type=type)  # counted, and not served
        return default

    return get, _nothing if rollout.compares else get


def _nothing(key: Any, default: Any = None, *, max_age: Any = None) -> Any:  # noqa: ARG001  called as a table's `get`
    """Every read with a loader is the core's, which may have to compare it."""
    return default
