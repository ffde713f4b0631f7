"""A space: one namespace of one cache, as both faces see it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hotset.config.environment import disabled
from hotset.config.tiers import Memory, Null, Tiers, in_order
from hotset.core.rollout import paths, rollout_of
from hotset.engine.fence import FencedTable
from hotset.engine.memory import MemoryEngine
from hotset.engine.scope import why_off
from hotset.engine.within import within
from hotset.entry.codecs import codec_of
from hotset.entry.entry import Spans
from hotset.entry.forms import called
from hotset.entry.registry import Registry
from hotset.errors import ConfigError
from hotset.options import FOREVER, seconds
from hotset.ports.background import need_threads
from hotset.ports.pool import PLACES, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.config.redis import Redis
    from hotset.config.tiers import Tier
    from hotset.core.far import Far, Standing
    from hotset.core.rollout import Get, Rollout
    from hotset.core.store import Store
    from hotset.engine.fence import Fence
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
    hold_off: float = 0.0
    """Seconds for which the source may lag behind an ending; 0: it does not."""
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The secrets of the codec that signs: the first signs, each of them is accepted."""
    rollout: Rollout | None = None
    """For which keys it is used, and how far; None: for all, and fully."""
    strict: bool = False
    """Whether values are checked as a store would, and a store that is away is an error to who writes."""
    refresh_concurrency: int = PLACES
    """How many loads that nobody waits for go on at once."""


class Space:
    """The slots of a namespace and its place in the store, with the options, the pool and the settings that hold."""

    __slots__ = (
        "_far",
        "codec",
        "engine",
        "get",
        "hit",
        "kinds",
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
        self.kinds: dict[str, Any] = {}
        """The types that families and cached functions of this cache name for their values, by their own names."""
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
        if not self.engine.off_here and self.settings.rollout is None:
            return ""
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
    def fence(self) -> Fence | None:
        """What was ended or written under which names while a load of many goes on; None where a store decides that."""
        return self.table.fence if isinstance(self.table, FencedTable) else None

    @property
    def keeps(self) -> bool:
        """Whether the slots take what no store has confirmed: without a store, or blind, while it is out of reach."""
        return self.far is None or self.far.store.near.blind_since < math.inf

    def bounded(self, good: Spans) -> Spans:
        """Return how long something is good that no store has confirmed: blind, `blind_ttl` at the most."""
        return good if self.far is None else Spans(min(good.life, self.settings.blind_ttl))

    def go_on(self, beyond: Callable[[Any, Any, Any, Any], Any]) -> None:
        """Have the table's own `get` go on to the store, where there is one, with name, default, type and age."""
        if self._far is not None:
            self._far.table.beyond = beyond

    async def wait(self, ports: Ports, name: Name, standing: Standing, patience: float | None = None) -> None:
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
            most = min(_PATIENCE, self.options.lease_timeout) if told else _UNTOLD
            await ports.wait(subscribe, most if patience is None else min(most, patience))
        finally:
            near.unwatch(far, name, woken)

    def child(self, name: str, options: Options, codec: Codec | None = None) -> Space:
        """Return the space of a namespace within this one: slots and tags of its own, the capacity shared."""
        return self.beside(f"{self.namespace}/{namespace(name)}", options, codec or self.codec)

    def beside(self, path: str, options: Options, codec: Codec) -> Space:
        """Return the space of another namespace of this cache, by the whole of its name, escaped."""
        space = Space(self.tiers, self.engine, path, options, self.pool, self.settings, codec, self.store)
        space.kinds = self.kinds
        return space

    def meets(self, kind: Any) -> Any:
        """Return a type of values, noted as one that this cache keeps; None and Any say nothing."""
        if kind is not None and kind is not Any:
            self.kinds[called(kind) if isinstance(kind, type) else repr(kind)] = kind
        return kind


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
    return Space(described, engine, outermost, options, Pool(settings.refresh_concurrency), settings, codec, store)


def _with_store(capacity: int, description: Redis, settings: Settings) -> tuple[MemoryEngine, Store]:
    need_threads()
    from hotset.core.near import Near
    from hotset.core.store import Store
    from hotset.engine.near import NearTable
    from hotset.stores.redis.tier import clients, link, operations

    engine = MemoryEngine(capacity, kind=NearTable, strict=settings.strict)
    near = Near(engine)
    near.bus = link(description, settings.heartbeat, near)
    steps = partial(operations, hold_off=settings.hold_off)
    return engine, Store(description.where, clients(description), steps, near, settings.hold_off)


def _far(store: Store | None, name: str, table: Slots, codec: Codec) -> Far | None:
    from hotset.engine.near import NearTable

    return store.space(name, table, codec) if store is not None and isinstance(table, NearTable) else None


def settle(
    around_load: Callable[[], AbstractContextManager[Any]] | None,
    codec: str,
    signing: object,
    times: tuple[object, object, object],
    rollout: tuple[object, object, object],
    strict: object,
    refresh_concurrency: object,
) -> Settings:
    """Return the settings of a cache; ConfigError for a wrong one.

    Its times: heartbeat, blind_ttl and hold_off. A roll-out: its mode, share and verify.
    """
    heartbeat, blind_ttl, hold_off = times
    if not isinstance(strict, bool):
        raise ConfigError(f"strict: True or False, not {strict!r}")
    blind, held = (
        0.0 if given == 0 and not isinstance(given, bool) else seconds(given, name)
        for given, name in ((blind_ttl, "blind_ttl"), (hold_off, "hold_off"))
    )
    if held >= FOREVER:
        raise ConfigError("hold_off: how long the source may lag, such as 5; without an end nothing would be cached")
    around = nullcontext if around_load is None else around_load
    keys: tuple[bytes, ...] = ()
    if signing != ():
        from hotset.entry.pickled import signing_keys

        keys = signing_keys(signing)
    beat, places = seconds(heartbeat, "heartbeat"), _places(refresh_concurrency)
    return Settings(around, codec, beat, blind, held, keys, rollout_of(*rollout), strict, places)


def _places(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigError(f"refresh_concurrency: a whole number from 1 on, not {number!r}")
    return number


def namespace(name: object) -> str:
    """Return the name of a namespace, escaped so that no name can look like a child of another, or end early."""
    if not isinstance(name, str) or not name:
        raise ConfigError(f'namespace: a text that is not empty, such as "shop", not {name!r}')
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"namespace: {name!r} holds a lone surrogate, which no store can hold") from None
    return name.translate(_ESCAPES)
