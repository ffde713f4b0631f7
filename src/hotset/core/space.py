"""A space: one namespace of one cache, as both faces see it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from hotset.config.environment import disabled
from hotset.config.tiers import Memory, Null, process_tier
from hotset.engine.memory import MemoryEngine
from hotset.engine.scope import is_off
from hotset.errors import ConfigError
from hotset.ports.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.config.tiers import Tier
    from hotset.engine.protocol import Slots
    from hotset.events import Events
    from hotset.options import Options


class Space:
    """The slots of a namespace, with the options, the pool and the wrapping of loads that hold there."""

    __slots__ = ("around_load", "engine", "namespace", "options", "pool", "table", "tier")

    def __init__(
        self,
        tier: Tier,
        engine: MemoryEngine,
        namespace: str,
        options: Options,
        pool: Pool,
        around_load: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.tier = tier
        self.engine = engine
        self.namespace = namespace
        self.options = options
        self.pool = pool
        self.around_load = around_load
        self.table: Slots = engine.table(namespace)

    @property
    def events(self) -> Events:
        """The listeners of this namespace."""
        return self.table.events

    @property
    def off(self) -> bool:
        """Whether this context reads past the cache."""
        return is_off(self.engine)

    def child(self, name: str, options: Options) -> Space:
        """Return the space of a namespace within this one: slots and tags of its own, the capacity shared."""
        inner = namespace(name)
        path = f"{self.namespace}/{inner}"
        return Space(self.tier, self.engine, path, options, self.pool, self.around_load)


def open_space(
    tiers: tuple[str | Tier, ...],
    name: str,
    options: Options,
    around_load: Callable[[], AbstractContextManager[Any]] | None,
) -> Space:
    """Return the space of a new cache. Opens no socket, starts no thread."""
    tier = process_tier(tiers)
    if disabled():
        tier = Null()
    if around_load is not None and not callable(around_load):
        raise ConfigError(f"around_load: a callable that returns a context manager, not {around_load!r}")
    capacity = tier.max_entries if isinstance(tier, Memory) else 0
    outermost = namespace(name) if name else ""
    return Space(tier, MemoryEngine(capacity), outermost, options, Pool(), around_load or nullcontext)


def namespace(name: object) -> str:
    """Return the name of a namespace, escaped so that no name can look like a child of another."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f'namespace: a text that is not empty, such as "shop", not {name!r}')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"namespace: {name!r} holds a lone surrogate, which no store can hold") from None
    return name.replace("%", "%25").replace("/", "%2F")
