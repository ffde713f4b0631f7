"""Defects that probing found in hotset itself, each kept away by a test."""

from __future__ import annotations

import asyncio
import gc
import inspect
from enum import Enum
from typing import Any

import pytest

from hotset import Cache, ConfigError, Event, Hit, Miss, NotFound
from hotset.testing import FakeClock, isolated


class NoSuchUserError(NotFound):
    """An error that makes its message of its argument, as many do."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"no user {user_id}")
        self.user_id = user_id


def test_a_remembered_error_with_its_own_init_says_the_same_each_time() -> None:
    """It is not put through its __init__ again, and carries its attributes and a list of notes of its own."""
    cache = Cache(negative_ttl="1m")

    def load() -> None:
        raise NoSuchUserError(7)

    seen: list[NoSuchUserError] = []
    for _ in range(3):
        with pytest.raises(NoSuchUserError) as raised:
            cache.get_or_load("k", load)
        raised.value.add_note("a caller's own")
        seen.append(raised.value)
    assert [(str(error), error.user_id) for error in seen] == [("no user 7", 7)] * 3
    assert [error.__notes__.count("a caller's own") for error in seen] == [1, 1, 1]


def test_a_remembered_not_found_is_no_value() -> None:
    """Who creates the thing may add it; touch and `in` find nothing."""
    cache = Cache(negative_ttl="1m")

    def load() -> None:
        raise NotFound("k")

    with pytest.raises(NotFound):
        cache.get_or_load("k", load)
    assert "k" not in cache
    assert not cache.touch("k", "1h")
    assert cache.explain("k").state == "negative"
    assert cache.add("k", "made")
    assert cache.get("k") == "made"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_value_without_what_its_tags_name_is_a_failed_load(asynchronous: bool) -> None:
    """The caller gets the error, a listener hears of it, nothing is stored, and no task is left with it."""
    cache = Cache()
    told: list[Event] = []
    cache.on("load_failed", told.append)

    def load(user_id: int) -> None:
        return None

    async def fetch(user_id: int) -> None:
        return None

    tagged = cache.cached("u:{user_id}", tags=["team:{result[team]}"])
    complaints: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        with pytest.raises(TypeError, match="subscriptable"):
            await tagged(fetch)(1)
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)

    if asynchronous:
        asyncio.run(main())
    else:
        with pytest.raises(TypeError, match="subscriptable"):
            tagged(load)(1)
    assert [(event.key, event.cause) for event in told] == [("u:1", "TypeError")]
    assert (len(cache), complaints) == (0, [])


def test_one_bad_value_of_a_batch_does_not_spoil_the_others() -> None:
    """Those whose tags can be made are stored, whichever comes first."""
    cache = Cache()

    @cache.cached("u:{user_id}", tags=["team:{result[team]}"])
    def load(user_id: int) -> dict[str, int] | None:
        return None

    @load.batch
    def _(users: list[int]) -> dict[int, Any]:
        return {user: None if user == 1 else {"team": user} for user in users}

    with pytest.raises(TypeError, match="subscriptable"):
        load.many([1, 2, 3])
    assert (load.get(1), load.get(2), load.get(3)) == (None, {"team": 2}, {"team": 3})
    cache.delete(tags=["team:2"])
    assert load.get(2) is None


def test_equal_items_of_a_batch_do_not_take_each_others_keys() -> None:
    """1 and True are one item of a dict, and two keys: what is loaded for one is not stored for the other."""

    @Cache().cached("n:{item}")
    def load(item: object) -> str:
        return repr(item)

    @load.batch
    def _(items: list[object]) -> dict[object, str]:
        return {item: repr(item) for item in items}

    assert load.many([1, True]) == {1: "1"}
    assert (load(1), load(True)) == ("1", "True")


def test_a_bound_method_has_a_bound_signature() -> None:
    """As a plain method's: frameworks read it."""

    class Repository:
        id = 1

        @Cache().cached("r:{self.id}:{key}")
        def load(self, key: str) -> str:
            return key

    assert list(inspect.signature(Repository().load).parameters) == ["key"]
    assert list(inspect.signature(Repository.load).parameters) == ["self", "key"]
    assert Repository().load.__wrapped__("x") == "x"


