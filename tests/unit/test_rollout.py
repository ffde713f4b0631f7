"""Roll-out without a store: off, shadow, a share of the keys, and hits that are verified."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hotset import Cache, ConfigError, Event, Hit, Miss
from hotset.core.rollout import Rollout
from hotset.engine.table import Table
from tests.unit.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = [f"user:{number}" for number in range(10_000)]


# -- the settings


@pytest.mark.parametrize(
    "settings",
    [
        {"share": 2}, {"share": 0}, {"share": -0.1}, {"share": "5%"}, {"share": True}, {"share": float("nan")},
        {"verify": -1}, {"verify": 1.5}, {"verify": None}, {"mode": "maybe"}, {"mode": None}, {"strict": 1},
    ],
)  # fmt: skip
def test_a_wrong_setting_is_an_error_that_names_it(settings: dict[str, Any]) -> None:
    """It says what would be valid; the async face refuses it too."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Cache(**settings)


@pytest.mark.parametrize("name", ["mode", "share", "verify", "strict"])
def test_a_roll_out_is_of_the_whole_cache(name: str) -> None:
    """Of a child, a family or a call it is refused, and the message says where it belongs."""
    cache: Any = Cache()
    calls: list[Callable[[], object]] = [
        lambda: cache.child("c", **{name: 1}),
        lambda: cache.family("u:{a}", **{name: 1}),
        lambda: cache.set("k", 1, **{name: 1}),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=rf"{name}: a setting of the whole cache, as in Cache\({name}="):
            call()


