"""Random programs, run over the caches of others and over ours: the same results, exceptions and counts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import cachetools
from dogpile.cache import make_region
from hypothesis import given, settings
from hypothesis import strategies as st

from hotset.compat import cachetools as ours
from hotset.compat import lru_cache

Step = tuple[Any, ...]


class Weird:
    """A key whose hash, or whose comparison, goes wrong."""

    def __init__(self, number: int, *, in_hash: bool = False, in_eq: bool = False) -> None:
        self.number, self.in_hash, self.in_eq = number, in_hash, in_eq

    def __hash__(self) -> int:
        if self.in_hash:
            raise RuntimeError("hash")
        return self.number

    def __eq__(self, other: object) -> bool:
        if self.in_eq or (isinstance(other, Weird) and other.in_eq):
            raise RuntimeError("eq")
        return isinstance(other, Weird) and self.number == other.number


KEYS: list[Any] = [
    *(0, 1, 2, 3, -1, -2, 1.0, True, False, 2**61 - 1, "1", "a", b"a", None, float("nan")),
    *((1,), (1.0,), (1, 2), frozenset([1]), [1], {}),
    *(Weird(1), Weird(1), Weird(2), Weird(1, in_eq=True), Weird(3, in_hash=True)),
]
key = st.integers(0, len(KEYS) - 1)  # by their places: Hypothesis compares what it draws


def run(program: Iterable[Step], steps: dict[str, Callable[..., Any]], after: Callable[[], Any]) -> list[Any]:
    """Return what each step has returned or raised, and how it then is."""
    said: list[Any] = []
    for name, *arguments in program:
        try:
            said.append(steps[name](*arguments))
        except Exception as error:  # noqa: BLE001  any, by its kind: what it says may differ
            said.append("TypeError" if isinstance(error, TypeError) else type(error).__name__)
        said.append(after())
    return said


lru_steps = st.one_of(
    st.tuples(st.just("call"), st.lists(key, max_size=2), st.dictionaries(st.sampled_from("xy"), key, max_size=2)),
    st.tuples(st.just("clear")),
)


def with_lru(decorate: Any, maxsize: int | None, typed: bool, program: list[Step]) -> list[Any]:
    """Run a program over a function that counts, raises, and calls itself."""
    calls = 0

    @decorate(maxsize=maxsize, typed=typed)  # type: ignore[untyped-decorator]  # theirs or ours
    def function(*args: Any, **kwargs: Any) -> int:
        nonlocal calls
        calls += 1
        if args[:1] == (3,):
            raise LookupError
        if args == (2,):
            function(1)
        return calls

    def call(args: list[int], kwargs: dict[str, int]) -> int:
        made: int = function(*(KEYS[at] for at in args), **{name: KEYS[at] for name, at in kwargs.items()})
        return made

    return run(program, {"call": call, "clear": function.cache_clear}, lambda: tuple(function.cache_info()))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([None, -1, 0, 1, 2, 3, 5]), st.booleans(), st.lists(lru_steps, max_size=25))
def test_lru_cache(maxsize: int | None, typed: bool, program: list[Step]) -> None:
    """As functools has it, whatever the arguments are."""
    theirs = with_lru(functools.lru_cache, maxsize, typed, program)
    assert with_lru(lru_cache, maxsize, typed, program) == theirs


PLAIN = [0, 2, 3, -1, "a", None, (1,), [1]]  # of equal keys a dict keeps the first one, and we the last
plain = st.sampled_from(PLAIN)
mapping_steps = st.one_of(
    *(st.tuples(st.just(name), plain) for name in ("get", "at", "del", "pop", "pop or", "in", "setdefault", "call")),
    *(st.tuples(st.just(name)) for name in ("popitem", "clear", "items", "equals", "reversed", "update", "expire")),
    st.tuples(st.just("set"), plain, st.integers(0, 5)),
    st.tuples(st.just("tick"), st.integers(1, 4)),
)


def with_mapping(module: Any, kind: str, maxsize: float, program: list[Step]) -> list[Any]:
    """Run a program over a mapping, and a function that is cached in it."""
    now = 0
    more = {"ttl": 3, "timer": lambda: now} if kind == "TTLCache" else {}
    mapping = getattr(module, kind)(maxsize, **more)
    function = module.cached(mapping, key=lambda value: value, info=True)(lambda value: (value, now))

    def tick(by: int) -> None:
        nonlocal now
        now += by

    steps: dict[str, Callable[..., Any]] = {
        "get": mapping.get,
        "at": mapping.__getitem__,
        "del": mapping.__delitem__,
        "set": mapping.__setitem__,
        "in": mapping.__contains__,
        "pop": mapping.pop,
        "pop or": lambda name: mapping.pop(name, "none"),
        "setdefault": lambda name: mapping.setdefault(name, 9),
        "popitem": mapping.popitem,
        "clear": mapping.clear,
        "update": lambda: mapping.update({0: 1, 2: 2}),
        "equals": lambda: mapping == dict(mapping),
        "reversed": lambda: list(reversed(mapping)),
        "items": lambda: sorted(map(repr, mapping.items())),
        "call": function,
        "tick": tick,
        "expire": lambda: sorted(map(repr, mapping.expire())) if more else None,
    }
    return run(program, steps, lambda: (len(mapping), mapping.currsize, mapping.maxsize, function.cache_info()))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["LRUCache", "TTLCache"]),
    st.sampled_from([0, 1, 2, 3, 5, 2.5, float("inf")]),
    st.lists(mapping_steps, max_size=30),
)
def test_cachetools(kind: str, maxsize: float, program: list[Step]) -> None:
    """As cachetools has it: which entry leaves, what has expired, and which exception a wrong key raises."""
    assert with_mapping(ours, kind, maxsize, program) == with_mapping(cachetools, kind, maxsize, program)


name = st.sampled_from(["a", "b", "c", "d e", "é", ":", "*"])
names = st.lists(name, min_size=1, max_size=4)
value = st.one_of(st.integers(), st.none(), st.text(max_size=3), st.tuples(st.integers(0, 3)))
region_steps = st.one_of(
    *(st.tuples(st.just(step), name) for step in ("get", "delete", "raise", "is locked")),
    *(st.tuples(st.just(step), name, value) for step in ("set", "create", "create, not stored")),
    *(st.tuples(st.just(step), names) for step in ("get many", "delete many")),
    st.tuples(st.just("set many"), st.dictionaries(name, value, max_size=3)),
    st.tuples(st.just("create many"), names, value),
    st.tuples(st.just("invalidate")),
)


def with_region(backend: str, program: list[Step]) -> list[Any]:
    """Run a program over a region."""
    region = make_region().configure(backend)

    def wrong() -> None:
        raise ZeroDivisionError

    steps: dict[str, Callable[..., Any]] = {
        "get": region.get,
        "set": region.set,
        "delete": region.delete,
        "is locked": region.key_is_locked,
        "get many": region.get_multi,
        "set many": region.set_multi,
        "delete many": region.delete_multi,
        "invalidate": region.invalidate,
        "raise": lambda name: region.get_or_create(name, wrong),
        "create": lambda name, value: region.get_or_create(name, lambda: value),
        "create, not stored": lambda name, value: region.get_or_create(
            name, lambda: value, should_cache_fn=lambda _: False
        ),
        "create many": lambda names, value: region.get_or_create_multi(names, lambda *asked: [value] * len(asked)),
    }
    return [repr(each) for each in run(program, steps, lambda: None)]


@settings(max_examples=100, deadline=None)
@given(st.lists(region_steps, max_size=25))
def test_dogpile(program: list[Step]) -> None:
    """As dogpile's own memory backend has it."""
    assert with_region("hotset", program) == with_region("dogpile.cache.memory", program)
