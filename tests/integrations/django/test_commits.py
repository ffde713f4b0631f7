"""What happens at a commit, and around it: callbacks, answers that are lost, async code, statements in disguise."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.integrations.django.renaming import elsewhere, name_of, rename, user

if TYPE_CHECKING:
    from hotset import Cache


def test_what_was_ended_has_ended_before_the_first_callback_of_a_commit(cache: Cache) -> None:
    """In the order in which it was ended, whoever has asked Django for a callback before, and if that goes wrong."""
    from django.db import transaction

    pk, read = user(cache)
    seen: list[Any] = []

    def callback() -> None:
        seen.append((read(), cache.get("a"), cache.get("b")))
        raise ZeroDivisionError

    cache.set("a", 1)
    cache.set("b", 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(callback)
        rename(pk, "new")
        cache.delete(f"user:{pk}")
        transaction.on_commit(callback, robust=True)
        cache.delete("a")
        cache.delete("b")
    assert seen == [("new", None, None)]
    assert read() == "new"


def test_a_commit_that_fails_may_be_one_that_has_happened(cache: Cache) -> None:
    """As when the connection is lost before the answer: what was ended in the block ends, also in lost savepoints."""
    from django.db import connection, transaction

    pk, read = user(cache)
    commit = connection.connection.commit

    class Lost:
        """A connection whose answer to a commit never comes."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def commit(self) -> None:
            commit()
            raise transaction.Error("the connection was lost")

    real = connection.connection
    connection.connection = Lost(real)
    try:
        with pytest.raises(transaction.Error, match="was lost"), transaction.atomic():
            rename(pk, "new")
            cache.delete(f"user:{pk}")
    finally:
        connection.connection = real
    assert name_of(pk) == "new"
    assert read() == "new"


def test_async_code_inside_a_block_is_inside_of_it(cache: Cache) -> None:
    """It runs in another thread, with a loop of its own; also before the block has done anything."""
    from asgiref.sync import async_to_sync, sync_to_async
    from django.db import transaction

    pk, read = user(cache)

    async def end() -> None:
        await cache.aio.delete(f"user:{pk}")

    async def aread() -> str:
        return await cache.aio.get_or_load(f"user:{pk}", lambda: sync_to_async(name_of)(pk))

    for name in ("new", "newer"):
        with transaction.atomic():
            async_to_sync(end)()
            assert elsewhere(lambda: cache.get(f"user:{pk}")) is not None, "it waits for the commit"
            rename(pk, name)
            assert async_to_sync(aread)() == name
        assert read() == name


@pytest.mark.parametrize("sql", ["EXPLAIN ANALYZE UPDATE", "SELECT 1; DELETE", "SELECT * INTO copy FROM", "TRUNCATE"])
def test_what_begins_as_a_read_and_writes_counts_as_a_write(cache: Cache, sql: str) -> None:
    """From then on the block reads past the cache."""
    from django.db import Error, connection, transaction

    pk, _ = user(cache)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with suppress(Error, Warning), connection.cursor() as cursor:
            cursor.execute(f"{sql} shop_user")
        assert cache.get(f"user:{pk}") is None
        raise ZeroDivisionError
