"""The story of `hotset demo --redis`: two processes over one store, a replay, three scenes. It prints nothing."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, final

from hotset import ConfigError, __version__
from hotset.cli import demo
from hotset.cli.figures import Replayed
from hotset.cli.fleet import keys, outage, scenes
from hotset.cli.fleet.figures import FleetReport, Server, Share
from hotset.cli.fleet.outage import Cutting, Step, Stopping, Watched
from hotset.cli.fleet.process import Process
from hotset.cli.fleet.relay import Relay
from hotset.cli.fleet.server import OwnServer
from hotset.cli.fleet.worker import Worker
from hotset.cli.origin import Origin
from hotset.config.redis import Redis
from hotset.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from hotset.cli.demo import Building, Played, Playing, Settings
    from hotset.cli.figures import Database

_TICK = 0.2
_PROCESSES = 2

OWN = "own"


@dataclass(frozen=True, slots=True)
class Assembled:
    """The database stands, the server answers, and the processes run."""

    database: Database
    trace: Replayed
    server: Server
    namespace: str
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """The replay is going on, or `over`: each process's share of it, and both together."""

    shares: tuple[Share, ...]
    together: Share
    apart: int
    over: bool


Event: TypeAlias = "Building | Assembled | Shared | Playing | Played | Step | Watched | FleetReport"


def place(given: str) -> Redis | OwnServer:
    """Return the server that `--redis` names, seen to answer, or one of the demo's own, not started yet.

    Raises:
        ConfigError: it is no url of a server.
        Unusable: nobody answers there, or nobody whom hotset can use; or there is no server to start.
    """
    if given == OWN:
        return OwnServer()
    try:
        described = Redis(given)
    except ConfigError as error:
        raise ConfigError(f"--redis: {error}; or {OWN!r}, for a server of the demo's own") from None
    try:
        keys.meet(described)
    except StoreError as error:
        raise keys.Unusable(f"--redis: {error}") from error
    return described


def story(settings: Settings, where: Redis | OwnServer, check: Callable[[], None]) -> Generator[Event, None, None]:
    """Tell the whole demo as it happens; the last event is the report.

    Close it to end it early: the processes, their keys, the server if it was the demo's own, and the database are gone
    when `close` returns.

    Args:
        settings: what to do.
        where: what `place` returned.
        check: called several times a second; what it raises ends the story, as closing it does.
    """
    began = time.perf_counter()
    namespace = f"demo-{secrets.token_hex(6)}"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hotset-demo-"))
        path = Path(folder, "shop.db")
        own = stack.enter_context(where) if isinstance(where, OwnServer) else None
        store = where.description if isinstance(where, OwnServer) else where
        with Origin(path) as origin:
            database = yield from demo.build(path, origin, settings, check)
        requests = settings.trace.user_ids(settings.users)
        trace = Replayed(settings.trace.name, len(requests), len(set(requests)))
        known = keys.meet(store)
        server = Server(store.where, f"{known.kind} {'.'.join(map(str, known.version))}", own=own is not None)

        leaving = stack.enter_context(_Leaving(store, namespace, own=own is not None))
        fleet = _fleet(stack, check)
        for process in fleet:
            process.begin(Worker.open, str(path), store, namespace)
        for process in fleet:
            process.result(Worker.open)
        yield Assembled(database, trace, server, namespace, tuple(process.pid for process in fleet))

        shared = yield from _replay(fleet, requests, max(1, -(-settings.threads // _PROCESSES)), check)

        played = []
        yield demo.Playing(scenes.DELETE)
        played.append(scenes.delete_here_read_there(fleet))
        yield demo.Played(played[-1])
        yield demo.Playing(scenes.STAMPEDE)
        played.append(scenes.one_cold_key(fleet))
        yield demo.Played(played[-1])
        with _switch(fleet, path, store, own, namespace) as switch:
            yield demo.Playing(switch.claim)
            played.append((yield from outage.outage(fleet, switch, settings.users, check)))
            yield demo.Played(played[-1])

        for process in fleet:
            process.close()
        removed = leaving.remove()
    yield FleetReport(
        __version__, server, namespace, database, trace, shared.shares, shared.together, shared.apart, tuple(played),
        removed, time.perf_counter() - began,
    )  # fmt: skip


def _fleet(stack: contextlib.ExitStack, check: Callable[[], None]) -> list[Process]:
    fleet = []
    for _ in range(_PROCESSES):
        fleet.append(process := Process(check))
        stack.callback(process.close)
    return fleet


@contextlib.contextmanager
def _switch(
    fleet: Sequence[Process], path: Path, store: Redis, own: OwnServer | None, namespace: str
) -> Iterator[Stopping | Cutting]:
    """Have what makes the store go away: the server itself where it is ours, else a relay, for this scene alone."""
    if own is not None:
        yield Stopping(own)
        return
    with Relay(store) as relay:
        for process in fleet:
            process.ask(Worker.open, str(path), relay.description, namespace)
        yield Cutting(relay)
        for process in fleet:
            process.ask(Worker.close)


def _replay(
    fleet: Sequence[Process], requests: Sequence[int], threads: int, check: Callable[[], None]
) -> Generator[Shared, None, Shared]:
    parts = [list(requests[place :: len(fleet)]) for place in range(len(fleet))]
    apart = sum(len(set(part)) for part in parts)
    for process, part in zip(fleet, parts, strict=True):
        process.ask(Worker.replay, part, threads)
    while True:
        told = [process.ask(Worker.tally) for process in fleet]
        tallies, over = [tally for _, tally in told], all(done for done, _ in told)
        shared = Shared(tuple(Share.of(tally) for tally in tallies), Share.of(*tallies), apart, over)
        yield shared
        if over:
            for process in fleet:
                process.ask(Worker.halt)
            return shared
        check()
        time.sleep(_TICK)  # between two frames of the screen; the processes say when it is over


@final
class _Leaving:
    """Removes this run's keys when its `with` block ends, however it ends, if `remove` was not called before."""

    def __init__(self, store: Redis, namespace: str, *, own: bool) -> None:
        self._store = store
        self._namespace = namespace
        self._own = own
        self._done = False

    def __enter__(self) -> _Leaving:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._done and not self._own:  # our own server goes, and its data with it
            self.remove()

    def remove(self) -> int:
        """Remove the keys, and return how many there were.

        Raises:
            LeftBehind: they may be there still; the message says which.
        """
        self._done = True
        try:
            return keys.remove(self._store, self._namespace)
        except StoreError as error:
            raise keys.LeftBehind(f"keys of the namespace {self._namespace} may be left there: {error}") from error
