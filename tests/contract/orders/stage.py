"""The stage of an order: processes over one real server, the source that they cache, and P, held to what they answer.

As in the model a version stands for the value. An ending first commits a new version to the source, then acts, and
when it returns raises a floor; a read notes the floors when it begins and must not return an older version. What is
said to be stale may be older than an `expire`, never than the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hotset import Cache, loading
from hotset.clock import monotonic
from hotset.core.load import loader_of
from hotset.engine.near import NearTable
from hotset.stores.base import Clients, Reply
from tests.contract.conftest import wait_until
from tests.contract.orders.actor import Actor, pass_by
from tests.contract.orders.ear import Ear
from tests.contract.orders.packets import Background, Tapped

if TYPE_CHECKING:
    from hotset.core.far import Far
    from hotset.core.near import Near
    from hotset.core.store import Store
    from tests.services.servers import Server

KEY, TAG = "user:7", "users"
HEARTBEAT = 60.0
"""Seconds. What lets a permit lapse is the stage's clock, not time."""
BLIND_TTL = 30.0
TERM = 10.0
"""Seconds of a lease."""

Verb = Literal["delete", "expire", "delete_tag", "expire_tag", "clear", "set"]
_by_verb: dict[Verb, Callable[[Cache, int], object]] = {
    "delete": lambda cache, _: cache.delete(KEY),
    "expire": lambda cache, _: cache.expire(KEY),
    "delete_tag": lambda cache, _: cache.delete(tags=[TAG]),
    "expire_tag": lambda cache, _: cache.expire(tags=[TAG]),
    "clear": lambda cache, _: cache.clear(),
    "set": lambda cache, version: cache.set(KEY, version),
}


class Violation(AssertionError):
    """P does not hold in this order; or what a guard is for besides P."""


class SourceDown(Exception):
    """The source does not answer."""


class Floors(NamedTuple):
    """What has returned so far: the newest ending that leaves nothing, and the newest that leaves a fallback."""

    gone: int
    expired: int


class Source:
    """What is cached. Version 0 is there from the start."""

    def __init__(self) -> None:
        self.version = 0
        self.up = True
        self.floors = Floors(0, 0)
        self._lock = threading.Lock()

    def commit(self) -> int:
        """Make a new version."""
        with self._lock:
            self.version += 1
            return self.version

    def load(self) -> int:
        """Return the version that holds; SourceDown while it is down."""
        if not self.up:
            raise SourceDown
        return self.version

    def ended(self, version: int, *, stale: bool) -> None:
        """An ending of all that is older has returned."""
        with self._lock:
            gone, expired = self.floors
            self.floors = Floors(gone if stale else max(gone, version), max(expired, version) if stale else expired)

    def judge(self, who: str, version: int, held_to: Floors, *, stale: bool) -> int:
        """Return an answer; Violation if it is older than it may be."""
        floor = held_to.gone if stale else max(held_to)
        if version < floor:
            raise Violation(f"{who} returned version {version}{' as stale' if stale else ''}, the floor was {floor}")
        return version