def test_the_environment_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HOTSET_MODE`, `HOTSET_SHARE`, `HOTSET_VERIFY` and `HOTSET_STRICT`; a wrong one is an error."""
    monkeypatch.setenv("HOTSET_MODE", "shadow")
    monkeypatch.setenv("HOTSET_SHARE", "0.05")
    monkeypatch.setenv("HOTSET_VERIFY", "0.01")
    monkeypatch.setenv("HOTSET_STRICT", "yes")
    cache = Cache.from_env()
    assert cache._space.rollout == Rollout("shadow", 0.05, 0.01)
    assert cache._space.strict
    for variable, text in {"HOTSET_MODE": "maybe", "HOTSET_SHARE": "many", "HOTSET_STRICT": "perhaps"}.items():
        with monkeypatch.context() as wrong:
            wrong.setenv(variable, text)
            with pytest.raises(ConfigError, match=variable.removeprefix("HOTSET_").lower() + "|" + variable):
                Cache.from_env()


def test_status_says_how_far_it_is_rolled_out() -> None:
    """The default is on for all keys; a child says what its parent says."""
    on, off, child = Cache().status(), Cache(mode="off").status(), Cache(mode="shadow", share=0.5).child("c").status()
    assert (on.mode, on.share, on.disabled) == ("on", 1.0, False)
    assert (off.mode, off.disabled) == ("off", True)
    assert (child.mode, child.share, child.disabled) == ("shadow", 0.5, False)


def test_a_cache_that_is_simply_on_keeps_its_hit_path() -> None:
    """`get` of the face and what a cached function tries first are the table's own method, bound to the table."""
    for cache in (Cache(), Cache(mode="on", share=1, verify=0), Cache().child("c")):
        loaded = cache.cached("k:{n}")(lambda n: n)
        tried: tuple[Any, ...] = (cache.get, loaded._get, cache._space.hit, cache.aio._space.get)
        for bound in tried:
            assert bound.__func__ is Table.get
            assert bound.__self__ is cache._space.table
    rolled = Cache(verify=0.5)
    assert getattr(rolled.get, "__self__", None) is not rolled._space.table


# -- off


def test_off_goes_to_the_source_and_keeps_nothing() -> None:
    """Every kind of read loads; nothing is held, and `set` stores nothing."""
    cache = Cache(mode="off")
    source = Source(cache, "user:{n}")
    assert [source.load(1), source.load(1), source.fetch(1), source.refresh(1)] == [1, 2, 3, 4]
    assert source.many([1, 2]) == {1: 5, 2: 5}
    assert cache.set("k", 1) is False
    assert cache.add("k", 1) is False
    assert (cache.get("k"), cache.get_many(["k"]), cache.lookup("k")) == (None, {}, Miss("off"))
    assert asyncio.run(cache.aio.get("k", 0)) == 0
    assert (len(cache), "k" in cache, cache.scan(), cache.explain("k").reason) == (0, False, [], "off")
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.refused_fills) == (0, 4, 0, 0)


# -- a share of the keys


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_a_share_is_that_fraction_of_the_keys(share: float) -> None:
    """Of 10,000 keys that differ in a number only, within a tenth and a few."""
    taken = sum(not Rollout("on", share, 0.0).past(key) for key in KEYS)
    assert abs(taken - share * len(KEYS)) < share * len(KEYS) / 10 + 20


def test_a_larger_share_holds_the_keys_of_a_smaller() -> None:
    """So raising it throws nothing away; the same in a child, whose keys are the same texts."""
    small, large = ({key for key in KEYS if not Rollout("on", share, 0.0).past(key)} for share in (0.05, 0.25))
    assert small < large


def test_the_choice_is_the_same_in_every_process() -> None:
    """Python's own hash of text is another in each."""
    source = (
        "from hotset.core.rollout import Rollout; from hotset.entry.names import name_of\n"
        "print([n for n in range(200) if not Rollout('on', 0.1, 0.0).past(name_of(f'user:{n}'))],"
        " Rollout('on', 0.5, 0.0).past(name_of(b'binary')), Rollout('on', 0.5, 0.0).past(name_of('x' * 999)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", source], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "src"}, capture_output=True,
            text=True, check=True, timeout=30,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1
    assert len(told.pop().split()) > 10


def test_a_share_caches_its_keys_and_no_other() -> None:
    """Reads, writes, batches and cached functions of the others are as with the cache off."""
    cache = Cache(share=0.5)
    source = Source(cache, "user:{n}")
    inside = [n for n in range(40) if not Rollout("on", 0.5, 0.0).past(f"user:{n}")]
    outside = [n for n in range(40) if n not in inside]
    for n in range(40):
        source.load(n)
    again = {n: source.load(n) for n in range(40)}
    assert all(again[n] <= 40 for n in inside)
    assert all(again[n] > 40 for n in outside)
    before = source.calls
    batch = source.many(range(40))
    assert source.calls == before + 1  # one call for all that goes past the cache
    assert list(batch) == list(range(40))
    assert {n: batch[n] for n in inside} == {n: again[n] for n in inside}
    assert {batch[n] for n in outside} == {before + 1}
    one, other = f"user:{inside[0]}", f"user:{outside[0]}"
    assert (cache.set(one, "set"), cache.set(other, "set")) == (True, False)
    assert (cache.get(one), cache.get(other), cache.get(other, "none")) == ("set", None, "none")
    assert cache.get_many([one, other]) == {one: "set"}
    assert (isinstance(cache.lookup(one), Hit), cache.lookup(other)) == (True, Miss("share"))
    assert (one in cache, other in cache) == (True, False)
    assert sorted(cache.scan()) == sorted(f"user:{n}" for n in inside)
    cache._space.engine.check()


def test_a_cold_batch_of_both_kinds_is_one_call() -> None:
    """What is kept of it is what the share takes."""
    cache = Cache(share=0.5)
    source = Source(cache, "user:{n}")
    assert set(source.many(range(40)).values()) == {1}
    assert source.calls == 1
    assert len(cache) == sum(not Rollout("on", 0.5, 0.0).past(f"user:{n}") for n in range(40))
    assert cache.stats().refused_fills == 0


def test_disabled_goes_past_a_batch_without_a_refused_fill() -> None:
    """A batch in a `disabled()` block is loaded, told, and counted as no fill that was refused."""
    cache = Cache()
    told: list[Event] = []
    cache.on("loaded", told.append)
    with cache.disabled():
        assert cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1)) == {"a": 1, "b": 1}
        assert cache.get_or_load("c", lambda: 1) == 1
        with pytest.raises(ZeroDivisionError):
            cache.get_or_load_many(["a"], lambda keys: {"a": 1 // 0})
        assert cache.get_or_load_many(["a"], lambda keys: {}) == {}
    assert [(event.key, event.cause) for event in told] == [("a", "past"), ("b", "past"), ("c", "past")]
    assert (cache.stats().refused_fills, len(cache)) == (0, 0)
