"""A session's transactions are the cache's: when reads bypass, and when endings happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from hotset import Cache, Event
from hotset.integrations.sqlalchemy import on_commit
from tests.integrations.sqlalchemy.users import KEY, User, elsewhere, name_in

Sessions = sessionmaker[Session]


def warm(cache: Cache) -> None:
    """Have the committed name in the cache."""
    cache.set(KEY, "old")


def test_an_explicit_begin_bypasses_from_its_start(sessions: Sessions, cache: Cache) -> None:
    """Inside `begin()` a get misses and a loader's value is not stored, though nothing was written yet."""
    warm(cache)
    with sessions.begin() as session:
        assert cache.get(KEY) is None
        assert cache.get_or_load(KEY, lambda: session.get_one(User, 7).name) == "old"
        assert elsewhere(lambda: cache.get(KEY)) == "old"
    assert cache.get(KEY) == "old"


def rename(session: Session) -> None:
    """Change the row, in memory."""
    session.get_one(User, 7).name = "new"


def flush(session: Session) -> None:
    """Send a change."""
    rename(session)
    session.flush()


def autoflush(session: Session) -> None:
    """Have a query send what is pending."""
    session.add(User(id=8, name="eight"))
    session.scalars(select(User)).all()


def within_a_savepoint(session: Session) -> None:
    """Write there."""
    session.begin_nested()
    session.execute(update(User).values(name="new"))


