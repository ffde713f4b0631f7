"""Random steps of a transaction against a model: what is committed, what the transaction sees, what others may get.

Each write of the source is followed by a delete of its key, as programs do. Then others never get a value that is not
committed, and never one that was replaced by a commit which has returned; the transaction always sees its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextvars import Context
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from hotset import Cache
from hotset.core.transaction import Frame, Transaction
from hotset.integrations.sqlalchemy import on_commit

KEYS = ("a", "b", "c")
keys = st.sampled_from(KEYS)


class Machine(RuleBasedStateMachine):
    """The model, and the steps; subclasses say how a source takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(ttl="1h")
        self.committed: dict[str, int] = dict.fromkeys(KEYS, 0)
        self.layers: list[dict[str, int]] = []
        """What the transaction and its savepoints have written; empty while none is open."""
        self.values = iter(range(1, 1_000_000))

    @property
    def view(self) -> dict[str, int]:
        """What the transaction sees."""
        view = dict(self.committed)
        for layer in self.layers:
            view |= layer
        return view

    def others(self, call: Callable[[], Any]) -> Any:
        """Call in a context that takes part in nothing."""
        return Context().run(call)

    do_begin: Callable[[], None]
    do_savepoint: Callable[[], None]
    do_release: Callable[[], None]
    do_roll_back_to: Callable[[], None]
    do_commit: Callable[[], None]
    do_roll_back: Callable[[], None]
    do_write: Callable[[str, int], None]
    do_read: Callable[[str], int]
    do_read_committed: Callable[[str], int]

    @precondition(lambda self: not self.layers)
    @rule()
    def begin(self) -> None:
        """A transaction begins."""
        self.do_begin()
        self.layers = [{}]

    @precondition(lambda self: 0 < len(self.layers) < 4)
    @rule()
    def savepoint(self) -> None:
        """A savepoint within it."""
        self.do_savepoint()
        self.layers.append({})

    @precondition(lambda self: len(self.layers) > 1)
    @rule()
    def release(self) -> None:
        """The innermost is released: what it wrote is the outer one's."""
        self.do_release()
        layer = self.layers.pop()
        self.layers[-1] |= layer

    @precondition(lambda self: len(self.layers) > 1)
    @rule()
    def roll_back_to(self) -> None:
        """The innermost is rolled back."""
        self.do_roll_back_to()
        self.layers.pop()

    @precondition(lambda self: self.layers)
    @rule()
    def commit(self) -> None:
        """The outermost is committed."""
        self.do_commit()
        self.committed, self.layers = self.view, []

    @precondition(lambda self: self.layers)
    @rule()
    def roll_back(self) -> None:
        """All is rolled back: no entry has gone."""
        standing = self.others(lambda: self.cache.get_many(KEYS))
        self.do_roll_back()
        self.layers = []
        assert self.cache.get_many(KEYS) == standing, "a rollback leaves all entries"

    @precondition(lambda self: self.layers)
    @rule(key=keys)
    def write(self, key: str) -> None:
        """Write, and delete the key."""
        value = next(self.values)
        self.do_write(key, value)
        self.layers[-1][key] = value
        assert self.cache.delete(key) == 0

    @precondition(lambda self: self.layers)
    @rule(key=keys)
    def write_and_set(self, key: str) -> None:
        """Write, and set the key: it counts as a delete."""
        value = next(self.values)
        self.do_write(key, value)
        self.layers[-1][key] = value
        assert not self.cache.set(key, value)

    @precondition(lambda self: any(self.layers))
    @rule()
    def end_all(self) -> None:
        """Clear, in a transaction that has written."""
        self.cache.clear()

    @rule(key=keys)
    def read_inside(self, key: str) -> None:
        """The transaction sees what it has written, or else what is committed."""
        assert self.cache.get_or_load(key, lambda: self.do_read(key)) == self.view[key]
        many = self.cache.get_or_load_many(KEYS, lambda left: {each: self.do_read(each) for each in left})
        assert many == self.view

    @rule(key=keys)
    def others_read(self, key: str) -> None:
        """Others load what is committed."""
        loaded = self.others(lambda: self.cache.get_or_load(key, lambda: self.do_read_committed(key)))
        assert loaded == self.committed[key]

    @rule(key=keys)
    def others_end(self, key: str) -> None:
        """Others end a key meanwhile."""
        self.others(lambda: self.cache.delete(key))

    @invariant()
    def nobody_gets_what_is_not_committed(self) -> None:
        """What others find is what is committed, and no scope is left open."""
        found = self.others(lambda: self.cache.get_many(KEYS))
        assert {key: self.committed[key] for key in found} == found
        assert self.layers or self.cache._space.engine.off_here == 0
        self.cache._space.engine.check()

    def teardown(self) -> None:
        """Leave nothing."""
        if self.layers:
            self.do_roll_back()
        assert self.cache._space.engine.off_here == 0
        self.cache.close()


