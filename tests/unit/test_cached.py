"""@cached over every kind of function, with every operation bound as the function is."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hotset import Cache

PATIENCE = 20.0
cache = Cache()


@cache.cached("module:{number}")
def doubled(number: int) -> int:
    """Double a number."""
    return 2 * number


class Repository:
    """Methods of every kind."""

    def __init__(self, number: int) -> None:
        self.id = number

    @cache.cached("m:{self.id}:{key}")
    def load(self, key: str, suffix: str = "") -> str:
        """Load."""
        return f"{self.id} {key}{suffix}"

    @cache.cached("am:{self.id}:{key}")
    async def fetch(self, key: str) -> str:
        """Load, awaited."""
        return f"{self.id} {key}"

    @staticmethod
    @cache.cached("sm:{key}")
    def static(key: str) -> str:
        """Load without an instance."""
        return key

    @cache.cached("sm2:{key}")
    @staticmethod
    def static_too(key: str) -> str:
        """Load without an instance, decorated the other way round."""
        return key

    @cache.cached("cm:{cls.__name__}:{key}")
    @classmethod
    def of_class(cls, key: str) -> str:
        """Load for a class."""
        return f"{cls.__name__} {key}"


def test_a_function_keeps_its_name_and_can_be_pickled() -> None:
    """It is pickled by name, as functions are."""
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Double a number.")
    assert list(inspect.signature(doubled).parameters) == ["number"]
    assert pickle.loads(pickle.dumps(doubled)) is doubled


def test_every_operation_of_a_function() -> None:
    """Arguments come as the function takes them."""
    assert doubled(4) == 8
    assert doubled.key(4) == doubled.key(number=4) == "module:4"
    assert doubled.get(4) == cache.get("module:4") == 8
    assert doubled.set(4, 9, ttl="1h")
    assert doubled(4) == 9
    assert doubled.refresh(4) == 8
    assert doubled(4) == 8
    assert doubled.touch(4, "1h")
    assert not doubled.add(4, 1)
    assert doubled.expire(4) == 1
    assert not doubled.lookup(4)
    assert doubled.add(4, 1)
    assert doubled.delete(4) == 1
    assert doubled.many([1, 2]) == {1: 2, 2: 4}


def test_methods_are_bound_at_each_access() -> None:
    """An operation of one instance's method works on that instance's entries."""
    one, two = Repository(1), Repository(2)
    assert (one.load("a"), two.load("a"), one.load(key="a")) == ("1 a", "2 a", "1 a")
    assert one.load.key("a") == "m:1:a"
    assert one.load.set("a", "written")
    assert (one.load("a"), two.load("a")) == ("written", "2 a")
    assert one.load.delete("a") == 1
    assert one.load.many(["a", "b"]) == {"a": "1 a", "b": "1 b"}
    static: Any = Repository.static, one.static  # what staticmethod returns has no such type
    assert [each("x") for each in static] == ["x", "x"]


def test_a_decorator_over_staticmethod_and_classmethod_works_too() -> None:
    """The types know the function under them, not that it is bound otherwise."""
    repository: Any = Repository(1)
    assert (repository.static_too("x"), repository.of_class("x")) == ("x", "Repository x")
    assert repository.of_class.key("x") == "cm:Repository:x"


def test_an_async_def_stays_one() -> None:
    """Frameworks look; every operation but key is awaitable; a method's are bound."""
    repository = Repository(3)
    assert inspect.iscoroutinefunction(repository.fetch)
    assert inspect.iscoroutinefunction(Repository.fetch)
    assert list(inspect.signature(repository.fetch).parameters) == ["key"]

    async def main() -> None:
        assert await repository.fetch("a") == "3 a"
        assert repository.fetch.key("a") == "am:3:a"
        assert await repository.fetch.get("a") == "3 a"
        assert await repository.fetch.set("a", "written")
        assert await repository.fetch.refresh("a") == "3 a"
        assert await repository.fetch.many(["a", "b"]) == {"a": "3 a", "b": "3 b"}
        assert await repository.fetch.delete("a") == 1

    asyncio.run(main())


def test_a_def_decorated_by_the_async_face_is_sync() -> None:
    """The function's kind decides, whichever face decorates it."""

    @cache.aio.cached("def:{number}")
    def plain(number: int) -> int:
        return number

    assert plain(3) == 3


def test_tags_come_from_arguments_and_result() -> None:
    """And `delete(tags=...)` says them as they read."""

    @cache.cached("u:{user_id}", tags=["users", "user-{user_id}", "team:{result[team]}"])
    def load(user_id: int) -> dict[str, str]:
        return {"team": f"{user_id % 2}"}

    load(1)
    load(2)
    load(3)
    cache.delete(tags=["team:1"])
    assert (load.get(1), load.get(2), load.get(3)) == (None, {"team": "0"}, None)
    cache.delete(tags=["user-2"])
    assert load.get(2) is None


def test_a_batch_is_one_call_and_joins_loads_in_flight() -> None:
    """What another caller loads already is waited for, not loaded again."""
    asked: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    @cache.cached("b:{number}")
    def load(number: int) -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return number

    @load.batch
    def _(numbers: list[int]) -> dict[int, int]:
        asked.append(numbers)
        go.set()
        return {number: number for number in numbers}

    with ThreadPoolExecutor(1) as threads:
        single = threads.submit(load, 1)
        assert begun.wait(PATIENCE)
        assert load.many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert single.result(PATIENCE) == 1
    assert asked == [[2, 3]]
    assert load.many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
    assert len(asked) == 1


def test_a_refresh_does_not_store_over_a_delete() -> None:
    """A refresh that began before its key was deleted is not stored."""
    begun, go = threading.Event(), threading.Event()
    loads: list[int] = []

    @cache.cached("r:{number}")
    def load(number: int) -> int:
        loads.append(number)
        if len(loads) == 2:
            begun.set()
            assert go.wait(PATIENCE)
        return len(loads)

    assert load(1) == 1
    with ThreadPoolExecutor(1) as threads:
        refresh = threads.submit(load.refresh, 1)
        assert begun.wait(PATIENCE)
        assert load(1) == 1
        load.delete(1)
        go.set()
        assert refresh.result(PATIENCE) == 2
    assert load.get(1) is None


def test_a_family_keeps_typed_plain_values() -> None:
    """Template, type and options, in one place."""
    users = Cache().family("user:{org}:{id}", str, ttl="1h", tags=["org:{org}"])
    assert users.set("acme", 7, "Ada")
    assert users.get("acme", 7) == users.get(org="acme", id=7) == "Ada"
    assert users.get_or_load("acme", 8, lambda org, number: f"{org} {number}") == "acme 8"
    assert users.set_many({("acme", 9): "Bob"})
    assert users.get_many([("acme", 7), ("acme", 9), ("acme", 1)]) == {("acme", 7): "Ada", ("acme", 9): "Bob"}
    assert users.get_or_load_many([("acme", 1)], lambda items: {items[0]: "new"}) == {("acme", 1): "new"}
    assert users.delete("acme", 7) == 1
    with pytest.raises(TypeError):
        users.get("acme")
