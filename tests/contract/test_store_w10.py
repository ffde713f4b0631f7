"""Row W10: what orders entries is lost, evicted or replaced at the server. It may hide entries, never revive one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Fleet, keep, linked, settle
from tests.services.fixtures import OwnServer
from tests.services.servers import Server

pytestmark = pytest.mark.usefixtures("patient")
KEY = "user:7"
ENTRY = "hs1:shop:user:7"
GEN, SEQ, RUNS, TAG = (f"hs1:{{shop}}:{name}" for name in ("gen", "seq", "runs", "t:users"))
TAGS = ["users"]

Loss = Callable[[Server, str], object]
losses: dict[str, Loss] = {
    "deleted": lambda server, key: server.cli("DEL", key),
    "a list": lambda server, key: (server.cli("DEL", key), server.cli("RPUSH", key, 1)),
    "empty": lambda server, key: server.cli("SET", key, ""),
    "a word": lambda server, key: server.cli("SET", key, "x"),
    "a float": lambda server, key: server.cli("SET", key, "1e3"),
    "below zero": lambda server, key: server.cli("SET", key, "-5"),
    "too long": lambda server, key: server.cli("SET", key, "9" * 30),
    "no text": lambda server, key: server.cli("SET", key, b"\xff\x00" * 40),
    "expired": lambda server, key: server.cli("PEXPIRE", key, 0),
}
more = {kind: losses[kind] for kind in ("deleted", "a list", "a word", "a float", "too long")}
more_losses = pytest.mark.parametrize("lose", more.values(), ids=more.keys())
some_losses = pytest.mark.parametrize("lose", [losses[kind] for kind in ("deleted", "a list", "a word", "too long")])
each_epoch = pytest.mark.parametrize("epoch", [GEN, SEQ, RUNS, TAG], ids=["gen", "seq", "runs", "tag"])
ends: dict[str, Callable[[Cache], object]] = {
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "clear": lambda cache: cache.clear(),
}


@pytest.fixture
def server(store_server: Server) -> Server:
    """The server of the fleet."""
    return store_server


@more_losses
@each_epoch
@pytest.mark.parametrize("end", [ends["delete by tag"], ends["clear"]], ids=["tag", "clear"])
def test_w10_what_has_ended_stays_ended_when_an_epoch_is_lost(
    fleet: Fleet, server: Server, lose: Loss, epoch: str, end: Callable[[Cache], object]
) -> None:
    """The entry's bytes still stand in the store; who lost the record of their ending does not serve them."""
    cache, other = fleet.cache(), fleet.cache()
    cache.set(KEY, 1, tags=TAGS)
    assert other.get(KEY) == 1
    end(cache)
    lose(server, epoch)
    settle(other)
    fresh = fleet.cache()
    for each in cache, other, fresh:
        assert each.get(KEY) is None
    assert fresh.get_or_load(KEY, lambda: 2, tags=TAGS) == 2
    for each in cache, other, fresh:
        assert each.get_or_load(KEY, lambda: 2, tags=TAGS) == 2


@more_losses
@each_epoch
@pytest.mark.parametrize("end", ends.values(), ids=ends.keys())
def test_w10_an_ending_ends_though_an_epoch_was_lost_before_it(
    fleet: Fleet, server: Server, lose: Loss, epoch: str, end: Callable[[Cache], object]
) -> None:
    """A counter that begins again would order later endings before older loads: the generation changes with it."""
    cache, other = fleet.cache(), fleet.cache()
    cache.set(KEY, 1, tags=TAGS)
    lose(server, epoch)
    end(other)
    assert [each.get(KEY) for each in (other, fleet.cache())] == [None, None]
    wait_until(lambda: cache.get(KEY) is None)  # its copy near lasts until the message (row W4)
    cache.set(KEY, 2, tags=TAGS)
    assert [each.get(KEY) for each in (cache, other, fleet.cache())] == [2, 2, 2], "and it is in use again"


@some_losses
@each_epoch
def test_w10_a_load_in_flight_is_not_revived_by_a_lost_epoch(
    fleet: Fleet, server: Server, source: Source, readers: Readers, lose: Loss, epoch: str
) -> None:
    """Ended by its tag, the record lost, and made anew by somebody else before the fill is proven."""
    loads, other = fleet.cache(), fleet.cache()
    old = readers.start("thread", loads, KEY, source, tags=TAGS)
    assert source.begun.wait(PATIENCE)
    source.version = 2
    other.delete(tags=TAGS)
    lose(server, epoch)
    other.set("another", 1, tags=TAGS)
    source.release()
    assert old.result(PATIENCE) == 1
    assert [each.get(KEY) for each in (loads, other)] == [None, None]
    assert other.get_or_load(KEY, source.load, tags=TAGS) == 2


@some_losses
@each_epoch
def test_w10_copies_near_prove_themselves_when_an_epoch_is_lost(
    fleet: Fleet, server: Server, lose: Loss, epoch: str
) -> None:
    """What they were judged by is unknown now; ended behind it, they are not served."""
    reader, ender = fleet.cache(), fleet.cache()
    ender.set(KEY, 1, tags=TAGS)
    keep(reader, KEY)
    lose(server, epoch)
    ender.delete(tags=TAGS)
    settle(reader)
    assert reader.get(KEY) is None


