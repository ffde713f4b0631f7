"""Whatever does not plainly read counts as a write."""

from __future__ import annotations

import pytest

from hotset.integrations.statements import freezes, is_snapshot, writes

READS = [
    "SELECT 1",
    "  select updated_at, deleted FROM users -- all",
    "(SELECT 1) UNION (SELECT 2);",
    "-- a word\n/* and\nmore */ SELECT 1",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "SHOW search_path",
    "EXPLAIN SELECT 1",
    "PRAGMA table_info(users)",
    "VALUES (1)",
    "SET LOCAL app.user = '7'",
    "SAVEPOINT sa_savepoint_1",
    "ROLLBACK TO SAVEPOINT sa_savepoint_1",
]
WRITES = [
    "INSERT INTO users VALUES (1)",
    "update users SET name = 'x'",
    "/* SELECT */ DELETE FROM users",
    "WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x",
    "SELECT * INTO copy FROM users",
    "SELECT * FROM users FOR UPDATE",
    "EXPLAIN ANALYZE INSERT INTO users VALUES (1)",
    "SELECT 1; DROP TABLE users",
    "CALL pay(7)",
    "COPY users FROM STDIN",
    "CREATE TABLE x (id INT)",
    "COMMIT",
    "",
]


@pytest.mark.parametrize("statement", READS)
def test_what_reads(statement: str) -> None:
    """It changes no row."""
    assert not writes(statement)


@pytest.mark.parametrize("statement", WRITES)
def test_what_writes(statement: str) -> None:
    """It may change one."""
    assert writes(statement)


def test_what_freezes() -> None:
    """A statement that asks for a snapshot, and the levels that keep one."""
    assert freezes("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert freezes("begin isolation level serializable")
    assert not freezes("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    assert not freezes("SELECT 'snapshot'")
    assert [is_snapshot(level) for level in ("SERIALIZABLE", "repeatable_read", "READ COMMITTED", None)] == [
        True,
        True,
        False,
        False,
    ]


def test_judging_a_hostile_statement_takes_no_time() -> None:
    """The words before the first are read once."""
    assert writes("/*" * 50_000)
    assert not writes(" (" * 50_000 + "SELECT 1")