class Clock:
    """The time as engines and links read it; it can be put on."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return monotonic() + self._ahead

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


class Process:
    """A cache that stands for a process: connections, link, slots and knowledge of its own."""

    def __init__(self, name: str, stage: Stage, tiers: Sequence[str], **settings: Any) -> None:
        self.name = name
        self.source = stage.source
        self.cache = Cache(
            *tiers, namespace="orders", heartbeat=HEARTBEAT, blind_ttl=BLIND_TTL, ttl="1h", stale_if_error="1h",
            lease_timeout=TERM, **settings,
        )  # fmt: skip
        space = self.cache._space
        space.engine.clock = stage.clock
        space.table._now = stage.clock  # type: ignore[attr-defined]  # of Table, which is behind Slots
        self.table: Any = space.table
        self._said = threading.local()
        self.cache.on("stale_served", lambda _: setattr(self._said, "stale", True))
        self._actors: list[Actor] = []
        self.answers: list[tuple[str, list[Reply]]] = []
        self.background = Background()

    # -- what it does

    def read(self, *, tags: Sequence[str] = (), result_tags: Sequence[str] = ()) -> int:
        """Read the key, load it if need be, and be held to P."""
        held_to, self._said.stale = self.source.floors, False
        version = self.cache.get_or_load(KEY, self._loader(result_tags), tags=tags)
        return self.source.judge(self.name, version, held_to, stale=self._said.stale)

    def refresh(self) -> int:
        """Load the key anew, what stands there being served until then."""
        return self.cache._refresh(KEY, loader_of(self._loader(()), ()), self.cache._space.options)  # type: ignore[no-any-return]

    def end(self, verb: Verb) -> None:
        """Commit a new version, end the older ones, and return."""
        version = self.source.commit()
        _by_verb[verb](self.cache, version)
        self.source.ended(version, stale=verb.startswith("expire"))

    def set_tagged(self) -> None:
        """Write a new version that carries the tag."""
        version = self.source.commit()
        self.cache.set(KEY, version, tags=[TAG])
        self.source.ended(version, stale=False)

    def reader(self, **options: Any) -> Actor:
        """Return a caller that is to read."""
        return self.actor(lambda: self.read(**options))

    def ender(self, verb: Verb) -> Actor:
        """Return a caller that is to end something."""
        return self.actor(lambda: self.end(verb))

    def actor(self, work: Callable[[], Any]) -> Actor:
        """Return a caller."""
        actor = Actor(work)
        self._actors.append(actor)
        return actor

    def _loader(self, result_tags: Sequence[str]) -> Callable[[], int]:
        def load() -> int:
            pass_by("load")
            version = self.source.load()
            loading().tags = result_tags
            pass_by("loaded")
            return version

        return load

    # -- what it is

    @property
    def near_now(self) -> bool:
        """Whether a read would be answered from its own memory."""
        return KEY in self.cache

    def joins(self, count: int = 1) -> bool:
        """Whether so many readers have joined a flight here."""
        return self.cache.stats().joins == count

    def close(self) -> None:
        """Let everybody go, and let go of everything."""
        self.background.stops.clear()
        for actor in self._actors:
            actor.leave()
        self.cache.close()


class Member(Process):
    """A process over the server."""

    def __init__(self, name: str, stage: Stage, tiers: Sequence[str], **settings: Any) -> None:
        super().__init__(name, stage, tiers, **settings)
        space = self.cache._space
        assert space.store is not None
        assert space.far is not None
        assert isinstance(space.table, NearTable)
        self.table: NearTable = space.table
        self.store: Store = space.store
        self.far: Far = space.far
        self.near: Near = self.store.near
        self.ear = Ear(self.near)
        self.sync = Tapped(self.store.clients.sync, self.store, self.background, self.answers)
        aio = Tapped(self.store.clients.aio, self.store, self.background, self.answers)
        self.store.clients = Clients(self.sync, aio)
        self.cache.get("another key")  # the connection is open, and the server introduced

    def answer(self, step: str) -> Any:
        """Return what the server last answered to a step, the first reply of its packet."""
        return next(replies[0] for of, replies in reversed(self.answers) if of == step)

    def sent(self, word: str) -> int:
        """Return how many packets its callers have sent that held a command."""
        return sum(word in packet for packet in self.sync.packets)

    def linked(self) -> Member:
        """Be linked, and proven alive."""
        self.ear.up()
        return self

    def holding(self, **options: Any) -> Member:
        """Be linked, and hold a copy that the link vouches for."""
        self.linked().read(**options)
        wait_until(lambda: self.near_now)
        return self


class Stage:
    """All of it. `near` tells a process with a tier of its own from one that asks the store each time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.source = Source()
        self.clock = Clock()
        self._processes: list[Process] = []

    def process(self, *, near: bool = False, url: str | None = None, **settings: Any) -> Member:
        """Return another process, over the server, at another url (a proxy's) if one is given."""
        tiers = (*(("memory://",) if near else ()), url or self.server.url)
        process = Member(f"p{len(self._processes)}", self, tiers, **settings)
        self._processes.append(process)
        return process

    @property
    def members(self) -> list[Member]:
        """The processes over the server."""
        return [process for process in self._processes if isinstance(process, Member)]

    def alone(self) -> Process:
        """Return a process without a store."""
        process = Process("p0", self, ("memory://",))
        self._processes.append(process)
        return process

    def stored(self, *, tags: Sequence[str] = ()) -> Stage:
        """Have version 0 in the store, put there by a process that is gone."""
        process = self.process()
        process.read(tags=tags)
        process.close()
        self._processes.remove(process)
        return self

    def key(self, kind: Literal["entry", "gen", "seq", "tag"] = "entry") -> str:
        """Return the name of something in the server."""
        return {
            "entry": f"hs1:orders:{KEY}", "gen": "hs1:{orders}:gen", "seq": "hs1:{orders}:seq",
            "tag": f"hs1:{{orders}}:t:{TAG}",
        }[kind]  # fmt: skip

    def lose(self, kind: Literal["gen", "seq", "tag"]) -> None:
        """Have the server evict something."""
        assert self.server.cli("DEL", self.key(kind)) == 1

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.close()
