"""The steps beneath `cache.transaction()`, as integrations take them: who joins whose load, and what is delivered."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest

from hotset import Cache
from hotset.core.ending import end
from hotset.core.transaction import Transaction

PATIENCE = 20.0


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache that no transaction may have left its mark on."""
    with Cache(ttl="1h", stale_if_error="1h") as cache:
        yield cache
        cache._space.engine.check()
        assert cache._space.engine.off_here == 0


def elsewhere(call: Callable[[], Any]) -> Any:
    """Call in a context that takes part in nothing."""
    return Context().run(call)


class Held:
    """A load that another context has begun and that is held."""

    def __init__(self, cache: Cache) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.got: list[object] = []
        self.thread = threading.Thread(
            target=Context().run, args=(lambda: self.got.append(cache.get_or_load("k", self._load)),)
        )
        self.thread.start()
        assert self.begun.wait(PATIENCE)

    def _load(self) -> str:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return "outside"

    def finish(self) -> object:
        """Let it land, and return what its caller got."""
        self.go_on.set()
        self.thread.join(PATIENCE)
        return self.got[0]


@pytest.mark.parametrize(
    "steps", [{"changed": True}, {"changed": False, "snapshot": True}], ids=["changed", "snapshot"]
)
def test_a_transaction_joins_nobodys_load(cache: Cache, steps: dict[str, bool]) -> None:
    """While another context loads the key, one inside loads it for itself, by every way to read."""
    held = Held(cache)
    transaction = Transaction([cache], **steps)
    assert cache.get_or_load("k", lambda: "inside") == "inside"
    assert cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, "inside")) == {"k": "inside"}
    assert asyncio.run(cache.aio.get_or_load("k", lambda: "inside")) == "inside"
    transaction.roll_back()
    assert held.finish() == "outside"
    assert cache.get("k") == "outside"


@pytest.mark.parametrize(
    "steps", [{"changed": True}, {"changed": False, "snapshot": True}], ids=["changed", "snapshot"]
)
def test_nobody_joins_the_load_of_a_transaction(cache: Cache, steps: dict[str, bool]) -> None:
    """What it loads is neither stored nor seen by a caller outside who asks meanwhile: by key, refresh and batch."""
    calls: list[str] = []

    @cache.cached("f:{n}")
    def load(n: int) -> str:
        calls.append("outside")
        return "outside"

    @load.batch
    def load_all(ns: list[int]) -> dict[int, str]:
        assert elsewhere(lambda: load(7)) == "outside"
        return dict.fromkeys(ns, "inside")

    def inside() -> str:
        assert elsewhere(lambda: cache.get_or_load("k", lambda: "outside")) == "outside"
        return "inside"

    transaction = Transaction([cache], **steps)
    assert cache.get_or_load("k", inside) == "inside"
    assert load.many([7]) == {7: "inside"}
    load.refresh(7)
    transaction.roll_back()
    assert (cache.get("k"), load.get(7), calls) == ("outside", "outside", ["outside", "outside"])


def test_on_a_snapshot_hits_are_served(cache: Cache) -> None:
    """They are committed data; an error falls back on what is stale, as outside."""
    cache.set("k", "committed")
    cache.set("old", "stale")
    cache.expire("old")
    transaction = Transaction([cache], changed=False, snapshot=True)
    assert cache.get("k") == "committed"
    assert cache.get_or_load("k", lambda: "loaded") == "committed"
    assert cache._space.engine.off_here == 0, "who only reads costs hits nothing"

    def fail() -> str:
        raise OSError

    assert cache.get_or_load("old", fail) == "stale"
    transaction.roll_back()


def test_without_a_snapshot_loads_are_stored_until_it_writes(cache: Cache) -> None:
    """A session that only reads committed data is no reason for a cold cache."""
    transaction = Transaction([cache], changed=False)
    assert cache.get_or_load("k", lambda: 1) == 1
    assert cache.get("k") == 1
    transaction.change()
    assert cache.get("k") is None
    transaction.roll_back()
    assert cache.get("k") == 1


@pytest.mark.parametrize("end", ["commit", "roll_back"])
def test_a_load_that_its_transaction_wrote_under_is_not_stored(cache: Cache, end: str) -> None:
    """It began when nothing was written, and may have read what was: it starts over, and joiners with it."""
    transaction = Transaction([cache], changed=False)
    loads: list[str] = []

    def load() -> str:
        loads.append("uncommitted" if not loads else "anew")
        if len(loads) == 1:
            transaction.change()
            getattr(transaction, end)()
        return loads[-1]

    assert cache.get_or_load("k", load) == "anew"
    assert cache.get("k") == "anew"

    again = Transaction([cache], changed=False)

    def load_all(keys: list[str]) -> dict[str, str]:
        again.change()
        return dict.fromkeys(keys, "uncommitted")

    assert cache.get_or_load_many(["l"], load_all) == {"l": "uncommitted"}
    again.roll_back()
    assert cache.get("l") is None


