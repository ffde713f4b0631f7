"""A SQLite file with one user, sessions over it that a cache takes part in, and that nothing of either is left over."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from hotset import Cache
from hotset.integrations import sqlalchemy as ours
from hotset.integrations.sqlalchemy import on_commit
from tests.integrations.sqlalchemy.users import Base, User


def files_open() -> list[str]:
    """Return what this process has open of a database."""
    links = (str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return [link for link in links if "users.db" in link]


def threads_of_others() -> int:
    """Return how many threads there are, but for the one in the background that hotset keeps for its stores."""
    return sum(not thread.name.startswith("hotset") for thread in threading.enumerate())


def begin_plainly(engine: Engine) -> None:
    """Have SQLite begin when SQLAlchemy does: its driver begins at the first write only, and at no savepoint."""
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the database is; readers and a writer do not stop each other there."""
    url = f"sqlite:///{tmp_path}/users.db"
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(User(id=7, name="old"))
    engine.dispose()
    return url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine whose connections are all given back."""
    threads = threads_of_others()
    engine = create_engine(url, connect_args={"check_same_thread": False})
    begin_plainly(engine)

    yield engine
    if engine.pool.checkedout():  # type: ignore[attr-defined]
        gc.collect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()
    assert threads_of_others() == threads
    assert files_open() == []


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache that no transaction may have left its mark on."""
    with Cache(ttl="1h") as cache:
        yield cache
        if ours._open:
            gc.collect()
        cache._space.engine.check()
        assert cache._space.engine.off_here == 0
        assert not ours._open
        assert not ours._watching


@pytest.fixture
def sessions(engine: Engine, cache: Cache) -> Iterator[sessionmaker[Session]]:
    """What makes sessions whose transactions are the cache's."""
    sessions = sessionmaker(engine)
    off = on_commit(sessions, cache)
    yield sessions
    off()