@pytest.mark.parametrize("by_tag", [False, True])
def test_what_was_expired_has_no_life_left(by_tag: bool) -> None:
    """It is stale at once, and its fallback window ends where it would have ended."""
    cache = Cache(ttl=60, stale_if_error=60)
    with isolated(cache, FakeClock()) as clock:
        cache.set("k", 1, tags=["t"])
        clock.advance(10)
        cache.expire(tags=["t"]) if by_tag else cache.expire("k")
        assert cache.lookup("k") == Hit(1, "process", 10.0, 0.0, stale=True, tags=("t",))
        assert (cache.explain("k").ttl_left, cache.explain("k").stale_left) == (0.0, 110.0)
        clock.advance(110)
        assert not cache.lookup("k")


def test_expire_without_a_stale_window_is_an_ending() -> None:
    """There is nothing to fall back on, and a lookup says how it left."""
    cache = Cache()
    cache.set("k", 1)
    assert cache.expire("k", "other") == 1
    assert cache.lookup("k") == Miss("ended")
    assert cache.lookup("other") == Miss("absent")


def test_functions_that_share_a_name_are_not_cached_by_it() -> None:
    """Two closures, or two lambdas, of one name on one cache would answer for each other."""
    cache = Cache()

    def adder(step: int) -> Any:
        def add(number: int) -> int:
            return number + step

        return add

    with pytest.raises(ConfigError, match=r"template: .*adder.<locals>.add needs one.* depends on step"):
        cache.cached(adder(1))
    with pytest.raises(ConfigError, match=r"every lambda has the same name"):
        cache.cached(lambda number: number)
    one, two = (cache.cached(f"add {step}:{{number}}")(adder(step)) for step in (1, 2))
    assert (one(1), two(1)) == (2, 3)


def test_enums_of_one_name_do_not_meet() -> None:
    """Two modules may each have their Color.RED."""
    paints = Cache().family("paint:{color}")
    enum: Any = Enum
    reds = [enum("Color", ["RED"], module=module).RED for module in ("here", "there")]
    assert paints.key(reds[0]) != paints.key(reds[1])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_in_a_disabled_block_nothing_is_counted_or_listed(asynchronous: bool) -> None:
    """A get finds none there, so neither do len and scan."""
    cache = Cache()
    cache.set("k", 1)
    with cache.disabled():
        scanned = asyncio.run(cache.aio.scan()) if asynchronous else cache.scan()
        assert (scanned, len(cache.aio if asynchronous else cache)) == ([], 0)
    assert (cache.scan(), len(cache)) == (["k"], 1)


def test_a_ttl_beyond_all_floats_is_endless() -> None:
    """As `math.inf` is; and one below them is as wrong as any below zero."""
    cache = Cache(ttl=10**400)
    with isolated(cache, FakeClock()) as clock:
        cache.set("k", 1)
        clock.advance("520w")
        assert cache.get("k") == 1
    with pytest.raises(ConfigError, match="greater than zero"):
        Cache(ttl=-(10**400))


def test_a_range_may_begin_at_its_end() -> None:
    """Redis swaps the two, and a pattern means the same in every tier."""
    cache = Cache()
    cache.set_many({"a": 1, "c": 2, "d": 3})
    assert cache.delete(match="[c-a]") == 2
    assert cache.scan() == ["d"]


def test_a_brace_in_a_plain_tag_is_one_brace() -> None:
    """A family's tags are templates, also those without a field."""
    cache = Cache()
    cache.family("k:{id}", tags=["a{{b}}"]).set(1, "value")
    cache.delete(tags=["a{b}"])
    assert len(cache) == 0


def test_add_takes_the_place_of_a_remembered_not_found() -> None:
    """It is no value: get and `in` find none there either."""
    cache = Cache(negative_ttl="1m")

    def load() -> None:
        raise NotFound

    with pytest.raises(NotFound):
        cache.get_or_load("k", load)
    assert cache.add("k", 1)
    assert cache.get("k") == 1
    assert not cache.add("k", 2)
