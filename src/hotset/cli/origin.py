"""The source that the demo caches: a profile query over SQLite that joins, aggregates and honestly takes its time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from hotset import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROFILE = """
    WITH favourite AS (            -- the category that the user spent most on
        SELECT p.category_id, sum(l.quantity * p.price) AS spent
        FROM order_lines l JOIN products p ON p.id = l.product_id
        WHERE l.user_id = :user
        GROUP BY p.category_id ORDER BY spent DESC, p.category_id LIMIT 1
    ), neighbours AS (             -- what everyone in the user's city spent, in all and in that category
        SELECT n.id,
               coalesce(sum(l.quantity * p.price), 0) AS spent,
               coalesce(sum(CASE WHEN p.category_id = (SELECT category_id FROM favourite)
                                 THEN l.quantity * p.price END), 0) AS on_favourite
        FROM users n
        LEFT JOIN order_lines l ON l.user_id = n.id
        LEFT JOIN products p ON p.id = l.product_id
        WHERE n.city_id = (SELECT city_id FROM users WHERE id = :user)
        GROUP BY n.id
    )
    SELECT u.id, u.name, u.email, c.name, u.revision,
           (SELECT count(*) FROM orders WHERE user_id = u.id),
           (SELECT max(placed) FROM orders WHERE user_id = u.id),
           me.spent,
           (SELECT name FROM categories WHERE id = (SELECT category_id FROM favourite)),
           (SELECT 1 + count(*) FROM neighbours WHERE spent > me.spent),
           (SELECT 1 + count(*) FROM neighbours WHERE on_favourite > me.on_favourite),
           (SELECT count(*) FROM neighbours)
    FROM users u JOIN cities c ON c.id = u.city_id JOIN neighbours me ON me.id = u.id
    WHERE u.id = :user
"""

_REVENUE = """
    SELECT c.name, sum(l.quantity * p.price)
    FROM order_lines l JOIN products p ON p.id = l.product_id JOIN categories c ON c.id = p.category_id
    GROUP BY c.id
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile page shows; money is in cents, ranks begin at 1."""

    user_id: int
    name: str
    email: str
    city: str
    revision: int
    """Raised by each change of the user's own row."""
    orders: int
    last_order: str | None
    spent: int
    favourite: str | None
    """The category that most was spent on; None without an order."""
    rank_in_city: int
    rank_in_favourite: int
    """As `rank_in_city`, counting only what was spent on the favourite category."""
    users_in_city: int


@final
class Origin:
    """The database, as every thread may ask it: each has a connection of its own. `close` it when all have ended."""

    __slots__ = ("_local", "_lock", "_path", "_sessions")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[_Session] = []

    def __repr__(self) -> str:
        return f"<Origin {self._path.name} queries={self.queries} connections={len(self._sessions)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def profile(self, user_id: int) -> Profile:
        """Ask for one user's profile: one query.

        Raises:
            NotFound: there is no such user.
            sqlite3.Error: the database can't answer.
        """
        session = self._session()
        session.queries += 1
        row = session.connection.execute(_PROFILE, {"user": user_id}).fetchone()
        if row is None:
            raise NotFound(f"there is no user {user_id}")
        return Profile(*row)

    def revenue(self) -> dict[str, int]:
        """Ask for what each category brought in, in cents: one query, over every order line."""
        session = self._session()
        session.queries += 1
        return dict(session.connection.execute(_REVENUE).fetchall())

    def rename(self, user_id: int, name: str) -> int:
        """Change a user's name, commit, and return the revision that the row has now."""
        statement = "UPDATE users SET name = ?, revision = revision + 1 WHERE id = ? RETURNING revision"
        [(revision,)] = self._session().connection.execute(statement, (name, user_id)).fetchall()
        return int(revision)

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """While the block runs, a migration gone wrong has taken a table away: every query fails."""
        connection = self._session().connection
        connection.execute("ALTER TABLE order_lines RENAME TO order_lines_moved")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE order_lines_moved RENAME TO order_lines")

    def count(self, table: str) -> int:
        """Count the rows of one table; not counted as a query."""
        [count] = self._session().connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  our names
        return int(count)

    @property
    def queries(self) -> int:
        """How many queries were asked for until now, by all threads, those that failed included."""
        with self._lock:
            return sum(session.queries for session in self._sessions)

    def close(self) -> None:
        """Close every connection; no thread may be at work any more."""
        with self._lock:
            while self._sessions:
                self._sessions.pop().connection.close()
        self._local = threading.local()

    def _session(self) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _Session(self._path)
            with self._lock:
                self._sessions.append(session)
        return session


@final
class _Session:
    """One thread's connection, and how many queries it asked: a number that only this thread writes."""

    __slots__ = ("connection", "queries")

    def __init__(self, path: Path) -> None:
        # Closed by the main thread at the end, hence not checked; used by its own thread alone. Without a level of
        # isolation each statement commits itself.
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Pages by memory map: without it threads spend their time copying pages and not on the query.
        self.connection.execute("PRAGMA mmap_size = 1073741824")
        self.queries = 0
