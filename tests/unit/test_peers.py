"""What our peers get wrong, each found by running them: here it is right."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotset import Cache, Hit, Miss, NotFound

PATIENCE = 20.0


def test_minus_one_and_minus_two_do_not_meet() -> None:
    """Python's hash of both is the same; one library answers one for the other."""

    @Cache().cached
    def cached(number: object) -> object:
        return number

    assert (cached(-1), cached(-2), cached(1), cached("1"), cached(1.0), cached(True)) == (-1, -2, 1, "1", 1.0, True)
    assert len({cached.key(value) for value in (1, "1", 1.0, True, None, "None", "True")}) == 7


def test_functions_with_the_same_arguments_do_not_meet() -> None:
    """The key of a function without a template begins with its name."""
    cache = Cache()

    @cache.cached
    def one(number: int) -> str:
        return f"one {number}"

    @cache.cached
    def two(number: int) -> str:
        return f"two {number}"

    assert (one(1), two(1)) == ("one 1", "two 1")


@pytest.mark.parametrize("value", [None, 0, "", [], False])
def test_a_falsy_value_is_cached(value: object) -> None:
    """None is a value like any other, and absence is something else."""
    cache = Cache()
    for _ in range(3):
        assert cache.get_or_load("k", lambda: value) == value
    assert cache.stats().loads == 1
    assert isinstance(cache.lookup("k"), Hit)
    assert cache.lookup("k")
    assert cache.lookup("other") == Miss("absent")
    assert not cache.lookup("other")


def test_deleting_through_a_method_deletes() -> None:
    """One library's delete of a method's entry does nothing."""
    cache = Cache()

    class Repository:
        def __init__(self, number: int) -> None:
            self.id = number
            self.loads = 0

        @cache.cached("repo:{self.id}:{key}")
        def load(self, key: str) -> int:
            self.loads += 1
            return self.loads

    repository, other = Repository(1), Repository(2)
    assert (repository.load("a"), repository.load("a"), other.load("a")) == (1, 1, 1)
    assert repository.load.delete("a") == 1
    assert (repository.load("a"), other.load("a")) == (2, 1)


def test_a_raising_loader_runs_once_for_all_threads() -> None:
    """In one library the other threads hang for ever, in two the loader runs for each."""
    cache = Cache()
    loads: list[int] = []
    go = threading.Event()

    def load() -> int:
        loads.append(1)
        assert go.wait(PATIENCE)
        raise ConnectionError("down")

    def read() -> str:
        try:
            return str(cache.get_or_load("k", load))
        except ConnectionError as error:
            return str(error)

    with ThreadPoolExecutor(20) as threads:
        readers = [threads.submit(read) for _ in range(20)]
        while cache.explain("k").waiting < 20:
            pass
        go.set()
        assert [reader.result(PATIENCE) for reader in readers] == ["down"] * 20
    assert len(loads) == 1


def test_a_loader_may_ask_for_another_key() -> None:
    """An always-on lock deadlocks re-entrant calls in one library."""
    cache = Cache()
    assert cache.get_or_load("a", lambda: cache.get_or_load("b", lambda: 2) + 1) == 3


def test_many_loops_one_after_another_are_fine() -> None:
    """No loop's end closes the cache for the next one."""
    cache = Cache()

    @cache.cached("n:{number}")
    async def load(number: int) -> int:
        return number

    for number in range(5):
        assert asyncio.run(load(number // 2)) == number // 2


def test_a_remembered_not_found_keeps_its_type_and_no_frames() -> None:
    """It is raised again as what it was, and does not keep the frames of its first raising alive."""
    cache = Cache(negative_ttl="1m")

    class NoSuchUser(NotFound):
        pass

    def load() -> int:
        raise NoSuchUser(7)

    for _ in range(3):
        with pytest.raises(NoSuchUser) as raised:
            cache.get_or_load("k", load)
        assert raised.value.args == (7,)
    stats = cache.stats()
    assert (stats.loads, stats.negative_hits) == (1, 2)
    assert cache.get("k", "none") == "none"
    assert cache.lookup("k") == Miss("negative")
