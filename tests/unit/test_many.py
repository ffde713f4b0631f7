"""The read of many keys: what goes in, what comes out, and that a failure is that of its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hotset import Cache, CodecError, Hit, KeyRejected, NotFound, loading
from hotset.testing import isolated
from tests.unit.source import eventually


def letters(keys: list[Any]) -> dict[Any, Any]:
    """Load each key as itself."""
    return {key: f"<{key}>" for key in keys}


def never(keys: list[Any]) -> dict[Any, Any]:
    """Load nothing, ever."""
    raise AssertionError(f"{keys} were asked for")


def tags_of(cache: Cache, key: str) -> tuple[str, ...]:
    """Return the tags of what is there."""
    found = cache.lookup(key)
    assert isinstance(found, Hit)
    return found.tags


Read = Callable[..., dict[Any, Any]]


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Read:
    """`get_or_load_many`, from either face."""
    if request.param == "sync":
        return lambda cache, *args, **named: cache.get_or_load_many(*args, **named)
    return lambda cache, *args, **named: asyncio.run(cache.aio.get_or_load_many(*args, **named))


# -- what goes in


def test_answers_come_in_the_order_of_the_keys_each_once(read: Read) -> None:
    """Whatever was there before, from whatever can be walked through."""
    cache, asked = Cache(), list[list[str]]()

    def load(keys: list[str]) -> dict[str, str]:
        asked.append(keys)
        return letters(list(reversed(keys)))

    cache.set("b", 2)
    assert list(read(cache, iter("cbacb"), load).items()) == [("c", "<c>"), ("b", 2), ("a", "<a>")]
    assert list(read(cache, ("a", "b", "c"), never)) == ["a", "b", "c"]
    assert asked == [["c", "a"]]


def test_no_keys_cost_nothing(read: Read) -> None:
    """The loader is not called."""
    assert read(Cache(), [], never) == read(Cache(), iter(()), never) == {}


def test_binary_keys_are_keys(read: Read) -> None:
    """Beside a text of the same letters."""
    cache = Cache()
    assert read(cache, [b"k", "k"], lambda keys: {key: type(key) for key in keys}) == {b"k": bytes, "k": str}
    assert read(cache, [b"k", "k"], never) == {b"k": bytes, "k": str}
    assert cache.get(b"k") is bytes


BAD: dict[str, tuple[Any, str]] = {
    "one text": ("user:7", r"'user:7' is one key, where several are asked for: write \['user:7'\]"),
    "one binary key": (b"k", r"b'k' is one key"),
    "a number among them": (["a", 7], "7"),
    "what has no hash": (["a", ["b"]], r"\['b'\]"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_key_is_named(read: Read, bad: str) -> None:
    """Before anything is loaded."""
    keys, words = BAD[bad]
    with pytest.raises(KeyRejected, match=words):
        read(Cache(), keys, never)
    if isinstance(keys, str):
        with pytest.raises(KeyRejected, match=words):
            Cache().get_many(keys)


def test_what_is_no_item_of_a_family_is_named() -> None:
    """With what is wrong with it."""
    users = Cache().family("user:{org}:{id}")
    for bad, words in [
        ((("acme",),), "is no item of this family: missing"),
        (([7],), r"\[7\] is no item of this family"),
        ("acme", "'acme' is one key"),
    ]:
        with pytest.raises(KeyRejected, match=words):
            users.get_or_load_many(bad, never)


WRONG: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "a list": (lambda keys: [1 for _ in keys], "a mapping of key to value, not list"),
    "None": (lambda keys: None, "not NoneType"),
    "a generator": (lambda keys: (key for key in keys), "not generator"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_loader_that_returns_no_mapping_is_told_so(read: Read, wrong: str) -> None:
    """With the keys that it was asked for; nothing is stored."""
    cache, (load, words) = Cache(), WRONG[wrong]
    with pytest.raises(TypeError, match=words) as raised:
        read(cache, ["a", "b"], load)
    assert "hotset: while loading 'a', 'b'" in raised.value.__notes__
    assert len(cache) == 0


# -- a failure is that of its key


def some_fail(keys: list[str]) -> dict[str, Any]:
    """Fail for what begins with x."""
    return {key: ConnectionError(key) if key.startswith("x") else f"<{key}>" for key in keys}


def test_an_exception_among_the_values_is_the_failure_of_its_key(read: Read) -> None:
    """The first is raised, with a note of all that failed; the others are stored."""
    cache = Cache()
    with pytest.raises(ConnectionError, match="x1") as raised:
        read(cache, ["a", "x1", "b", "x2"], some_fail)
    assert raised.value.__notes__ == ["hotset: while loading 'x1'", "hotset: 2 of 4 keys failed: 'x1', 'x2'"]
    assert cache.get_many(["a", "x1", "b", "x2"]) == {"a": "<a>", "b": "<b>"}


def test_who_asks_for_exceptions_has_them_in_the_places_of_values(read: Read) -> None:
    """In their order, and what is not found is left out as ever."""

    def load(keys: list[str]) -> dict[str, Any]:
        return {key: value for key, value in some_fail(keys).items() if key != "none"}

    found = read(Cache(), ["a", "x1", "none", "b"], load, return_exceptions=True)
    assert list(found) == ["a", "x1", "b"]
    assert isinstance(found["x1"], ConnectionError)
    assert (found["a"], found["b"]) == ("<a>", "<b>")


def test_one_error_of_all_says_so_once(read: Read) -> None:
    """However many keys there are."""
    error = ConnectionError("down")

    def load(keys: list[str]) -> dict[str, str]:
        raise error

    keys = [f"k{at}" for at in range(9)]
    with pytest.raises(ConnectionError) as raised:
        read(Cache(), keys, load)
    assert raised.value is error
    first = "'k0', 'k1', 'k2', 'k3', 'k4' and 4 more"
    assert error.__notes__ == [f"hotset: while loading {first}", f"hotset: 9 of 9 keys failed: {first}"]


def test_a_stale_value_in_the_place_of_an_error_is_an_answer(read: Read) -> None:
    """Key by key: who has none fails."""
    cache = Cache(ttl=10, stale_if_error=60)
    with isolated(cache) as clock:
        cache.set_many({"x1": "old", "a": "old"})
        clock.advance(11)
        assert read(cache, ["a", "x1"], some_fail) == {"a": "<a>", "x1": "old"}
        with pytest.raises(ConnectionError) as raised:
            read(cache, ["x1", "x2"], some_fail)
        assert raised.value.args == ("x2",)


def test_what_has_failed_rests_while_it_has_a_stale_value(read: Read) -> None:
    """As after a single load that failed: not every reader asks the source again."""
    cache, asked = Cache(ttl=10, stale_if_error=60), list[list[str]]()

    def load(keys: list[str]) -> dict[str, Any]:
        asked.append(keys)
        return some_fail(keys)

    with isolated(cache) as clock:
        cache.set_many({"x1": "old", "x2": "old"})
        clock.advance(11)
        for _ in range(3):
            assert read(cache, ["x1", "x2"], load) == {"x1": "old", "x2": "old"}
        assert asked == [["x1", "x2"]]
        assert cache.get_or_load("x1", lambda: "not asked") == "old"
        clock.advance(2)
        assert read(cache, ["x1"], load) == {"x1": "old"}
        assert asked == [["x1", "x2"], ["x1"]]


def test_a_value_that_cannot_be_kept_fails_its_key_alone(read: Read) -> None:
    """One that can be read only once, and one that no store takes, where that is checked."""
    cache = Cache(strict=True)

    def load(keys: list[str]) -> dict[str, Any]:
        return {"a": 1, "iterator": iter(()), "object": object()}

    found = read(cache, ["iterator", "a", "object"], load, return_exceptions=True)
    assert [isinstance(value, CodecError) for value in found.values()] == [True, False, True]
    assert cache.get_many(["iterator", "a", "object"]) == {"a": 1}


def test_a_mapping_that_fails_for_one_key_fails_that_one(read: Read) -> None:
    """A loader may return any mapping."""

    class Lazy(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            if key == "x":
                raise OSError(key)
            return key

        def __iter__(self) -> Iterator[str]:
            return iter("ax")

        def __len__(self) -> int:
            return 2

    cache = Cache()
    with pytest.raises(OSError, match="x"):
        read(cache, ["a", "x"], lambda keys: Lazy())
    assert cache.get("a") == "a"


# -- what is not found


def test_what_is_left_out_is_not_found(read: Read) -> None:
    """It is remembered for `negative_ttl`, in between the others; a single read raises it meanwhile."""
    cache, asked = Cache(negative_ttl=10), list[list[str]]()

    def load(keys: list[str]) -> dict[str, str]:
        asked.append(keys)
        return letters([key for key in keys if key != "none"])

    assert list(read(cache, ["a", "none", "b"], load)) == ["a", "b"]
    assert list(read(cache, ["b", "none", "c", "a"], load)) == ["b", "c", "a"]
    assert asked == [["a", "none", "b"], ["c"]]
    with pytest.raises(NotFound) as raised:
        cache.get_or_load("none", lambda: "not asked")
    assert type(raised.value) is NotFound


def test_not_found_for_all_is_an_empty_answer(read: Read) -> None:
    """Raised, or as a value."""
    cache = Cache()

    def load(keys: list[str]) -> dict[str, str]:
        raise NotFound(*keys)

    assert read(cache, ["a", "b"], load) == {}
    assert read(cache, ["a", "b"], lambda keys: {key: NotFound(key) for key in keys}) == {}


def test_what_is_left_out_ends_what_stood_there(read: Read) -> None:
    """As NotFound does: a row that is gone is answered stale to nobody."""
    cache = Cache(ttl=10, stale_while_revalidate=60, stale_if_error=60)
    with isolated(cache) as clock:
        cache.set_many({"a": "old", "gone": "old"})
        clock.advance(11)
        assert read(cache, ["a", "gone"], lambda keys: {"a": "new"}) == {"a": "old", "gone": "old"}
        eventually(lambda: cache.get("a") == "new" and not cache.lookup("gone"))
        cache.set("gone", "old")
        cache.expire("gone")
        assert read(cache, ["gone"], lambda keys: {}) == {}
        with pytest.raises(ConnectionError):
            cache.get_or_load("gone", some_raise)


def some_raise() -> None:
    """Fail."""
    raise ConnectionError


# -- what a loader may decide


def test_a_loader_decides_for_each_item(read: Read) -> None:
    """What is set for one holds before what is set for all; tags add up."""
    cache = Cache(ttl=60)

    def load(keys: list[str]) -> dict[str, str]:
        load = loading()
        load.ttl, load.tags = 30, ["all"]
        load.of("a").ttl, load.of("a").tags = 5, ["first"]
        load.of("b").skip()
        assert load.of("a").key == "a"
        assert load.keys == ("a", "b", "c")
        return letters(keys)

    assert read(cache, ["a", "b", "c"], load) == letters(["a", "b", "c"])
    lives = {key: round(cache.explain(key).ttl_left or 0) for key in "ac"}
    assert (lives, cache.get("b")) == ({"a": 5, "c": 30}, None)
    assert {key: tags_of(cache, key) for key in "ac"} == {"a": ("all", "first"), "c": ("all",)}


def test_a_batch_asks_the_source_what_has_changed(read: Read) -> None:
    """`of(item)` has the stale value and its validator; what is not modified need not be returned."""
    cache, etags = Cache(ttl=10, stale_if_error=60), list[dict[str, Any]]()

    def load(keys: list[str]) -> dict[str, str]:
        each = {key: loading().of(key) for key in keys}
        etags.append({key: (mine.stale, mine.etag) for key, mine in each.items()})
        for key, mine in each.items():
            if mine.etag is None:
                mine.etag = f"v1 of {key}"
        if each["a"].stale is not None:
            each["a"].not_modified()
        return {key: f"{key}{len(etags)}" for key in keys if key != "a" or len(etags) == 1}

    with isolated(cache) as clock:
        assert read(cache, ["a", "b"], load) == {"a": "a1", "b": "b1"}
        clock.advance(11)
        assert read(cache, ["a", "b"], load) == {"a": "a1", "b": "b2"}
        assert etags[1] == {"a": ("a1", "v1 of a"), "b": ("b1", "v1 of b")}
        assert cache.get_many(["a", "b"]) == {"a": "a1", "b": "b2"}


def test_a_single_load_has_no_items() -> None:
    """The error says what to use."""
    with pytest.raises(LookupError, match="loads one key, and loading\\(\\) is its load"):
        Cache().get_or_load("k", lambda: loading().of("k"))


# -- without a batch function


@pytest.fixture(params=["sync", "async"])
def squares(request: pytest.FixtureRequest) -> tuple[Cache, list[int], Callable[..., dict[int, int]]]:
    """A cache, what its source was asked for, and the `many` of a function without a batch function."""
    cache, asked = Cache(ttl=10, stale_while_revalidate=60, tags=["all"]), list[int]()

    def source(number: int) -> int:
        asked.append(number)
        if number == 13:
            raise ConnectionError(number)
        if number == 404:
            raise NotFound(number)
        return number * number

    if request.param == "sync":
        return cache, asked, cache.cached("square:{number}", tags=["of:{number}"])(source).many

    @cache.cached("square:{number}", tags=["of:{number}"])
    async def fetch(number: int) -> int:
        return source(number)

    return cache, asked, lambda *args, **named: asyncio.run(fetch.many(*args, **named))


def test_without_a_batch_function_each_missing_one_is_a_call(
    squares: tuple[Cache, list[int], Callable[..., dict[int, int]]],
) -> None:
    """A failure is that of its key there too, and what is not found is left out."""
    cache, asked, many = squares
    assert many([2, 404, 3, 2]) == {2: 4, 3: 9}
    assert asked == [2, 404, 3]
    with pytest.raises(ConnectionError) as raised:
        many([2, 13, 5])
    assert raised.value.__notes__[-1] == "hotset: 1 of 3 keys failed: 13"
    assert asked == [2, 404, 3, 13, 5]
    assert isinstance(many([13, 5], return_exceptions=True)[13], ConnectionError)
    assert tags_of(cache, "square:5") == ("all", "of:5")
    with pytest.raises(KeyRejected, match="a list cannot be part of a key"):
        many([[5]])


def test_without_a_batch_function_what_is_stale_is_loaded_behind() -> None:
    """The caller has it at once."""
    cache, asked = Cache(ttl=10, stale_while_revalidate=60), list[int]()

    @cache.cached("n:{number}")
    def load(number: int) -> int:
        asked.append(number)
        return len(asked)

    with isolated(cache) as clock:
        assert load.many([1, 2]) == {1: 1, 2: 2}
        clock.advance(11)
        assert load.many([1, 2]) == {1: 1, 2: 2}
        eventually(lambda: sorted(load.get_many([1, 2]).values()) == [3, 4])
