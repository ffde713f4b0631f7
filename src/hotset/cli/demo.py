"""The demo's story: build the source, replay a trace without and with hotset, play three scenes. It prints nothing."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hotset import Cache, __version__
from hotset.cli import scenes, shop
from hotset.cli.crew import Crew
from hotset.cli.figures import Database, Latency, Phase, Replayed, Report, Scene
from hotset.cli.origin import Origin, Profile
from hotset.cli.replay import Replay, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hotset.cli.figures import Kind
    from hotset.cli.trace import Trace

# How often the story tells how a replay is going, in seconds. Drawing it takes some milliseconds from the workers.
_TICK = 0.2

# Enough for a steady median of the query alone, and done within half a second.
_PROBES = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run is to do."""

    trace: Trace
    users: int
    threads: int
    tasks: int
    seed: int


@dataclass(frozen=True, slots=True)
class Building:
    """A part of the database is being built."""

    part: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The database stands, and the trace is known."""

    database: Database
    trace: Replayed


@dataclass(frozen=True, slots=True)
class Running:
    """A replay is under way."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Ran:
    """A replay has come to its end."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Playing:
    """A scene begins."""

    claim: str


@dataclass(frozen=True, slots=True)
class Played:
    """A scene has come to its end."""

    scene: Scene


Event: TypeAlias = Building | Ready | Running | Ran | Playing | Played | Report


def story(settings: Settings, check: Callable[[], None]) -> Generator[Event, None, None]:
    """Tell the whole demo as it happens; the last event is the report.

    Close it to end it early: the database is removed and every thread has ended when `close` returns.

    Args:
        settings: what to do.
        check: called several times a second; what it raises ends the story, as closing it does.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hotset-demo-") as folder, Origin(Path(folder, "shop.db")) as origin:
        database = yield from build(Path(folder, "shop.db"), origin, settings, check)
        requests = settings.trace.user_ids(settings.users)
        trace = Replayed(settings.trace.name, len(requests), len(set(requests)))
        yield Ready(database, trace)

        phases: list[Phase] = []
        kinds: tuple[Kind, ...] = ("threads", "tasks")
        for kind, cached in product(kinds, (False, True)):
            phase = yield from _replay(origin, requests, settings, kind, cached=cached, check=check)
            phases.append(phase)

        played: list[Scene] = []
        for claim, play in (
            (scenes.UPDATE, partial(scenes.update_and_delete, threads=settings.threads, tasks=settings.tasks)),
            (scenes.STAMPEDE, scenes.one_cold_key),
            (scenes.FAILURE, scenes.failing_source),
        ):
            yield Playing(claim)
            scene = play(origin, check=check)
            played.append(scene)
            yield Played(scene)
    yield Report(__version__, database, trace, tuple(phases), tuple(played), time.perf_counter() - began)


def build(
    path: Path, origin: Origin, settings: Settings, check: Callable[[], None]
) -> Generator[Building, None, Database]:
    """Build the database, and time the query on it with nothing else going on."""
    began = time.perf_counter()
    for part in shop.build(path, users=settings.users, seed=settings.seed, check=check):
        yield Building(part)
    seconds = time.perf_counter() - began
    probe, dice = Source(origin), random.Random(settings.seed)
    for _ in range(_PROBES):
        check()
        probe.load(dice.randint(1, settings.users))
    return Database(
        users=origin.count("users"),
        orders=origin.count("orders"),
        order_lines=origin.count("order_lines"),
        size_bytes=path.stat().st_size,
        build_seconds=seconds,
        sqlite=sqlite3.sqlite_version,
        query=Latency.of(probe.took),
    )


def _replay(
    origin: Origin, requests: Sequence[int], settings: Settings, kind: Kind, *, cached: bool, check: Callable[[], None]
) -> Generator[Event, None, Phase]:
    source = Source(origin)
    replay = Replay(requests, source, kind=kind, cached=cached)
    # Every replay begins with an empty cache, so that its figures are its own.
    with Cache("memory://?max_entries=50_000", namespace="demo", ttl="10m") as cache:
        aio = cache.aio

        @cache.cached("profile:{user_id}")
        def profile(user_id: int) -> Profile:
            return source.load(user_id)

        async def aprofile(user_id: int) -> Profile:
            return await aio.get_or_load(f"profile:{user_id}", partial(source.load, user_id))

        async def in_a_thread(user_id: int) -> Profile:
            return await asyncio.to_thread(source.load, user_id)

        if kind == "threads":
            ask = profile if cached else source.load
            crew = Crew(halt=replay.end, jobs=[replay.job(ask) for _ in range(settings.threads)])
        else:
            aask = aprofile if cached else in_a_thread
            crew = Crew(halt=replay.end, tasks=[replay.task(aask) for _ in range(settings.tasks)])
        with crew:
            yield Running(replay.picture(over=False))
            while not crew.finished(_TICK):
                check()
                yield Running(replay.picture(over=False))
    phase = replay.picture(over=True)
    yield Ran(phase)
    return phase
