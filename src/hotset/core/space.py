"""A space: one namespace of one cache, as both faces see it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hotset.config.environment import disabled
from hotset.config.tiers import Memory, Null, Tiers, in_order
from hotset.engine.memory import MemoryEngine
from hotset.engine.scope import is_off
from hotset.entry.codec import Codec, codec_of
from hotset.entry.registry import Registry
from hotset.errors import ConfigError
from hotset.options import seconds
from hotset.ports.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.config.redis import Redis
    from hotset.config.tiers import Tier
    from hotset.core.far import Far, Standing
    from hotset.core.store import Store
    from hotset.engine.protocol import Slots
    from hotset.entry.names import Name
    from hotset.events import Events
    from hotset.options import Options
    from hotset.ports.base import Ports

_PATIENCE: Final = 1.0
"""Seconds after which a waiter looks for itself: a server may tell late, or not at all, that a lease has ended."""
_UNTOLD: Final = 0.02
"""The same while no link would tell it."""
_ESCAPES: Final = str.maketrans({"%": "%25", "/": "%2F", ":": "%3A", "{": "%7B", "}": "%7D"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a whole cache and is no option of a call."""

    around_load: Callable[[], AbstractContextManager[Any]] = nullcontext
    codec: str = "msgpack"
    heartbeat: float = 1.0
    """Seconds for which a link that was proven alive vouches for copies near."""
    blind_ttl: float = 5.0
    """Seconds for which a value is kept that was loaded while store and link were out of reach."""


class Space:
    """The slots of a namespace and its place in the store, with the options, the pool and the settings that hold."""

    __slots__ = (
        "_far",
        "codec",
        "engine",
        "namespace",
        "options",
        "pool",
        "settings",
        "store",
        "table",
        "tiers",
    )

    def __init__(
        self,
        tiers: Tiers,
        engine: MemoryEngine,
        namespace: str,
        options: Options,
        pool: Pool,
        settings: Settings,
        codec: Codec,
        store: Store | None,
    ) -> None:
        self.tiers = tiers
        self.engine = engine
        self.namespace = namespace
        self.options = options
        self.pool = pool
        self.settings = settings
        self.codec = codec
        self.store = store
        self.table: Slots = engine.table(namespace)
        self._far = _far(store, namespace, self.table, codec)

    @property
    def events(self) -> Events:
        """The listeners of this namespace."""
        return self.table.events

    @property
    def off(self) -> bool:
        """Whether this context reads past the cache."""
        return is_off(self.engine)

    @property
    def far(self) -> Far | None:
        """The namespace in the store; None where there is none, or while a test has isolated the cache."""
        return None if self.engine.alone else self._far

    @property
    def keeps(self) -> bool:
        """Whether the slots take what no store has confirmed: without a store, or blind, while it is out of reach."""
        return self.far is None or self.far.store.near.blind_since < math.inf

    @property
    def longest(self) -> float:
        """The longest life, in seconds, of what no store has confirmed."""
        return math.inf if self.far is None else self.settings.blind_ttl

    def go_on(self, beyond: Callable[[Any, Any, Any], Any]) -> None:
        """Have the table's own `get` go on to the store, where there is one, with name, default and type."""
        if self._far is not None:
            self._far.table.beyond = beyond

    async def wait(self, ports: Ports, name: Name, standing: Standing) -> None:
        """Wait until what was found busy has changed in the store, or a while: then the caller looks for itself."""
        far = self.far
        if far is None:
            return
        near, woken = far.store.near, []
        told = near.linked_now and near.bus.kind == "tracking"  # fills are told of by the server, by nobody else

        def subscribe(wake: Callable[[], object]) -> None:
            woken.append(wake)
            near.watch(far, name, standing, wake)

        try:
            await ports.wait(subscribe, min(_PATIENCE, self.options.lease_timeout) if told else _UNTOLD)
        finally:
            near.unwatch(far, name, woken)

    def child(self, name: str, options: Options) -> Space:
        """Return the space of a namespace within this one: slots and tags of its own, the capacity shared."""
        path = f"{self.namespace}/{namespace(name)}"
        return Space(self.tiers, self.engine, path, options, self.pool, self.settings, self.codec, self.store)


def open_space(tiers: tuple[str | Tier, ...], name: str, options: Options, settings: Settings) -> Space:
    """Return the space of a new cache. Opens no socket, starts no thread."""
    described = in_order(tiers)
    if disabled():
        described = Tiers(Null())
    if not callable(settings.around_load):
        raise ConfigError(f"around_load: a callable that returns a context manager, not {settings.around_load!r}")
    codec = codec_of(settings.codec, Registry())
    capacity = described.process.max_entries if isinstance(described.process, Memory) else 0
    outermost = namespace(name) if name else ""
    engine, store = MemoryEngine(capacity), None
    if described.store is not None:
        engine, store = _with_store(capacity, described.store, settings)
    return Space(described, engine, outermost, options, Pool(), settings, codec, store)


def _with_store(capacity: int, description: Redis, settings: Settings) -> tuple[MemoryEngine, Store]:
    from hotset.core.near import Near
    from hotset.core.store import Store
    from hotset.engine.near import NearTable
    from hotset.stores.redis.tier import clients, link, operations

    engine = MemoryEngine(capacity, kind=NearTable)
    near = Near(engine)
    near.bus = link(description, settings.heartbeat, near)
    return engine, Store(description.where, clients(description), operations, near)


def _far(store: Store | None, name: str, table: Slots, codec: Codec) -> Far | None:
    from hotset.engine.near import NearTable

    return store.space(name, table, codec) if store is not None and isinstance(table, NearTable) else None


def settle(
    around_load: Callable[[], AbstractContextManager[Any]] | None, codec: str, heartbeat: object, blind_ttl: object
) -> Settings:
    """Return the settings of a cache; ConfigError for a wrong one."""
    blind = 0.0 if blind_ttl == 0 and not isinstance(blind_ttl, bool) else seconds(blind_ttl, "blind_ttl")
    return Settings(nullcontext if around_load is None else around_load, codec, seconds(heartbeat, "heartbeat"), blind)


def namespace(name: object) -> str:
    """Return the name of a namespace, escaped so that no name can look like a child of another, or end early."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f'namespace: a text that is not empty, such as "shop", not {name!r}')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"namespace: {name!r} holds a lone surrogate, which no store can hold") from None
    return name.translate(_ESCAPES)