@pytest.mark.parametrize(
    "epochs", [(GEN, SEQ), (SEQ, TAG), (GEN, SEQ, RUNS, TAG)], ids=["gen and seq", "seq and tag", "all"]
)
def test_w10_several_epochs_are_lost_at_once(fleet: Fleet, server: Server, epochs: tuple[str, ...]) -> None:
    """As by FLUSHDB with an entry that was written back by somebody's restore."""
    cache = fleet.cache()
    cache.set(KEY, 1, tags=TAGS)
    kept = server.cli("DUMP", ENTRY)
    cache.delete(KEY)
    cache.delete(tags=TAGS)
    server.cli("DEL", *epochs)
    server.cli("RESTORE", ENTRY, 0, kept)
    both = cache, fleet.cache()
    assert [each.get(KEY) for each in both] == [None, None]
    assert [each.get_or_load(KEY, lambda: 2, tags=TAGS) for each in both] == [2, 2]


garbage: dict[str, Loss] = {
    **losses,
    "longer": lambda server, key: server.cli("APPEND", key, "x"),
    "of another layout": lambda server, key: server.cli("SETRANGE", key, 2, b"\x02"),
    "another body": lambda server, key: server.cli("SETRANGE", key, -1 + server.cli("STRLEN", key), b"\x07"),
    "a header alone": lambda server, key: server.cli("SET", key, server.cli("GETRANGE", key, 0, 83)),
}


@pytest.mark.parametrize("spoil", garbage.values(), ids=garbage.keys())
@pytest.mark.parametrize("kind", ["thread", "task"])
def test_w10_what_is_no_entry_any_more_is_a_miss_that_can_be_filled(
    fleet: Fleet, server: Server, source: Source, readers: Readers, spoil: Loss, kind: str
) -> None:
    """Bytes that do not parse, under a name of ours: nobody fails or waits for ever, the next load replaces them."""
    fleet.cache().set(KEY, 0, tags=TAGS)
    spoil(server, ENTRY)
    cache, other = fleet.cache(lease_timeout="300ms"), fleet.cache()
    source.release()
    assert other.get(KEY) is None
    assert readers.start(kind, cache, KEY, source).result(PATIENCE) == 1
    assert other.get(KEY) == 1
    assert source.loads == 1


@pytest.mark.parametrize("spoil", garbage.values(), ids=garbage.keys())
def test_w10_what_is_no_entry_any_more_can_be_written_and_ended(fleet: Fleet, server: Server, spoil: Loss) -> None:
    """By each verb."""
    cache = fleet.cache()
    verbs: list[tuple[Callable[[], object], int | None]] = [
        (lambda: cache.add(KEY, 1), 1),
        (lambda: cache.set(KEY, 1), 1),
        (lambda: cache.delete(KEY), None),
        (lambda: cache.expire(KEY), None),
        (lambda: cache.delete(match="user:*"), None),
    ]
    for act, left in verbs:
        cache.set(KEY, 0)
        spoil(server, ENTRY)
        act()
        assert cache.get(KEY) == left
        assert fleet.cache().get(KEY) == left


@some_losses
def test_w10_a_lease_that_is_lost_refuses_the_fill(
    fleet: Fleet, server: Server, source: Source, readers: Readers, lose: Loss
) -> None:
    """Evicted or replaced: the load is answered, and leaves alone what stands there now."""
    cache = fleet.cache()
    old = readers.start("thread", cache, KEY, source)
    assert source.begun.wait(PATIENCE)
    lose(server, ENTRY)
    source.release()
    assert old.result(PATIENCE) == 1
    assert fleet.cache().get(KEY) is None


def test_w10_under_eviction_nothing_that_has_ended_comes_back(own_server: OwnServer) -> None:
    """A server without room lets go whatever it likes, epochs among it; reads, writes and endings go on."""
    server = own_server("redis", config={"maxmemory-policy": "allkeys-random", "maxmemory-clients": 0})
    fleet = Fleet(server.url)
    try:
        cache, other = linked(fleet.cache()), linked(fleet.cache())
        server.cli("CONFIG", "SET", "maxmemory", int(server.info("memory")["used_memory"]) + 40_000)
        newest: dict[str, tuple[int, str]] = {}
        for at in range(600):
            key, tag = f"key{at % 40}", f"tag{at % 7}"
            if at % 11 == 10:
                other.delete(tags=[tag])
                newest = {name: (value, its) for name, (value, its) in newest.items() if its != tag}
                settle(cache)
            found = cache.get(key)
            assert found is None or found[0] == newest[key][0]
            value, _ = cache.get_or_load(key, lambda at=at: [at, "x" * 4_000], tags=[tag])
            if value == at:
                newest[key] = at, tag
        assert int(server.info("stats")["evicted_keys"]) > 100
    finally:
        fleet.close()
