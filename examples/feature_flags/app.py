"""Feature flags: every worker answers from its own memory, and tells its browsers when a flag is changed anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint

from hotset import Cache, Event

cache = Cache.from_env()
DATABASE = os.environ.get("DATABASE", "flags.db")


class Flag(BaseModel):
    percent: int


@cache.cached("flag:{name}", ttl="1h")
def load_flag(name: str) -> int:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db:
        row = db.execute("SELECT percent FROM flag WHERE name = ?", [name]).fetchone()
    return row[0] if row else 0


class Changes:
    """Who wants to hear, in this worker, that a flag has changed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: dict[str, set[asyncio.Queue[None]]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def heard(self, event: Event) -> None:
        """Called in whatever thread heard of the ending: hotset's own, if another worker made the change."""
        if self._loop is not None and event.key is not None:
            self._loop.call_soon_threadsafe(self._tell, event.key.removeprefix("flag:"))

    def _tell(self, name: str) -> None:
        for queue in self._queues.get(name, ()):
            queue.put_nowait(None)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[asyncio.Queue[None]]:
        queue: asyncio.Queue[None] = asyncio.Queue()
        self._queues.setdefault(name, set()).add(queue)
        try:
            yield queue
        finally:
            self._queues[name].discard(queue)


changes = Changes()
cache.on("ended", changes.heard, match="flag:*")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        with suppress(sqlite3.OperationalError):  # another worker does it at this moment
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE IF NOT EXISTS flag (name TEXT PRIMARY KEY, percent INTEGER)")
    changes.start()
    yield
    await cache.aio.close()


app = FastAPI(lifespan=lifespan)


@app.get("/flags/{name}")
def show(name: str) -> Flag:
    return Flag(percent=load_flag(name))


@app.put("/flags/{name}")
def change(name: str, flag: Flag) -> Flag:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        db.execute("REPLACE INTO flag VALUES (?, ?)", [name, flag.percent])
    load_flag.delete(name)
    return flag


@app.get("/flags/{name}/changes")
async def follow(name: str) -> StreamingResponse:
    """Server-sent events: the flag as it is, then again each time that it has changed, in whichever worker."""

    async def events() -> AsyncIterator[str]:
        async with changes.of(name) as changed:
            while True:
                percent = await asyncio.to_thread(
                    load_flag, name
                )  # the copy that is held now is the one that we hear of
                yield f"data: {json.dumps({'percent': percent})}\n\n"
                await changed.get()

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.middleware("http")
async def name_the_worker(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response
