"""A space: one namespace of one cache, as both faces see it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hotset.config.environment import disabled
from hotset.config.tiers import Memory, Null, Tiers, in_order
from hotset.core.rollout import paths, rollout_of
from hotset.engine.memory import MemoryEngine
from hotset.engine.scope import why_off
from hotset.engine.within import within
from hotset.entry.codecs import codec_of
from hotset.entry.registry import Registry
from hotset.errors import ConfigError
from hotset.options import seconds
from hotset.ports.background import need_threads
from hotset.ports.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.config.redis import Redis
    from hotset.config.tiers import Tier
    from hotset.core.far import Far, Standing
    from hotset.core.rollout import Get, Rollout
    from hotset.core.store import Store
    from hotset.engine.protocol import Slots
    from hotset.engine.within import Within
    from hotset.entry.codec import Codec
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
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The secrets of the codec that signs: the first signs, each of them is accepted."""
    rollout: Rollout | None = None
    """For which keys it is used, and how far; None: for all, and fully."""
    strict: bool = False
    """Whether values are checked as a store would, and a store that is away is an error to who writes."""


class Space:
    """The slots of a namespace and its place in the store, with the options, the pool and the settings that hold."""

    __slots__ = (
        "_far",
        "codec",
        "engine",
        "get",
        "hit",
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
        self.codec = codec.within(namespace)
        self.store = store
        self.table: Slots = engine.table(namespace)
        self._far = _far(store, namespace, self.table, self.codec)
        self.get: Get
        """What a face's `get` is."""
        self.hit: Get
        """What a read that has a loader tries first."""
        self.get, self.hit = paths(self.table, settings.rollout)

    @property
    def events(self) -> Events:
        """The listeners of this namespace."""
        return self.table.events

    @property
    def rollout(self) -> Rollout | None:
        """For which keys the cache is used, and how far; None: for all, and fully."""
        return self.settings.rollout

    @property
    def shadow(self) -> bool:
        """Whether the source answers every read, and the cache is only kept beside it."""
        return self.rollout is not None and self.rollout.shadow

    @property
    def off(self) -> str:
        """Why all reads of this context go past the cache: "disabled", "transaction", "off"; "" when they do not."""
        return why_off(self.engine) or ("off" if self.rollout is not None and self.rollout.mode == "off" else "")

    def past(self, name: Name) -> str:
        """Return why a read of this key goes past the cache: as `off`, or "share"; "" when it does not."""
        return why_off(self.engine) or (self.rollout.past(name) if self.rollout is not None else "")

    def unserved(self, name: Name) -> str:
        """Return why the cache does not answer a read of this key: as `past`, or "shadow"; "" when it may."""
        return self.past(name) or ("shadow" if self.shadow else "")

    @property
    def within(self) -> list[Within]:
        """The open transactions of this context that take part in this cache, the innermost last."""
        return within(self.engine)

    @property
    def strict(self) -> bool:
        """Whether values are checked as a store would, and a store that is away is an error to who writes."""
        return self.engine.strict

    def prove(self, value: Any, name: Name, kind: Any) -> None:
        """Raise CodecError, where values are checked, for one that a store would refuse or could not bring back."""
        if self.strict:
            self.codec.decode(self.codec.encode(value, name, kind), kind, name)

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
        if far is None or self.shadow:  # then nobody takes what another loads
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

    def child(self, name: str, options: Options, codec: Codec | None = None) -> Space:
        """Return the space of a namespace within this one: slots and tags of its own, the capacity shared."""
        path, codec = f"{self.namespace}/{namespace(name)}", codec or self.codec
        return Space(self.tiers, self.engine, path, options, self.pool, self.settings, codec, self.store)


def open_space(tiers: tuple[str | Tier, ...], name: str, options: Options, settings: Settings) -> Space:
    """Return the space of a new cache. Opens no socket, starts no thread."""
    described = in_order(tiers)
    if disabled():
        described = Tiers(Null())
    if not callable(settings.around_load):
        raise ConfigError(f"around_load: a callable that returns a context manager, not {settings.around_load!r}")
    codec = codec_of(settings.codec, Registry(), settings.signing_keys)
    capacity = described.process.max_entries if isinstance(described.process, Memory) else 0
    outermost = namespace(name) if name else ""
    engine, store = MemoryEngine(capacity, strict=settings.strict), None
    if described.store is not None:
        engine, store = _with_store(capacity, described.store, settings)
    return Space(described, engine, outermost, options, Pool(), settings, codec, store)


def _with_store(capacity: int, description: Redis, settings: Settings) -> tuple[MemoryEngine, Store]:
    need_threads()
    from hotset.core.near import Near
    from hotset.core.store import Store
    from hotset.engine.near import NearTable
    from hotset.stores.redis.tier import clients, link, operations

    engine = MemoryEngine(capacity, kind=NearTable, strict=settings.strict)
    near = Near(engine)
    near.bus = link(description, settings.heartbeat, near)
    return engine, Store(description.where, clients(description), operations, near)


def _far(store: Store | None, name: str, table: Slots, codec: Codec) -> Far | None:
    from hotset.engine.near import NearTable

    return store.space(name, table, codec) if store is not None and isinstance(table, NearTable) else None


def settle(
    around_load: Callable[[], AbstractContextManager[Any]] | None,
    codec: str,
    signing: object,
    heartbeat: object,
    blind_ttl: object,
    rollout: tuple[object, object, object],
    strict: object,
) -> Settings:
    """Return the settings of a cache; ConfigError for a wrong one. A roll-out: its mode, share and verify."""
    if not isinstance(strict, bool):
        raise ConfigError(f"strict: True or False, not {strict!r}")
    blind = 0.0 if blind_ttl == 0 and not isinstance(blind_ttl, bool) else seconds(blind_ttl, "blind_ttl")
    around = nullcontext if around_load is None else around_load
    keys: tuple[bytes, ...] = ()
    if signing != ():
        from hotset.entry.pickled import signing_keys

        keys = signing_keys(signing)
    return Settings(around, codec, seconds(heartbeat, "heartbeat"), blind, keys, rollout_of(*rollout), strict)


def namespace(name: object) -> str:
    """Return the name of a namespace, escaped so that no name can look like a child of another, or end early."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f'namespace: a text that is not empty, such as "shop", not {name!r}')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"namespace: {name!r} holds a lone surrogate, which no store can hold") from None
    return name.translate(_ESCAPES)
