"""What stands under our keys and is none of ours: random bytes, damaged entries, other types. All misses, no more."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from hotset import Cache
from hotset.entry import wire
from tests.services.servers import Server
from tests.services.wire import Wire

VALUES = 20_000
PAGE = 1_000


def _names(count: int) -> list[str]:
    return [f"k:{number}" for number in range(count)]


def _flipped(entry: bytes, rng: random.Random) -> bytes:
    """An entry with one to three bits changed, but for the three places that scripts set and no sum covers."""
    unsummed = {wire.STATE, *range(wire.MARK, wire.MARK_END + 1), *range(wire.BEGAN_AT, wire.SOFT_END + 1)}
    damaged = bytearray(entry)
    places = [place for place in range(len(entry)) if place not in unsummed]
    for place in rng.sample(places, rng.randint(1, 3)):
        damaged[place] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _damaged(entry: bytes, rng: random.Random) -> bytes:
    way = rng.randrange(5)
    if way == 0:
        return rng.randbytes(rng.randrange(200))
    if way == 1:
        return entry[: rng.randrange(len(entry))]
    if way == 2:
        return entry + rng.randbytes(rng.randint(1, 20))
    if way == 3:  # looks like ours to who only looks at the first bytes
        return entry[:2] + rng.randbytes(rng.randrange(200))
    return _flipped(entry, rng)


def _entries(server: Server, names: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """The keys and bytes under which a cache has stored these names."""
    with server.wire() as asked:
        for name in names:
            key = f"hs1::{name}".encode()
            yield key, asked.ask("GET", key)


def _all(cache: Cache, names: list[str]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for at in range(0, len(names), PAGE):
        found.update(cache.get_many(names[at : at + PAGE]))
    return found


def _send(asked: Wire, commands: list[tuple[bytes | str, ...]]) -> None:
    for at in range(0, len(commands), PAGE):
        page = commands[at : at + PAGE]
        asked.send_all(page)  # type: ignore[arg-type]  # a list is invariant
        for _ in page:
            asked.reply()


def test_20_000_damaged_values_are_misses_and_a_load_repairs_each(server: Server) -> None:
    """Random, truncated, prolonged and bit-flipped bytes: each is counted, none is served, none raises."""
    rng, names = random.Random(7), _names(VALUES)
    with Cache(server.url, ttl="1h") as cache:
        cache.set("model", {"user": 7, "name": "Ada", "tags": ["a", "b"]}, tags=["users"])
        ((_, entry),) = _entries(server, ["model"])
        with server.wire() as asked:
            _send(asked, [("SET", f"hs1::{name}", _damaged(entry, rng)) for name in names])
        assert _all(cache, names) == {}
        assert cache.stats().garbled == VALUES
        for at in range(0, VALUES, PAGE):
            page = names[at : at + PAGE]
            loaded = cache.get_or_load_many(page, lambda keys: dict.fromkeys(keys, 1))
            assert loaded == dict.fromkeys(page, 1)
        assert _all(cache, names) == dict.fromkeys(names, 1)
        assert cache.stats().garbled <= 2 * VALUES


@pytest.mark.parametrize("tier", ["memory://", None])
def test_each_way_of_damage_is_repaired_by_one_load(server: Server, tier: str | None) -> None:
    """One key at a time, as most readers come: the loader runs once, and what it returned is served from then on."""
    rng, names = random.Random(8), _names(300)
    tiers = [tier] if tier else []
    with Cache(server.url, ttl="1h") as cache:
        cache.set("model", "a value", tags=["users"])
        ((_, entry),) = _entries(server, ["model"])
    with server.wire() as asked:
        _send(asked, [("SET", f"hs1::{name}", _damaged(entry, rng)) for name in names])
    with Cache(*tiers, server.url, ttl="1h") as cache:
        loads = 0

        def load() -> str:
            nonlocal loads
            loads += 1
            return "loaded"

        for name in names:
            assert cache.get_or_load(name, load) == "loaded"
            assert cache.get_or_load(name, load) == "loaded"
        assert loads == len(names)


@pytest.mark.parametrize(
    "command",
    [("RPUSH", "a"), ("HSET", "f", "v"), ("SADD", "a"), ("ZADD", "1", "a"), ("XADD", "*", "f", "v"), ("PFADD", "a")],
    ids=lambda command: command[0],
)
def test_other_types_in_the_place_of_an_entry_are_misses_and_are_repaired(
    server: Server, command: tuple[str, ...]
) -> None:
    """For each way in which a key is used: read, loaded, looked up, added, touched, expired, deleted."""
    word, *rest = command
    with Cache("memory://", server.url, ttl="1h") as cache, server.wire() as asked:

        def spoil(name: str) -> str:
            asked.ask("UNLINK", f"hs1::{name}")
            asked.ask(word, f"hs1::{name}", *rest)
            return name

        assert cache.get(spoil("k")) is None
        assert not cache.lookup("k")
        assert cache.get_many(["k"]) == {}
        assert cache.touch("k", 60) is False
        assert cache.get_or_load("k", lambda: 1) == 1
        assert cache.stats().garbled > 0
        assert cache.get_or_load_many([spoil("l")], lambda keys: dict.fromkeys(keys, 2)) == {"l": 2}
        assert cache.set(spoil("m"), 3)
        assert cache.get("m") == 3
        assert cache.add(spoil("n"), 4)
        assert cache.get("n") == 4
        assert cache.delete(spoil("o")) == 1
        cache.expire(spoil("p"))
        assert asked.ask("EXISTS", "hs1::o", "hs1::p") == 0
        cache.delete(match=f"{spoil('q')}*")
        assert asked.ask("EXISTS", "hs1::q") == 0


@pytest.mark.parametrize("place", ["gen", "seq", "runs", "t:users"])
@pytest.mark.parametrize("garbage", [("SET", "x"), ("RPUSH", "a"), ("HSET", "f", "v")], ids=lambda words: words[0])
def test_garbage_in_the_place_of_an_epoch_hides_and_is_repaired(
    server: Server, place: str, garbage: tuple[str, ...]
) -> None:
    """Nothing is served that may have ended; a load makes the epochs anew; endings by tag work from then on."""
    key = f"hs1:{{%}}:{place}"
    word, *rest = garbage
    with Cache(server.url, ttl="1h") as cache, server.wire() as asked:
        cache.set("k", 1, tags=["users"])
        asked.ask("UNLINK", key)
        asked.ask(word, key, *rest)
        cache.get("k")
        assert cache.get_or_load("k", lambda: 2, tags=["users"]) in ({1, 2} if place in {"runs", "seq"} else {2})
        cache.delete("k")
        assert cache.get_or_load("k", lambda: 3, tags=["users"]) == 3
        assert cache.get_or_load("k", lambda: 4, tags=["users"]) == 3
        asked.ask("UNLINK", key)
        asked.ask(word, key, *rest)
        cache.delete(tags=["users"])
        assert cache.get_or_load("k", lambda: 5, tags=["users"]) == 5
        assert cache.get_or_load("k", lambda: 6, tags=["users"]) == 5


def test_a_bit_that_scripts_may_set_never_brings_a_wrong_value_or_a_wait(server: Server) -> None:
    """State, mark and soft expiry are in no sum: whatever they are changed to, a reader has the value or loads it."""
    places = [wire.STATE, *range(wire.MARK, wire.MARK_END + 1), *range(wire.BEGAN_AT, wire.SOFT_END + 1)]
    flips = [(place, bit) for place in places for bit in range(8)]
    with Cache(server.url, ttl="1h") as cache, server.wire() as asked:
        for place, bit in flips:
            name = f"k:{place}:{bit}"
            cache.set(name, "right")
            ((key, entry),) = _entries(server, [name])
            damaged = bytearray(entry)
            damaged[place] ^= 1 << bit
            asked.ask("SET", key, bytes(damaged), "PX", 3_600_000)
            assert cache.get_or_load(name, lambda: "right") == "right"
