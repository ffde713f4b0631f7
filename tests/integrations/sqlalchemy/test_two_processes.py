"""Two processes over one database and one store: what one has not committed the other's cache never shows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from hotset import Cache
from hotset.integrations.sqlalchemy import on_commit
from tests.integrations.sqlalchemy.users import KEY, User, name_in
from tests.services.servers import Server

ROOT = Path(__file__).parents[3]


class Reader:
    """The other process."""

    def __init__(self, store: str, database: str) -> None:
        command = [sys.executable, "-m", "tests.integrations.sqlalchemy.reader", store, database]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    def say(self, line: str) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Return its next answer."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def read(self) -> str:
        """Return what it gets."""
        self.say("read")
        return self.hear()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def store(redis_server: Server) -> str:
    """A store, empty."""
    return redis_server.url


@pytest.fixture
def there(store: str, url: str) -> Iterator[Reader]:
    """The other process."""
    reader = Reader(store, url)
    yield reader
    reader.close()


@pytest.fixture
def here(store: str) -> Iterator[Cache]:
    """This process's cache over the store."""
    with Cache("memory://", store, namespace="shop", ttl="1h") as cache:
        yield cache
        assert cache._space.engine.off_here == 0


def test_the_other_process_never_gets_what_is_not_committed(
    there: Reader, here: Cache, url: str, engine: Engine
) -> None:
    """Before the commit it gets the old name, loaded anew too; after it the new one, and after a rollback no other."""
    sessions = sessionmaker(engine)
    off = on_commit(sessions, here)
    assert there.read() == "old"
    with sessions() as session:
        user = session.get_one(User, 7)
        user.name = "never"
        session.flush()
        here.delete(KEY)
        assert here.get_or_load(KEY, lambda: user.name) == "never"
        assert there.read() == "old"
        session.rollback()
        assert there.read() == "old"
        user = session.get_one(User, 7)
        user.name = "new"
        here.delete(KEY)
        session.flush()
        here.get_or_load(KEY, lambda: user.name)
        assert there.read() == "old"
        session.commit()
        assert there.read() == "new"
    assert here.get_or_load(KEY, lambda: name_in(engine)) == "new"
    off()


def test_a_load_there_that_began_before_the_commit_is_not_stored(there: Reader, here: Cache, engine: Engine) -> None:
    """It has read the old name, and is given it; whoever reads after the commit gets the new one."""
    sessions = sessionmaker(engine)
    off = on_commit(sessions, here)
    with sessions.begin() as session:
        session.get_one(User, 7).name = "new"
        here.delete(KEY)
        there.say("held")
        assert there.hear() == "has read old"
    there.say("go on")
    assert there.hear() == "old"
    assert there.read() == "new"
    assert here.get_or_load(KEY, lambda: name_in(engine)) == "new"
    off()


def test_the_async_face_over_a_store(there: Reader, here: Cache, url: str) -> None:
    """The same with an AsyncSession: when `commit()` has returned, the store has been told."""

    async def main() -> None:
        engine = create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"))
        sessions = async_sessionmaker(engine)
        off = on_commit(sessions, here.aio)
        assert there.read() == "old"
        async with sessions() as session:
            (await session.get_one(User, 7)).name = "new"
            await session.flush()
            assert await here.aio.delete(KEY) == 0
            assert there.read() == "old"
            await session.commit()
            assert there.read() == "new"
        off()
        await engine.dispose()

    asyncio.run(main())
