"""Functions decorated at import, cached in whichever app runs them."""

from __future__ import annotations

import asyncio
import inspect
import pickle

import pytest
from flask import Flask

from hotset import ConfigError
from hotset.integrations.flask import Hotset, NoAppContext
from tests.integrations.flask.conftest import MakeApp


def test_a_function_is_bound_to_the_app_that_calls_it(cache: Hotset, make_app: MakeApp) -> None:
    """The same function is cached in each app apart, and its operations act on the app at hand."""
    calls: list[int] = []

    @cache.cached("user:{user_id}")
    def load(user_id: int) -> int:
        calls.append(user_id)
        return len(calls)

    one, two = make_app("one"), make_app("two")
    with one.app_context():
        assert (load(7), load(7)) == (1, 1)
    with two.app_context():
        assert load(7) == 2
        assert load.delete(7) == 1
        assert load(7) == 3
    with one.app_context():
        assert load(7) == 1
        assert load.get(7) == 1
        assert load.refresh(7) == 4


def test_the_options_of_the_app_hold(cache: Hotset, make_app: MakeApp) -> None:
    """A function decorated before there was a setting has the default ttl of the app that calls it."""

    @cache.cached("k:{n}")
    def load(n: int) -> int:
        return n

    app = make_app(HOTSET_TTL="10m")
    with app.app_context():
        load(1)
        found = load.lookup(1)
        assert found
        assert found.ttl_left is not None
        assert 590 < found.ttl_left <= 600


def test_a_key_needs_no_app(cache: Hotset) -> None:
    """What is the same in every app is known without one; a call is not."""

    @cache.cached("user:{user_id}")
    def load(user_id: int) -> int:
        return user_id

    assert load.key(7) == "user:7"
    with pytest.raises(NoAppContext):
        load(7)


def test_what_is_wrong_shows_where_it_is_decorated(cache: Hotset) -> None:
    """Templates, options and kinds are checked at import, not at the first request."""
    with pytest.raises(ConfigError, match="unknown parameter"):

        @cache.cached("user:{id}")
        def one(user_id: int) -> int:
            return user_id

    with pytest.raises(ConfigError, match="unknown option 'tll'"):

        @cache.cached("user:{user_id}", tll="10m")  # type: ignore[call-overload, untyped-decorator]
        def two(user_id: int) -> int:
            return user_id


def test_a_batch_loader_is_registered_for_all_apps(cache: Hotset, make_app: MakeApp) -> None:
    """It is given at import, where no app is; apps before and after have it."""
    batches: list[list[int]] = []
    early = make_app("early")

    @cache.cached("user:{user_id}")
    def load(user_id: int) -> int:
        return user_id

    with early.app_context():
        load(9)

    @load.batch
    def load_all(user_ids: list[int]) -> dict[int, int]:
        batches.append(user_ids)
        return {user_id: user_id * 10 for user_id in user_ids}

    for app in (early, make_app("late")):
        with app.app_context():
            assert load.many([1, 2]) == {1: 10, 2: 20}
    assert batches == [[1, 2], [1, 2]]


class Repository:
    """A class whose methods are cached at import, as a module has it."""

    cache = Hotset()

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    @cache.cached("repo:{self.name}:{n}")
    def load(self, n: int) -> int:
        """Load one."""
        self.calls += 1
        return self.calls

    @cache.cached("repo-async:{self.name}:{n}")
    async def fetch(self, n: int) -> int:
        """Load one, asynchronously."""
        self.calls += 1
        return self.calls

    @classmethod
    def make(cls) -> Repository:
        """Return one."""
        return cls("made")


def test_a_method_s_entry_is_deleted_through_its_instance() -> None:
    """Deleting through a bound method ends what that instance has cached, and no other's (flask-caching#554)."""
    app = Flask("shop")
    Repository.cache.init_app(app)
    a, b = Repository("a"), Repository("b")
    with app.app_context():
        assert (a.load(1), a.load(1), b.load(1)) == (1, 1, 1)
        assert a.load.delete(1) == 1
        assert (a.load(1), b.load(1)) == (2, 1)
        assert a.load.key(1) == "repo:a:1"

        async def both() -> tuple[int, int, int, int]:
            first = await a.fetch(1), await a.fetch(1)
            return (*first, await a.fetch.delete(1), await a.fetch(1))

        assert asyncio.run(both()) == (3, 3, 1, 4)
    assert Repository.load.__doc__ == "Load one."


def test_an_async_function_stays_one(cache: Hotset, app: Flask) -> None:
    """Flask looks whether a view is an `async def`; its operations are awaited, but for `key`."""
    calls: list[int] = []

    @cache.cached("user:{user_id}")
    async def load(user_id: int) -> int:
        calls.append(user_id)
        return len(calls)

    assert inspect.iscoroutinefunction(load)
    assert load.key(7) == "user:7"

    async def use() -> tuple[int, int, int, int]:
        return await load(7), await load(7), await load.delete(7), await load(7)

    with app.app_context():
        assert asyncio.run(use()) == (1, 1, 1, 2)


_cache = Hotset()


@_cache.cached("n:{n}")
def at_module_level(n: int) -> int:
    """A function that can be found by name."""
    return n


def test_a_function_is_pickled_by_name() -> None:
    """As a plain function is, so that it can be a task of a queue."""
    reduced = at_module_level.__reduce__()
    assert reduced == "at_module_level"
    assert pickle.dumps(at_module_level)
