"""SQLAlchemy: a session's transactions are the cache's (`on_commit`), for sync and async sessions.

    after_transaction_create ── a transaction begins (an explicit begin() has changed from its start), or a savepoint
    before_cursor_execute    ── the first statement that does not plainly read: it has changed
    after_commit             ── COMMIT is done: the endings happen; or a savepoint is released
    after_transaction_end    ── what was not committed is rolled back

Everything hangs on the session, nothing on the context that began it: sessions are handed between threads. A context
takes part from the moment it uses the session.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

from hotset.aio import AsyncCache
from hotset.cache import Cache
from hotset.core.transaction import Transaction
from hotset.errors import ConfigError
from hotset.integrations.statements import freezes, is_snapshot, writes

try:
    from sqlalchemy import Engine, event
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
    from sqlalchemy.orm import Session, SessionTransaction, SessionTransactionOrigin, scoped_session, sessionmaker
    from sqlalchemy.util import await_only
    from sqlalchemy.util.concurrency import in_greenlet
except ImportError as missing:
    raise ImportError(
        "hotset.integrations.sqlalchemy needs SQLAlchemy 2.0.24 or newer: pip install -U 'hotset[sqlalchemy]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from sqlalchemy.engine import Connection

    from hotset.core.transaction import Frame

    Face: TypeAlias = Cache | AsyncCache

_taking_part: weakref.WeakKeyDictionary[Any, Counter[Face]] = weakref.WeakKeyDictionary()
"""The caches of each session class, or session, and how many `on_commit` of them are in force."""
_open: weakref.WeakKeyDictionary[Session, _Open] = weakref.WeakKeyDictionary()
"""The open transaction of each session. Nothing else holds one: with a forgotten session it is gone."""
_watching: weakref.WeakKeyDictionary[Connection, weakref.WeakSet[_Open]] = weakref.WeakKeyDictionary()


def on_commit(target: Any, *caches: Face) -> Callable[[], None]:
    """Have the transactions of these sessions be transactions of these caches, with their children.

    Inside one, nothing that is uncommitted reaches the cache: endings (`delete`, `expire`, `clear`) happen after the
    outermost COMMIT and before `commit()` returns, or not at all after a rollback; savepoints are honoured. Reads go
    past the cache from `session.begin()` on, or from the first statement that writes where the session began by itself.
    Until then hits are served; what is loaded is stored only if the isolation level keeps no snapshot.

    Args:
        target: A `sessionmaker`, `async_sessionmaker` or `scoped_session`; a `Session` class, which stands for its
            subclasses too; or one session. Sessions that have begun by now take part from their next transaction on.
        caches: The caches whose entries are made of what these sessions read.

    Returns:
        What takes these caches back. Given twice, a cache takes part once.

    Raises:
        ConfigError: For a target that has no sessions, an Engine for one; or without a cache.
    """
    if not caches:
        raise ConfigError("on_commit(sessions, *caches): which caches? As in on_commit(sessions, cache)")
    for cache in caches:
        if not isinstance(cache, Cache | AsyncCache):
            raise ConfigError(f"on_commit(sessions, *caches): a Cache or an AsyncCache, not {cache!r}")
    sessions = _sync_side(target)
    _listen()
    taking_part = _taking_part.setdefault(sessions, Counter())
    mine = Counter(dict.fromkeys(caches, 1))
    taking_part.update(mine)

    def off() -> None:
        given, known = mine.copy(), _taking_part.get(sessions)
        mine.clear()
        if known is None or not given:
            return
        known.subtract(given)
        if not +known:
            del _taking_part[sessions]

    return off


def _sync_side(target: Any) -> Any:
    """Return the class, or the session, whose events tell of the sessions of `target`."""
    found = target.session_factory if isinstance(target, scoped_session | async_scoped_session) else target
    if isinstance(found, async_sessionmaker):
        return _class_under(found)
    if isinstance(found, type) and issubclass(found, AsyncSession):
        if found is not AsyncSession and found.sync_session_class is Session:
            found.sync_session_class = _own_class()
        found = found.sync_session_class
    elif isinstance(found, AsyncSession):
        found = found.sync_session
    if isinstance(found, sessionmaker):
        return found.class_
    if isinstance(found, Session) or (isinstance(found, type) and issubclass(found, Session)):
        return found
    raise ConfigError(
        "on_commit: a sessionmaker, async_sessionmaker, scoped_session, or a Session or AsyncSession, class or object, "
        f"not {found!r}; an engine knows no sessions, what makes them does: on_commit(sessionmaker(engine), cache)"
    )


def _class_under(maker: async_sessionmaker[Any]) -> Any:
    """Return the class of the sync sessions under those of an async maker."""
    given = maker.kw.get("sync_session_class", maker.class_.sync_session_class)
    if given is Session:
        given = _own_class()
        maker.configure(sync_session_class=given)
    return given.class_ if isinstance(given, sessionmaker) else given


def _own_class() -> type[Session]:
    """Return a class that only the sessions of one async maker, or class, are of: no others are to be listened to."""
    return type("Session", (Session,), {})


class _SessionTransaction(Transaction):
    """A transaction that notes, when something is ended in it, whether its session has changes not yet flushed."""

    __slots__ = ("_session", "wrote")

    def __init__(self, session: Session, caches: Iterable[Face], *, explicit: bool) -> None:
        self.wrote = explicit
        """Whether there is something to be rolled back; an ending alone is nothing."""
        self._session = weakref.ref(session)
        super().__init__(caches, changed=explicit)

    def record(self, endings: Any) -> bool:
        session = self._session()
        self.wrote = self.wrote or (session is not None and _dirty(session))
        return super().record(endings)


class _Open:
    """The open transaction of one session: its savepoints, and the connections whose statements are judged."""

    def __init__(self, transaction: _SessionTransaction) -> None:
        self.transaction = transaction
        self.frames: weakref.WeakKeyDictionary[SessionTransaction, Frame] = weakref.WeakKeyDictionary()
        self.in_doubt = False
        """Whether COMMIT was sent; until it has returned, nobody knows."""
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    def watch(self, connection: Connection) -> None:
        """Judge the statements of a connection that the session has taken up."""
        if connection in self._connections:
            return
        self._connections.add(connection)
        _watching.setdefault(connection, weakref.WeakSet()).add(self)
        options, dialect = connection.get_execution_options(), connection.dialect
        level = options.get("isolation_level") or getattr(dialect, "_on_connect_isolation_level", None)
        level = level or connection.default_isolation_level
        if level == "AUTOCOMMIT":  # each statement is a transaction of its own: nothing is to wait for another's end
            _commit(self.transaction)
        self.transaction.snapshot |= is_snapshot(level)

    def unwatch(self) -> None:
        """Judge no more."""
        for connection in self._connections:
            _watching[connection].discard(self)
            if not _watching[connection]:
                del _watching[connection]
        self._connections.clear()


def _executing(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    for each in list(_watching.get(connection, ())):
        each.transaction.join()
        if writes(statement):
            each.transaction.wrote = True
            each.transaction.change()
        elif freezes(statement):
            each.transaction.snapshot = True


def _committing(connection: Connection, *_: Any) -> None:
    for each in list(_watching.get(connection, ())):
        each.in_doubt = True


def _dirty(session: Session) -> bool:
    return bool(session.new or session.dirty or session.deleted)


def _caches_of(session: Session) -> list[Face]:
    """Return the caches that take part in the transactions of a session, whichever of its classes they were given."""
    return [cache for each in (session, *type(session).__mro__) for cache in +_taking_part.get(each, Counter())]


def _commit(transaction: Transaction, *, wrote: bool = True) -> None:
    """Perform the endings: under an AsyncSession without blocking its event loop."""
    if in_greenlet():
        await_only(transaction.commit_async(wrote=wrote))
    else:
        transaction.commit(wrote=wrote)


def _created(session: Session, transaction: SessionTransaction) -> None:
    mine = _open.get(session)
    if transaction.parent is None:
        caches = _caches_of(session)
        if caches and mine is None:
            explicit = transaction.origin is SessionTransactionOrigin.BEGIN
            _open[session] = _Open(_SessionTransaction(session, caches, explicit=explicit))
    elif mine is not None:
        mine.transaction.join()
        if transaction.nested and transaction not in mine.frames:
            mine.frames[transaction] = mine.transaction.savepoint()


def _begun(session: Session, _: SessionTransaction, connection: Connection) -> None:
    mine = _open.get(session)
    if mine is not None:
        mine.watch(connection)


def _attached(session: Session, _: object) -> None:
    mine = _open.get(session)
    if mine is not None:
        mine.transaction.join()


def _committed(session: Session) -> None:
    mine, nested = _open.get(session), session.get_nested_transaction()
    if mine is None:
        return
    if nested is None:
        _commit(mine.transaction)
    elif nested in mine.frames:
        mine.transaction.release(mine.frames.pop(nested))


def _rolling_back(session: Session) -> None:
    """What was not flushed is still to be seen here, and is to be undone too."""
    mine = _open.get(session)
    if mine is not None and _dirty(session):
        mine.transaction.wrote = True


def _ended(session: Session, transaction: SessionTransaction) -> None:
    mine = _open.get(session)
    if mine is None:
        return
    if transaction.nested:
        frame = mine.frames.pop(transaction, None)
        if frame is not None:
            mine.transaction.roll_back(frame)
    elif transaction.parent is None:
        del _open[session]
        mine.unwatch()
        if not mine.transaction.live:
            return
        if mine.in_doubt:  # it may have been committed: an ending too many costs a load
            _commit(mine.transaction)
        elif mine.transaction.wrote:
            mine.transaction.roll_back()
        else:
            _commit(mine.transaction, wrote=False)


@functools.cache
def _listen() -> None:
    """Hear of all sessions and connections, once and for good; who takes no part costs a look into a dict.

    Not of those alone that take part: SQLAlchemy knows a listener by the address of its class or connection, and takes
    one that is gone for another that has come to stand there.
    """
    event.listen(Session, "after_transaction_create", _created)
    event.listen(Session, "after_begin", _begun)
    event.listen(Session, "after_attach", _attached)
    event.listen(Session, "after_commit", _committed)
    event.listen(Session, "after_rollback", _rolling_back)
    event.listen(Session, "after_transaction_end", _ended)
    event.listen(Engine, "before_cursor_execute", _executing)
    event.listen(Engine, "commit", _committing)
    event.listen(Engine, "commit_twophase", _committing)