WRITES: dict[str, Callable[[Session], object]] = {
    "flush": flush,
    "autoflush": autoflush,
    "orm update": lambda session: session.execute(update(User).values(name="new")),
    "core insert": lambda session: session.execute(insert(User.__table__).values(id=8, name="eight")),  # type: ignore[arg-type]
    "text": lambda session: session.execute(text("/* why */ UPDATE users SET name = 'new'")),
    "cte": lambda session: session.execute(text("WITH x AS (SELECT 8) INSERT INTO users SELECT 8, 'eight'")),
    "driver": lambda session: session.connection().exec_driver_sql("DELETE FROM users"),
    "savepoint": within_a_savepoint,
    "ending": lambda session: None,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_session_that_began_by_itself_bypasses_from_its_first_write(
    sessions: Sessions, cache: Cache, write: Callable[[Session], object]
) -> None:
    """Until then hits are served, since they are committed; what is loaded on its snapshot is not stored."""
    warm(cache)
    with sessions() as session:
        assert session.get_one(User, 7).name == "old"
        with session.begin_nested():
            assert cache.get(KEY) == "old"
        assert cache.get_or_load("other", lambda: "on the snapshot") == "on the snapshot"
        assert elsewhere(lambda: cache.get("other")) is None
        write(session)
        cache.delete("other")
        assert cache.get(KEY) is None
        assert cache.get_or_load(KEY, lambda: "uncommitted") == "uncommitted"
        assert elsewhere(lambda: cache.get(KEY)) == "old"
        session.rollback()
        assert cache.get(KEY) == "old"


@pytest.fixture
def plain(url: str) -> Iterator[Engine]:
    """An engine whose isolation level may be chosen."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_without_a_snapshot_the_cache_stays_warm(plain: Engine, cache: Cache) -> None:
    """A request-long session of a lower level loads and stores until it writes."""
    sessions = sessionmaker(plain.execution_options(isolation_level="READ UNCOMMITTED"))
    off = on_commit(sessions, cache)
    with sessions() as session:
        assert session.get_one(User, 7).name == "old"
        assert cache.get_or_load(KEY, lambda: session.get_one(User, 7).name) == "old"
        assert elsewhere(lambda: cache.get(KEY)) == "old"
        session.execute(update(User).values(name="new"))
        assert cache.get(KEY) is None
    with sessions() as session:
        with suppress(OperationalError):  # SQLite does not know the statement; it was judged before it was sent
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        assert cache.get_or_load("other", lambda: 1) == 1
        assert elsewhere(lambda: cache.get("other")) is None
    off()


def test_autocommit_has_nothing_to_wait_for(plain: Engine, cache: Cache) -> None:
    """Where each statement is its own transaction, an ending happens when it is called."""
    sessions = sessionmaker(plain.execution_options(isolation_level="AUTOCOMMIT"))
    off = on_commit(sessions, cache)
    warm(cache)
    with sessions() as session:
        session.execute(update(User).values(name="new"))
        assert cache.delete(KEY) == 1
        assert cache.get_or_load(KEY, lambda: name_in(plain)) == "new"
    off()


def test_endings_happen_after_the_commit(sessions: Sessions, cache: Cache, engine: Engine) -> None:
    """When `commit()` has returned the entry is gone; when it is ended, the new row is there to be read."""
    warm(cache)
    seen: list[str] = []
    cache.on("ended", lambda event: seen.append(name_in(engine)))
    with sessions() as session:
        session.get_one(User, 7).name = "new"
        assert cache.delete(KEY) == 0
        session.flush()
        assert seen == []
        session.commit()
        assert seen == ["new"]
    assert cache.get_or_load(KEY, lambda: name_in(engine)) == "new"


UNDONE: dict[str, Callable[[Session], object]] = {
    "rollback": Session.rollback,
    "close": Session.close,
    "reset": Session.reset,
    "invalidate": Session.invalidate,
}


@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "not flushed"])
@pytest.mark.parametrize("undo", UNDONE.values(), ids=UNDONE.keys())
def test_a_rollback_leaves_the_entry(
    sessions: Sessions, cache: Cache, undo: Callable[[Session], object], flushed: bool
) -> None:
    """However a session is left without a commit, what it has ended is still there."""
    warm(cache)
    with sessions() as session:
        rename(session)
        cache.delete(KEY)
        if flushed:
            session.flush()
        undo(session)
        assert cache.get(KEY) == "old"


def test_an_ending_in_a_session_that_wrote_nothing_is_not_lost(sessions: Sessions, cache: Cache) -> None:
    """There is nothing to be rolled back, so the ending of what came from elsewhere happens when it is closed."""
    warm(cache)
    with sessions() as session:
        session.get_one(User, 7)
        cache.delete(KEY)
        assert elsewhere(lambda: cache.get(KEY)) == "old"
    assert cache.get(KEY) is None


def test_savepoints_are_honoured(sessions: Sessions, cache: Cache) -> None:
    """A savepoint that is rolled back forgets its endings, one that is released hands them on."""
    cache.set_many(dict.fromkeys("abcd", 1))
    with sessions.begin() as session:
        cache.delete("a")
        nested = session.begin_nested()
        cache.delete("b")
        nested.rollback()
        with session.begin_nested():
            cache.delete("c")
            inner = session.begin_nested()
            cache.delete("d")
            inner.rollback()
        assert elsewhere(lambda: len(cache)) == 4
    assert cache.get_many(list("abcd")) == {"b": 1, "d": 1}


def test_a_commit_takes_open_savepoints_along(sessions: Sessions, cache: Cache) -> None:
    """And a rollback of the session forgets them."""
    warm(cache)
    with sessions() as session:
        session.begin_nested()
        session.execute(update(User).values(name="new"))
        cache.delete(KEY)
        session.rollback()
        assert cache.get(KEY) == "old"
        session.begin_nested()
        session.execute(update(User).values(name="new"))
        cache.delete(KEY)
        session.commit()
    assert cache.get(KEY) is None


def test_an_exception_in_flush_undoes(sessions: Sessions, cache: Cache) -> None:
    """The transaction is over at the database, and its endings with it; a savepoint's failure is its own."""
    cache.set_many({KEY: "old", "kept": 1})
    with sessions() as session:
        session.add(User(id=9, name="old"))  # the name is taken
        cache.delete(KEY)
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        assert cache.get(KEY) == "old"
        session.add(User(id=9, name="nine"))
        with suppress(IntegrityError), session.begin_nested():
            cache.delete("kept")
            session.add(User(id=10, name="old"))
            session.flush()
            raise AssertionError("the name is taken")
        cache.delete(KEY)
        session.commit()
    assert cache.get_many([KEY, "kept"]) == {"kept": 1}


def test_a_commit_of_which_nobody_knows_counts_as_done(
    sessions: Sessions, cache: Cache, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection was lost while COMMIT was under way: the ending happens, since it may have been done."""
    warm(cache)

    def lost(connection: object) -> None:
        raise OperationalError("COMMIT", {}, OSError("connection lost"))

    with sessions() as session:
        session.execute(update(User).values(name="new"))
        cache.delete(KEY)
        monkeypatch.setattr(engine.dialect, "do_commit", lost)
        with pytest.raises(OperationalError):
            session.commit()
        session.rollback()
        monkeypatch.undo()
    assert cache.get(KEY) is None


def test_two_sessions_at_once_keep_their_own_endings(sessions: Sessions, cache: Cache) -> None:
    """What was ended before the second began is the first's alone; between, it is both's."""
    cache.set_many({"first": 1, "both": 1})
    with sessions() as first, sessions() as second:
        first.get_one(User, 7).name = "new"
        cache.delete("first")
        second.begin()
        cache.delete("both")
        second.commit()
        assert elsewhere(lambda: cache.get_many(["first", "both"])) == {"first": 1}
        first.commit()
    assert len(cache) == 0


def test_a_session_in_a_transaction_of_ones_own(engine: Engine, cache: Cache, sessions: Sessions) -> None:
    """A session that joins a connection's transaction ends at its own commit, and at the real one by a scope around."""
    warm(cache)
    with cache.transaction(), engine.connect() as connection, connection.begin():
        with sessions(bind=connection, join_transaction_mode="create_savepoint") as session:
            session.get_one(User, 7).name = "new"
            cache.delete(KEY)
            session.commit()
        assert elsewhere(lambda: cache.get(KEY)) is None
        assert cache.get(KEY) is None
        assert elsewhere(lambda: cache.get_or_load(KEY, lambda: name_in(engine))) == "old"
    assert cache.get_or_load(KEY, lambda: name_in(engine)) == "new"


def test_two_sessions_over_one_connection(engine: Engine, cache: Cache, sessions: Sessions) -> None:
    """Both are judged by its statements, and the end of one leaves the other's ears open."""
    warm(cache)
    with engine.connect() as connection, sessions(bind=connection) as first, sessions(bind=connection) as second:
        first.execute(text("select 1"))
        second.execute(text("select 1"))
        second.close()
        assert cache.get(KEY) == "old"
        first.execute(text("update users set name = 'new'"))
        assert cache.get(KEY) is None
        first.rollback()


def test_two_phases(engine: Engine, cache: Cache, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endings wait for the second phase."""
    dialect = engine.dialect
    monkeypatch.setattr(dialect, "do_begin_twophase", lambda connection, xid: dialect.do_begin(connection.connection))
    monkeypatch.setattr(dialect, "do_prepare_twophase", lambda connection, xid: None)
    monkeypatch.setattr(
        dialect, "do_commit_twophase", lambda connection, *_, **__: dialect.do_commit(connection.connection)
    )
    warm(cache)
    with sessions(twophase=True) as session:
        session.get_one(User, 7).name = "new"
        cache.delete(KEY)
        session.prepare()
        assert elsewhere(lambda: cache.get(KEY)) == "old"
        session.commit()
    assert cache.get_or_load(KEY, lambda: name_in(engine)) == "new"


def test_what_is_set_inside_is_not_stored(sessions: Sessions, cache: Cache) -> None:
    """It may never be committed: an event says so, and the next read loads."""
    told: list[Event] = []
    cache.on("not_stored", told.append)
    warm(cache)
    with sessions.begin() as session:
        session.get_one(User, 7).name = "new"
        assert not cache.set(KEY, "new")
    assert [event.cause for event in told] == ["transaction"]
    assert cache.get(KEY) is None
