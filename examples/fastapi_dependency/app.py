"""FastAPI: a cached endpoint over a database session, and a cached dependency; ETag and 304 come with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint

from hotset import Cache, NotFound
from hotset.integrations.fastapi import cached, lifespan

cache = Cache.from_env()
DATABASE = os.environ.get("DATABASE", "users.db")


class User(BaseModel):
    id: int
    name: str
    score: int


class Change(BaseModel):
    score: int


def connect() -> Iterator[sqlite3.Connection]:
    """A session: opened for each request that needs one, and closed with it."""
    with closing(sqlite3.connect(DATABASE, timeout=10, check_same_thread=False)) as db:
        yield db


Session = Annotated[sqlite3.Connection, Depends(connect)]


@cache.cached("scale", ttl="1h")
def scale() -> int:
    """A dependency that is the same for everyone: read once an hour, not once a request."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db:
        return int(db.execute("SELECT value FROM setting WHERE name = 'scale'").fetchone()[0])


@asynccontextmanager
async def own(_: FastAPI) -> AsyncIterator[None]:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        with suppress(sqlite3.OperationalError):  # another worker does it at this moment
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, name TEXT, score INTEGER)")
        db.execute("CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value INTEGER)")
        db.execute("INSERT OR IGNORE INTO setting VALUES ('scale', 1)")
        db.executemany(
            "INSERT OR IGNORE INTO user VALUES (?, ?, 0)", [(number, f"user {number}") for number in range(1, 31)]
        )
    yield


app = FastAPI(lifespan=lifespan(cache, own))


@app.get("/users/{user_id}")
@cached(cache, "user-page:{user_id}", ttl="1m", public=True)
def show(user_id: int, db: Session, scale: Annotated[int, Depends(scale)]) -> User:
    row = db.execute("SELECT id, name, score FROM user WHERE id = ?", [user_id]).fetchone()
    if row is None:
        raise NotFound(f"no user {user_id}")
    return User(id=row[0], name=row[1], score=row[2] * scale)


@app.put("/users/{user_id}")
def change(user_id: int, changed: Change, db: Session) -> Change:
    with db:  # commits
        db.execute("UPDATE user SET score = ? WHERE id = ?", [changed.score, user_id])
    cache.delete(f"user-page:{user_id}")
    return changed


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.middleware("http")
async def name_the_worker(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response
