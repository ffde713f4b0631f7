"""The application that the served tests run: it writes down what happens, and its slow loads wait for a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hotset import Cache
from hotset.integrations.fastapi import cached, lifespan

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HERE = Path(os.environ["SHOP"])
cache = Cache("memory://", os.environ["REDIS_URL"], namespace="shop", ttl="10m")


class UserOut(BaseModel):
    """A user, as clients see one."""

    id: int
    name: str


class Session:
    """What one request has of its own."""

    open = True


def get_session() -> Iterator[Session]:
    """A session for one request."""
    session = Session()
    yield session
    session.open = False


def note(what: str) -> None:
    """Write down that something has happened, in all processes' one file."""
    with (HERE / "journal").open("a") as journal:
        journal.write(f"{what}\n")


def name_of(user_id: int) -> str:
    """Read the source."""
    file = HERE / f"user-{user_id}"
    return file.read_text() if file.exists() else "Ada"


class Watch:
    """Writes down who comes, and cancels the task of a client that goes away, as some middleware does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application in a task of its own."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        note(f"came {scope['path']}")
        task = asyncio.ensure_future(self._answered(scope, receive, send))
        watch = asyncio.create_task(self._gone(receive))
        await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            note(f"gone {scope['path']}")

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


cache.on("degraded", lambda event: note("degraded"))
app = FastAPI(lifespan=lifespan(cache))
app.add_middleware(Watch)


@app.get("/users/{user_id}")
@cached(cache, "user-page:{user_id}", tags=["user:{user_id}"], public=True)
async def user_page(user_id: int, db: Annotated[Session, Depends(get_session)]) -> UserOut:
    """A page that needs a session."""
    note(f"load {user_id}")
    await gate(db)
    return UserOut(id=user_id, name=name_of(user_id))


@app.get("/sync/{user_id}")
@cached(cache, "sync-page:{user_id}", tags=["user:{user_id}"])
def sync_page(user_id: int, db: Annotated[Session, Depends(get_session)]) -> UserOut:
    """The same by a `def`."""
    note(f"load {user_id}")
    return UserOut(id=user_id, name=name_of(user_id))


@app.get("/alone/{user_id}")
@cached(cache, "alone-page:{user_id}", tags=["user:{user_id}"])
async def alone_page(user_id: int) -> UserOut:
    """A page that needs nothing but its key."""
    note(f"load {user_id}")
    await gate(None)
    return UserOut(id=user_id, name=name_of(user_id))


async def gate(db: Session | None) -> None:
    """Wait while the shop is closed, and see that the session stays open meanwhile."""
    while (HERE / "closed").exists():
        await asyncio.sleep(0.005)
    if db is not None and not db.open:
        note("a load went on with a session that was closed")


@app.put("/users/{user_id}/{name}")
async def rename(user_id: int, name: str) -> None:
    """Change the source, and end what was made of it."""
    (HERE / f"user-{user_id}").write_text(name)
    await cache.aio.delete(tags=[f"user:{user_id}"])
