"""What `on_commit` takes, and what becomes of sessions that are handed on, forgotten, or begun before it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from hotset import Cache, ConfigError
from hotset.engine import within
from hotset.integrations import sqlalchemy as ours
from hotset.integrations.sqlalchemy import on_commit
from tests.integrations.sqlalchemy.users import KEY, User

Sessions = sessionmaker[Session]
PATIENCE = 20.0


class Mine(Session):
    """A class of the program's own."""


class Another(Session):
    """A class that takes no part."""


def the_session(engine: Engine) -> tuple[Any, Callable[[], Session]]:
    """One session, and itself."""
    session = Session(engine)
    return session, lambda: session


TARGETS: dict[str, Callable[[Engine], tuple[Any, Callable[[], Session]]]] = {
    "sessionmaker": lambda engine: (maker := sessionmaker(engine), maker),
    "scoped_session": lambda engine: (scoped := scoped_session(sessionmaker(engine)), scoped),
    "class": lambda engine: (Mine, lambda: Mine(engine)),
    "base class": lambda engine: (Session, lambda: Mine(engine)),
    "class of a maker": lambda engine: (Mine, sessionmaker(engine, class_=Mine)),
    "session": the_session,
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_whatever_makes_sessions_can_be_given(
    engine: Engine, cache: Cache, target: Callable[[Engine], tuple[Any, Callable[[], Session]]]
) -> None:
    """Its sessions take part until that is taken back; others never do."""
    given, make = target(engine)
    off = on_commit(given, cache)
    cache.set(KEY, "old")
    with make() as session:
        session.execute(update(User).values(name="new"))
        assert cache.get(KEY) is None
        session.rollback()
    if given is not Session:
        with Another(engine) as other, other.begin():
            assert cache.get(KEY) == "old"
    off()
    off()
    with make() as session:
        session.execute(update(User).values(name="new"))
        assert cache.get(KEY) == "old"
        session.rollback()
    if isinstance(given, scoped_session):
        given.remove()
    assert not ours._taking_part


ASYNC_TARGETS: dict[str, Callable[[Any], tuple[Any, Callable[[], AsyncSession]]]] = {
    "async_sessionmaker": lambda engine: (maker := async_sessionmaker(engine), maker),
    "over a sync maker": lambda engine: (
        (sync := sessionmaker()),
        async_sessionmaker(engine, sync_session_class=sync),
    ),
    "async_scoped_session": lambda engine: (
        scoped := async_scoped_session(async_sessionmaker(engine), asyncio.current_task),
        scoped,
    ),
    "class": lambda engine: ((cls := type("Mine", (AsyncSession,), {})), lambda: cls(engine)),
    "session": lambda engine: ((session := AsyncSession(engine)), lambda: session),
}


@pytest.mark.parametrize("target", ASYNC_TARGETS.values(), ids=ASYNC_TARGETS.keys())
def test_so_can_what_makes_async_ones(
    url: str, cache: Cache, target: Callable[[Any], tuple[Any, Callable[[], AsyncSession]]]
) -> None:
    """The sync sessions under them are listened to, and no others."""

    async def main() -> None:
        engine = create_async_engine(url.replace("sqlite", "sqlite+aiosqlite"))
        given, make = target(engine)
        off = on_commit(given, cache)
        await cache.aio.set(KEY, "old")
        async with make() as session:
            await session.execute(update(User).values(name="new"))
            assert await cache.aio.get(KEY) is None
            await session.rollback()
        async with AsyncSession(engine) as other, other.begin():
            assert await cache.aio.get(KEY) == "old"
        off()
        async with make() as session:
            await session.execute(update(User).values(name="new"))
            assert await cache.aio.get(KEY) == "old"
            await session.rollback()
        if isinstance(given, async_scoped_session):
            await given.remove()
        await engine.dispose()

    asyncio.run(main())


def test_the_async_base_class_stands_for_all(url: str, cache: Cache) -> None:
    """`on_commit(AsyncSession, cache)` listens to every session there is."""
    off = on_commit(AsyncSession, cache)
    assert list(ours._taking_part) == [Session]
    off()


@pytest.mark.parametrize("wrong", ["engine", None, sessionmaker, object()], ids=repr)
def test_what_knows_no_sessions_is_refused(engine: Engine, cache: Cache, wrong: object) -> None:
    """The error says what to write instead."""
    given = engine if wrong == "engine" else wrong
    with pytest.raises(ConfigError, match=r"on_commit\(sessionmaker\(engine\), cache\)"):
        on_commit(given, cache)


def test_without_a_cache_it_is_refused(engine: Engine) -> None:
    """And so is what is none."""
    with pytest.raises(ConfigError, match="which caches"):
        on_commit(sessionmaker(engine))
    with pytest.raises(ConfigError, match="a Cache or an AsyncCache"):
        on_commit(sessionmaker(engine), "cache")  # type: ignore[arg-type]


def test_given_twice_a_cache_takes_part_once(engine: Engine, cache: Cache) -> None:
    """By the same maker, by its class and by one session; a child and the async face are the same cache."""
    sessions = sessionmaker(engine)
    offs = [
        on_commit(sessions, cache, cache.aio),
        on_commit(sessions, cache),
        on_commit(sessions.class_, cache.child("x")),
    ]
    told: list[str | None] = []
    cache.on("ended", lambda event: told.append(event.key))
    with sessions() as session:
        offs.append(on_commit(session, cache))
        session.execute(update(User).values(name="new"))
        cache.delete(KEY)
        assert cache._space.engine.off_here == 1
        session.commit()
    assert told == [KEY]
    for off in offs:
        off()
    assert not ours._taking_part


def test_several_caches_take_part(engine: Engine, cache: Cache) -> None:
    """Each with its own endings; one that was given later, from the next transaction on."""
    other, sessions = Cache(), sessionmaker(engine)
    off = on_commit(sessions, cache)
    cache.set(KEY, 1)
    other.set(KEY, 1)
    with sessions.begin() as session:
        session.execute(update(User).values(name="new"))
        off_other = on_commit(sessions, other)
        assert [cache.delete(KEY), other.delete(KEY)] == [0, 1]
    other.set(KEY, 1)
    with sessions.begin() as session:
        session.execute(update(User).values(name="newer"))
        assert other.delete(KEY) == 0
    assert [KEY in cache, KEY in other] == [False, False]
    off()
    off_other()


def test_makers_that_come_and_go_are_all_heard(engine: Engine, cache: Cache) -> None:
    """And nothing of one that is gone is left, though nobody has taken its caches back."""

    def come_and_go() -> None:
        maker = sessionmaker(engine)
        on_commit(maker, cache)
        with maker.begin():
            assert cache._space.engine.off_here == 1

    for _ in range(30):
        come_and_go()
    gc.collect()
    assert not ours._taking_part


def test_a_session_that_is_forgotten_is_rolled_back(engine: Engine, cache: Cache, sessions: Sessions) -> None:
    """Collected with its transaction open it counts no more, has ended nothing, and its connection is given back."""
    cache.set(KEY, "old")
    session: Session | None = sessions()
    assert session is not None
    session.begin_nested()
    session.execute(update(User).values(name="new"))
    cache.delete(KEY)
    gone = weakref.ref(session)
    session = None
    gc.collect()
    assert gone() is None
    assert cache._space.engine.off_here == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert cache.get(KEY) == "old"


def test_many_sessions_leave_nothing(engine: Engine, cache: Cache, sessions: Sessions) -> None:
    """Neither here nor in the context that they began in."""
    for _ in range(100):
        with sessions() as session:
            session.execute(text("update users set name = 'new'"))
            session.rollback()
    assert len(within._live) == len(ours._open) == len(ours._watching) == 0
    assert len(within._within.get() or ()) <= 1


def test_begun_here_and_committed_there_delivers(cache: Cache, sessions: Sessions) -> None:
    """The endings hang on the session, whichever thread commits it."""
    cache.set(KEY, "old")
    session = sessions()
    session.execute(update(User).values(name="new"))
    cache.delete(KEY)
    thread = threading.Thread(target=session.commit)
    thread.start()
    thread.join(PATIENCE)
    session.close()
    assert cache.get(KEY) is None


def in_a_copy(pool: ThreadPoolExecutor, call: Callable[[], Any]) -> Any:
    """Call in another thread with a copy of this context, as FastAPI does with what is not async."""
    return pool.submit(copy_context().run, call).result(PATIENCE)


USES: dict[str, Callable[[Session], object]] = {
    "get": lambda session: setattr(session.get_one(User, 7), "name", "new"),
    "add": lambda session: session.add(User(id=8, name="eight")),
    "execute": lambda session: session.execute(update(User).values(name="new")),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_an_endpoint_takes_part_from_its_first_use(
    cache: Cache, sessions: Sessions, use: Callable[[Session], object], outcome: str
) -> None:
    """A dependency begins the session in a worker thread; what the endpoint ends waits for the dependency's commit."""
    cache.set(KEY, "old")
    with ThreadPoolExecutor(1) as pool:
        session = sessions()
        in_a_copy(pool, session.begin)

        def endpoint() -> object:
            use(session)
            assert cache.get(KEY) is None
            return cache.delete(KEY)

        assert in_a_copy(pool, endpoint) == 0
        assert cache.get(KEY) == "old"
        in_a_copy(pool, getattr(session, outcome))
        in_a_copy(pool, session.close)
    assert cache.get(KEY) == (None if outcome == "commit" else "old")


def test_an_endpoint_that_never_asks_the_session_loses_no_ending(cache: Cache, sessions: Sessions) -> None:
    """It changes what a dependency has loaded: the ending happens at once, and again after the commit."""
    cache.set(KEY, "old")
    with ThreadPoolExecutor(1) as pool:
        session = sessions()
        user = in_a_copy(pool, lambda: session.scalars(select(User)).one())
        gc.collect()

        def endpoint() -> None:
            user.name = "new"
            cache.delete(KEY)

        in_a_copy(pool, endpoint)
        cache.get_or_load(KEY, lambda: "old, read before the commit")
        in_a_copy(pool, session.commit)
        in_a_copy(pool, session.close)
    assert cache.get(KEY) is None
