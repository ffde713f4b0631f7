"""One read of a key against a source that answers, fails, or is slow, and all that can be seen of it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hotset import LoadTimeout, NotFound
from hotset.core.decide import Step
from tests.unit.source import eventually
from tools.windows import Gets

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset import Cache

PATIENCE = 20.0
AMPLE = {"soft_timeout": 1_000.0, "load_timeout": 2_000.0}
NONE = {"soft_timeout": 1e-6, "load_timeout": 2e-6}
"""Timeouts that are over before a source can answer: nobody waits for time to pass."""


@dataclass
class Seen:
    """What a read got, and what else happened."""

    answer: Any
    calls: int
    """How often the loader was called, behind the caller too."""
    stale: list[str | None] = field(default_factory=list)
    """The causes of the `stale_served` that it emitted."""


class Failed(OSError):
    """What the source raises."""


def timeouts(names: dict[str, Any], source: str) -> dict[str, Any]:
    """Timeouts of these names that the source keeps, or that it does not if it is slow."""
    return {name: (NONE if source == "slow" else AMPLE)[name] for name in names}


def read(cache: Cache, source: str, gets: Gets, *, asynchronous: bool, key: str = "k", **options: Any) -> Seen:
    """Read through one of the faces. A slow source is held until there is an answer, if one is to come before its own.

    `gets` is only used for that: whether anybody has to let the source go on before there can be an answer.
    """
    heard: list[str | None] = []
    calls: list[int] = []
    landed: list[str] = []
    begun, gate = threading.Event(), threading.Event()
    listening = [
        cache.on("stale_served", lambda event: heard.append(event.cause)),
        *(cache.on(kind, lambda event: landed.append(event.kind)) for kind in ("loaded", "load_failed")),
    ]
    if source != "slow":
        gate.set()

    def load() -> str:
        calls.append(1)
        begun.set()
        assert gate.wait(PATIENCE)
        if source == "fails":
            raise Failed("down")
        return "new"

    async def load_async() -> str:
        return await asyncio.to_thread(load)

    def let_go() -> None:
        if gets is Gets.WAITS:
            assert begun.wait(PATIENCE)
            gate.set()

    def quiet() -> bool:  # a flight leaves its slot before a server has what it has loaded
        return cache.status().loads == 0 and cache._space.pool._taken == 0 and len(landed) == len(calls)

    read_ = _read_async if asynchronous else _read_sync
    try:
        answer = read_(cache, key, load_async if asynchronous else load, let_go, gate, quiet, options)
    finally:
        gate.set()
        for off in listening:
            off()
    return Seen(answer, len(calls), heard)


def _read_sync(
    cache: Cache,
    key: str,
    load: Callable[[], Any],
    let_go: Callable[[], None],
    gate: threading.Event,
    quiet: Callable[[], bool],
    options: dict[str, Any],
) -> Any:
    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(lambda: cache.get_or_load(key, load, **options))
        try:
            let_go()
            answer = _outcome(reader.result)
        finally:
            gate.set()
    eventually(quiet)
    return answer


def _read_async(
    cache: Cache,
    key: str,
    load: Callable[[], Any],
    let_go: Callable[[], None],
    gate: threading.Event,
    quiet: Callable[[], bool],
    options: dict[str, Any],
) -> Any:
    async def main() -> Any:
        reader = asyncio.create_task(cache.aio.get_or_load(key, load, **options))
        await asyncio.to_thread(let_go)
        await asyncio.wait([reader], timeout=PATIENCE)
        gate.set()
        while not quiet():
            await asyncio.sleep(0)
        return _outcome(reader.result)

    return asyncio.run(main())


def _outcome(result: Callable[[], Any]) -> Any:
    try:
        return result()
    except (Failed, NotFound, LoadTimeout) as error:
        return type(error)


ANSWERS: dict[Gets, Any] = {
    Gets.VALUE: "old",
    Gets.STALE: "old",
    Gets.NEW: "new",
    Gets.ERROR: Failed,
    Gets.NOT_FOUND: NotFound,
    Gets.WAITS: "new",
    Gets.SOFT: "old",
    Gets.LATE: "old",
    Gets.TIMEOUT: LoadTimeout,
}


def told(does: Step, gets: Gets) -> list[str]:
    """The causes of the `stale_served` that are told of a read that does this, and of what its caller gets."""
    if does is Step.REVALIDATE:
        return ["revalidating"]
    why = {Gets.SOFT: "soft_timeout", Gets.LATE: "LoadTimeout", Gets.STALE: "Failed"}
    return [why[gets]] if gets in why else []