def test_a_loader_that_meets_an_older_transaction_is_not_stored(cache: Cache) -> None:
    """It used a session that was begun elsewhere: what it read may be as old as that."""
    transaction = Context().run(lambda: Transaction([cache], changed=False, snapshot=True))

    def load() -> str:
        transaction.join()
        return "as old as the snapshot"

    assert cache.get_or_load("k", load) == "as old as the snapshot"
    transaction.roll_back()
    assert cache.get("k") is None


def test_a_transaction_within_a_loader_does_no_harm(cache: Cache) -> None:
    """A loader with a transaction of its own is stored: it began and ended with it."""

    def load() -> int:
        with cache.transaction():
            return 1

    assert cache.get_or_load("k", load) == 1
    assert cache.get("k") == 1


def test_several_at_once_keep_their_own(cache: Cache) -> None:
    """What was ended while both were open happens at the commit of each: nobody said whose it was."""
    cache.set_many({"outer": 1, "both": 1})
    outer = Transaction([cache])
    cache.delete("outer")
    inner = Transaction([cache])
    cache.delete("both")
    inner.commit()
    assert elsewhere(lambda: cache.get_many(["outer", "both"])) == {"outer": 1}
    elsewhere(lambda: cache.get_or_load("both", lambda: "reloaded before the outer commit"))
    outer.commit()
    assert len(cache) == 0


def test_one_begun_here_and_committed_there_delivers(cache: Cache) -> None:
    """The endings hang on the transaction, whichever thread takes its steps."""
    cache.set("k", 1)
    transaction = Transaction([cache])
    cache.delete("k")
    thread = threading.Thread(target=transaction.commit)
    thread.start()
    thread.join(PATIENCE)
    assert cache.get("k") is None


def test_one_that_was_handed_on_hears_of_endings(cache: Cache) -> None:
    """Begun in a context that is gone: what is ended happens now, and again after its commit."""
    transaction = copy_context().run(lambda: Transaction([cache]))
    assert transaction.adrift
    cache.set("k", "old")
    assert cache.delete("k") == 1
    cache.get_or_load("k", lambda: "old, read before the commit")
    transaction.commit()
    assert cache.get("k") is None
    cache.set("k", 1)
    transaction = copy_context().run(lambda: Transaction([cache]))
    transaction.join()
    assert cache.delete("k") == 0, "from its first use on, a context takes part"
    transaction.roll_back()
    assert cache.get("k") == 1


def test_one_that_wrote_nothing_undoes_no_ending(cache: Cache) -> None:
    """Its own endings happen when it ends, whichever way; those of one further in are left to that."""
    cache.set_many({"own": 1, "inner": 1})
    reading = Transaction([cache], changed=False)
    cache.delete("own")
    inner = Transaction([cache])
    cache.delete("inner")
    inner.roll_back()
    reading.commit(wrote=False)
    assert cache.get_many(["own", "inner"]) == {"inner": 1}


def test_steps_after_the_end_do_nothing(cache: Cache) -> None:
    """Events come in any order, and some twice."""
    transaction = Transaction([cache])
    frame = transaction.savepoint()
    transaction.commit()
    transaction.release(frame)
    transaction.roll_back(frame)
    transaction.roll_back()
    transaction.commit()
    transaction.change()
    assert cache.set("k", 1)
    assert cache.delete("k") == 1


def test_a_savepoint_takes_those_within_it_along(cache: Cache) -> None:
    """As in SQL: RELEASE and ROLLBACK TO end the savepoints that were opened after."""
    cache.set_many({"a": 1, "b": 1})
    transaction = Transaction([cache])
    first = transaction.savepoint()
    transaction.savepoint()
    cache.delete("a")
    transaction.release(first)
    second = transaction.savepoint()
    transaction.savepoint()
    cache.delete("b")
    transaction.roll_back(second)
    transaction.commit()
    assert cache.get_many(["a", "b"]) == {"b": 1}


def test_one_that_is_forgotten_is_rolled_back(cache: Cache) -> None:
    """Collected, it counts no more, and has ended nothing."""
    cache.set("k", 1)
    transaction: Transaction | None = Transaction([cache])
    cache.delete("k")
    assert cache._space.engine.off_here == 1
    assert transaction is not None
    transaction = None
    gc.collect()
    assert cache._space.engine.off_here == 0
    assert cache.get("k") == 1


def test_a_cancelled_commit_loses_no_ending(cache: Cache) -> None:
    """What could not be awaited any more happens here at once, and stays owed to a store."""
    cache.set_many({"a": 1, "b": 1})
    stopped: list[bool] = []

    async def main() -> None:
        async def slow(ports: Any, space: Any, names: Any, *rest: Any, wait: Any = None, **more: Any) -> int:
            if wait != "local":
                stopped.append(True)
                raise asyncio.CancelledError
            return await end(ports, space, names, *rest, wait=wait, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hotset.core.transaction.end", slow)
            async with cache.aio.transaction():
                await cache.aio.delete("a")
                await cache.aio.expire("b")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert stopped
    assert cache.get_many(["a", "b"]) == {}
