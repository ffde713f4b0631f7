"""AsyncSession: the same promises, and the event loop goes on while endings are told to a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from hotset import Cache
from hotset.core.ending import end
from hotset.integrations.sqlalchemy import on_commit
from tests.integrations.sqlalchemy.users import KEY, User

Sessions = async_sessionmaker[AsyncSession]


@asynccontextmanager
async def sessions_of(url: str, cache: Cache) -> AsyncIterator[Sessions]:
    """Async sessions whose transactions are the cache's; all their connections are given back."""
    engine = create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"))
    sessions = async_sessionmaker(engine)
    off = on_commit(sessions, cache)
    try:
        yield sessions
        assert getattr(engine.pool, "checkedout", int)() == 0  # SQLAlchemy 2.0.30 pools no files
    finally:
        off()
        await engine.dispose()


async def name_in(sessions: Sessions) -> str:
    """Return what is committed."""
    async with AsyncSession(sessions.kw["bind"]) as session:
        return (await session.scalars(select(User.name).where(User.id == 7))).one()


def test_begin_commit_and_rollback(url: str, cache: Cache) -> None:
    """Reads bypass inside, an ending happens with the commit, and not with a rollback."""

    async def main() -> None:
        async with sessions_of(url, cache) as sessions:
            await cache.aio.set(KEY, "old")
            async with sessions.begin() as session:
                assert await cache.aio.get(KEY) is None
                (await session.get_one(User, 7)).name = "new"
                assert await cache.aio.delete(KEY) == 0
                assert await asyncio.create_task(in_another_task(cache)) == "old"
            assert KEY not in cache
            assert await cache.aio.get_or_load(KEY, lambda: name_in(sessions)) == "new"
            async with sessions() as session:
                await session.execute(update(User).values(name="never"))
                await cache.aio.delete(KEY)
                assert await cache.aio.get_or_load(KEY, lambda: "never") == "never"
            assert await cache.aio.get(KEY) == "new"

    asyncio.run(main())


async def in_another_task(cache: Cache) -> Any:
    """Read where nothing is open: a task of one's own would have a copy of this context."""
    from contextvars import Context

    return await asyncio.get_running_loop().create_task(cache.aio.get(KEY), context=Context())


def test_savepoints_and_a_failing_flush(url: str, cache: Cache) -> None:
    """A savepoint that fails forgets its endings, the rest is committed."""

    async def main() -> None:
        async with sessions_of(url, cache) as sessions:
            cache.set_many({"kept": 1, "gone": 1})
            async with sessions() as session:
                try:
                    async with session.begin_nested():
                        await cache.aio.delete("kept")
                        session.add(User(id=8, name="old"))
                except IntegrityError:
                    pass
                async with session.begin_nested():
                    await cache.aio.delete("gone")
                    session.add(User(id=9, name="nine"))
                await session.commit()
            assert await cache.aio.get_many(["kept", "gone"]) == {"kept": 1}

    asyncio.run(main())


def test_the_loop_goes_on_while_endings_are_told(url: str, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are awaited: another task runs between the commit and the end of `commit()`."""

    async def main() -> None:
        told, go_on = asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any, **more: Any) -> int:
            told.set()
            await go_on.wait()
            return await end(*arguments, **more)

        monkeypatch.setattr("hotset.core.transaction.end", slow)
        async with sessions_of(url, cache) as sessions:
            await cache.aio.set(KEY, "old")
            async with sessions() as session:
                await session.execute(update(User).values(name="new"))
                await cache.aio.delete(KEY)
                committing = asyncio.create_task(session.commit())
                await told.wait()
                assert not committing.done()
                assert await name_in(sessions) == "new"
                go_on.set()
                await committing
            assert await cache.aio.get(KEY) is None

    asyncio.run(main())


def test_a_commit_that_is_cancelled_loses_no_ending(url: str, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is told, the task is cancelled: the row is committed, the entry ended, the connection back."""

    async def main() -> None:
        told = asyncio.Event()

        async def never(*arguments: Any, wait: str | None = None, **more: Any) -> int:
            if wait != "local":
                told.set()
                await asyncio.Event().wait()
            return await end(*arguments, wait=wait, **more)

        monkeypatch.setattr("hotset.core.transaction.end", never)
        async with sessions_of(url, cache) as sessions:
            await cache.aio.set(KEY, "old")

            async def change() -> None:
                async with sessions() as session:
                    await session.execute(update(User).values(name="new"))
                    await cache.aio.delete(KEY)
                    await session.commit()

            task = asyncio.create_task(change())
            await told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await cache.aio.get_or_load(KEY, lambda: name_in(sessions)) == "new"

    asyncio.run(main())


def test_many_tasks_with_a_session_each(url: str, cache: Cache) -> None:
    """Each takes part in its own transaction: what one rolls back is no matter to the others."""

    async def main() -> None:
        async with sessions_of(url, cache) as sessions:
            keys = [f"k{n}" for n in range(20)]
            cache.set_many(dict.fromkeys(keys, 1))

            async def work(n: int) -> None:
                async with sessions() as session:
                    await session.scalars(select(User))
                    await asyncio.sleep(0)
                    await cache.aio.delete(keys[n])
                    if n % 2:
                        session.add(User(id=100 + n, name=f"n{n}"))
                        await session.rollback()
                    else:
                        await session.commit()

            await asyncio.gather(*map(work, range(20)))
            assert sorted(await cache.aio.get_many(keys)) == sorted(f"k{n}" for n in range(1, 20, 2))

    asyncio.run(main())