class Steps(Machine):
    """The steps themselves, with a dict for a source."""

    transaction: Transaction
    frames: list[Frame]

    def do_begin(self) -> None:
        """Begin."""
        self.transaction, self.frames = Transaction([self.cache]), []

    def do_savepoint(self) -> None:
        """Open a savepoint."""
        self.frames.append(self.transaction.savepoint())

    def do_release(self) -> None:
        """Release the innermost."""
        self.transaction.release(self.frames.pop())

    def do_roll_back_to(self) -> None:
        """Roll the innermost back."""
        self.transaction.roll_back(self.frames.pop())

    def do_commit(self) -> None:
        """Commit."""
        self.committed = self.view  # others may read it before the endings happen, as after any COMMIT
        self.transaction.commit()

    def do_roll_back(self) -> None:
        """Roll back."""
        self.transaction.roll_back()

    def do_write(self, key: str, value: int) -> None:
        """The model's own layers are the source."""

    def do_read(self, key: str) -> int:
        """Read inside."""
        return self.view[key]

    def do_read_committed(self, key: str) -> int:
        """Read what others see."""
        return self.committed[key]


class Sessions(Machine):
    """A session over a SQLite file, and others with a connection of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.engine = create_engine(f"sqlite:///{self.folder}/model.db")
        event.listen(self.engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        with self.engine.connect() as connection:
            connection.connection.execute("PRAGMA journal_mode=WAL")
            connection.connection.execute("PRAGMA synchronous=OFF")
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept (key TEXT PRIMARY KEY, value INT)"))
            connection.execute(text("INSERT INTO kept VALUES ('a', 0), ('b', 0), ('c', 0)"))
        self.sessions = sessionmaker(self.engine)
        self.off = on_commit(self.sessions, self.cache)
        self.session = self.sessions()

    def do_begin(self) -> None:
        """The first statement begins it."""

    def do_savepoint(self) -> None:
        """Open a savepoint."""
        self.session.begin_nested()

    def do_release(self) -> None:
        """Release the innermost."""
        nested = self.session.get_nested_transaction()
        assert nested is not None
        nested.commit()

    def do_roll_back_to(self) -> None:
        """Roll the innermost back."""
        nested = self.session.get_nested_transaction()
        assert nested is not None
        nested.rollback()

    def do_commit(self) -> None:
        """Commit."""
        self.session.commit()

    def do_roll_back(self) -> None:
        """Roll back."""
        self.session.rollback()

    def do_write(self, key: str, value: int) -> None:
        """Write."""
        self.session.execute(text("UPDATE kept SET value = :value WHERE key = :key"), {"key": key, "value": value})

    def do_read(self, key: str) -> int:
        """Read inside."""
        value = _value(self.session, key)
        if not self.layers:
            self.session.rollback()
        return value

    def do_read_committed(self, key: str) -> int:
        """Read what others see."""
        with Session(self.engine) as session:
            return _value(session, key)

    def teardown(self) -> None:
        """Leave nothing."""
        self.session.close()
        super().teardown()
        self.off()
        self.engine.dispose()
        shutil.rmtree(self.folder)


def _value(session: Session, key: str) -> int:
    return int(session.execute(text("SELECT value FROM kept WHERE key = :key"), {"key": key}).scalar_one())


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
