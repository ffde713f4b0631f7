"""What stands under the store's keys may be anything, and memory may be full: no step fails for what others left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from hotset import Cache
from hotset.config.redis import Redis
from hotset.entry.wire import MAGIC, Record, pack
from hotset.errors import StoreRefused
from hotset.ports.sync import run_sync
from hotset.stores.protocol import Busy, Kept, Operation, Seen, Won
from hotset.stores.redis.names import Names, parse
from hotset.stores.redis.operations import RedisOperations
from hotset.stores.redis.sync import SyncClient
from hotset.testing.store_suite import HOUR, NAMES, NEVER, entry, perform, until
from tests.services.fixtures import OwnServer
from tests.services.servers import Server

T = TypeVar("T")


class Room:
    """One namespace of one server, asked by one client; `server.cli` is the way past it."""

    def __init__(self, server: Server, url: str | None = None) -> None:
        self.server = server
        self.client = SyncClient(Redis(url or server.url))
        self.steps = RedisOperations("room")
        self.names = self.steps.names
        self.k, self.side = self.names.entry("k"), self.names.side("k")

    def ask(self, operation: Operation[T]) -> T:
        """Perform it."""
        return perform(operation, lambda build: run_sync(self.client.run(build, 10)))

    def begin(self) -> bytes:
        """Return the generation."""
        generation = self.ask(self.steps.begin(())).generation
        assert generation is not None
        return generation

    def see(self) -> Seen:
        """Return what stands under "k"."""
        [seen], _ = self.ask(self.steps.look(["k"], ()))
        return seen

    def put(self, record: Record) -> Record:
        """Write under "k"."""
        assert self.ask(self.steps.put("k", record, HOUR, NEVER, None)) == "stored"
        return record


@pytest.fixture
def room(store_server: Server) -> Iterator[Room]:
    """A namespace on a server of each kind."""
    room = Room(store_server)
    yield room
    room.client.close()


STEPS: dict[str, Callable[[RedisOperations, bytes], Operation[Any]]] = {
    "look": lambda steps, gen: steps.look(["k"], ["t"]),
    "check": lambda steps, gen: steps.check("k", ["t"]),
    "epochs": lambda steps, gen: steps.epochs(["t"]),
    "begin": lambda steps, gen: steps.begin(["t"]),
    "lease": lambda steps, gen: steps.lease(["k"], [b""], b"12345678", gen, HOUR),
    "refresh": lambda steps, gen: steps.lease(["k"], [b"12345678"], b"12345678", gen, HOUR, refresh={"k"}),
    "swap": lambda steps, gen: steps.swap([("k", b"12345678", entry(gen), HOUR)], ["t"], begin=True),
    "put": lambda steps, gen: steps.put("k", entry(gen, version=1), HOUR, NEVER, None),
    "add": lambda steps, gen: steps.put("k", entry(gen), HOUR, NEVER, b""),
    "unlink": lambda steps, gen: steps.unlink(["k"]),
    "expire": lambda steps, gen: steps.expire(["k"]),
    "delete by tag": lambda steps, gen: steps.end_tags(["t"], gone=True),
    "expire by tag": lambda steps, gen: steps.end_tags(["t"], gone=False),
    "clear": lambda steps, gen: steps.clear(),
    "scan": lambda steps, gen: steps.scan(0),
    "touch": lambda steps, gen: steps.touch("k", b"12345678", HOUR, 0),
    "renew": lambda steps, gen: steps.renew(["k"], b"12345678", HOUR),
    "release": lambda steps, gen: steps.release(["k"], b"12345678"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_value_of_another_type_is_in_no_steps_way(room: Room, step: str) -> None:
    """Under every key that a step reads: it answers as if nothing stood there."""
    names = room.names
    for key in (room.k, room.side, names.gen, names.seq, names.runs, names.tag("t")):
        room.server.cli("FLUSHALL")
        generation = room.begin()
        if step == "refresh" and key != room.k:
            room.put(entry(generation, mark=b"12345678"))
        if step in {"renew", "release"} and key != room.k:
            room.ask(room.steps.lease(["k"], [b""], b"another.", generation, HOUR))
        room.server.cli("DEL", key)
        room.server.cli("RPUSH", key, "1")
        room.ask(STEPS[step](room.steps, generation))
        if step == "refresh" and key == room.side:
            assert room.server.cli("GETRANGE", key, 0, -1) == b"12345678" * 2
        if step in {"lease", "put", "add"}:
            assert room.see().record is not None
        if step in {"unlink", "expire"}:
            assert room.server.cli("EXISTS", room.k) == 0
        if step in {"begin", "swap"} and key != room.k:
            after = room.ask(room.steps.epochs(["t"]))
            assert None not in {after.generation, after.count, after.records["t"]}


@pytest.mark.parametrize(
    "count", [b"", b"x", b"1e15", b"-1", b"007", b"9223372036854775807", b"9007199254740992", b"1.5", b"9" * 5000]
)
def test_what_is_no_count_is_a_lost_count(room: Room, count: bytes) -> None:
    """A new one is made, in a new generation: an ending by tag finds one that it can raise."""
    steps: list[Operation[Any]] = [room.steps.begin(()), room.steps.end_tags(["t"], gone=True)]
    for step in steps:
        generation = room.begin()
        room.server.cli("SET", room.names.seq, count)
        room.ask(room.steps.epochs(["t"]))
        room.ask(step)
        after = room.ask(room.steps.epochs(["t"]))
        assert after.generation not in {generation, None}
        assert after.count is not None
        assert 10**15 < after.count < 2**52


@pytest.mark.parametrize("record", [b"", b"x", b"1", b"1 ", b" 1", b"1 x", b"-1 1", b"1 1 1", b"9" * 5000 + b" 1"])
def test_what_is_no_record_is_a_lost_record(room: Room, record: bytes) -> None:
    """Unknown, and made anew at the present count; an ending takes it for all that may have been."""
    generation, tag = room.begin(), room.names.tag("t")
    room.server.cli("SET", tag, record)
    assert room.ask(room.steps.epochs(["t"])).records == {"t": None}
    begun = room.ask(room.steps.begin(["t"]))
    assert begun.records == {"t": (begun.count, begun.count)}
    assert begun.generation == generation
    room.server.cli("SET", tag, record)
    room.ask(room.steps.end_tags(["t"], gone=False))
    ended = room.ask(room.steps.epochs(["t"]))
    assert ended.records == {"t": (ended.count, ended.count)}


def test_a_record_that_is_ahead_of_its_count_is_lost_too(room: Room) -> None:
    """It is of another life of the count, before the clock went back: else its tag would hide all for as long."""
    began = room.ask(room.steps.begin(()))
    assert began.count is not None
    for record in (f"{began.count} {began.count + 1}", f"{began.count + 1} {began.count}"):
        room.server.cli("SET", room.names.tag("t"), record)
        assert room.ask(room.steps.epochs(["t"])).records == {"t": None}
        assert room.ask(room.steps.begin(["t"])).records == {"t": (began.count, began.count)}


def test_counts_are_exact_to_their_end(room: Room) -> None:
    """Whole numbers in Lua are doubles: one more is one more, up to 2**53."""
    room.begin()
    room.server.cli("SET", room.names.seq, 2**53 - 3)
    room.ask(room.steps.end_tags(["t"], gone=True))
    room.ask(room.steps.end_tags(["t"], gone=False))
    assert room.ask(room.steps.epochs(["t"])).records == {"t": (2**53 - 2, 2**53 - 1)}


@pytest.mark.parametrize("mark", [bytes(8), b"\r\n$3\r\n\r\n", b"\xff" * 8, b"%s%d%%\\0"])
def test_marks_are_any_bytes(room: Room, mark: bytes) -> None:
    """Nothing in a mark, a generation or a value is a word to a script."""
    steps = room.steps
    room.server.cli("SET", room.names.gen, mark)
    assert room.ask(steps.lease(["k"], [b""], mark, mark, HOUR)) == [Won(mark)]
    busy = room.ask(steps.lease(["k"], [b"another."], b"another.", mark, HOUR))
    assert isinstance(busy[0], Busy)
    assert busy[0].holder == mark
    record = entry(mark, mark=mark[::-1], version=int.from_bytes(mark, "little"), body=mark)
    assert room.ask(steps.swap([("k", mark, record, HOUR)], (), begin=False))[0] == ["stored"]
    assert room.see().record == record
    assert room.ask(steps.lease(["k"], [record.mark], mark, mark, HOUR, refresh={"k"})) == [Won(record.mark)]
    room.ask(steps.release(["k"], mark))
    assert room.server.cli("EXISTS", room.side) == 0
    room.ask(steps.lease(["k"], [record.mark], mark, mark, HOUR, refresh={"k"}))
    assert room.ask(steps.swap([("k", record.mark, record, HOUR)], (), begin=False))[0] == ["stored"]
    assert room.server.cli("EXISTS", room.side) == 0
    assert room.ask(steps.touch("k", record.mark, HOUR, -1))


def test_a_lease_without_an_end_is_none(room: Room) -> None:
    """A holder always gives it one; if somebody took it away, nobody would ever come to load."""
    generation = room.begin()
    room.ask(room.steps.lease(["k"], [b""], b"12345678", generation, HOUR))
    room.server.cli("PERSIST", room.k)
    assert room.ask(room.steps.lease(["k"], [b""], b"another.", generation, HOUR)) == [Won(b"another.")]
    record = room.put(entry(generation))
    room.ask(room.steps.lease(["k"], [record.mark], b"12345678", generation, HOUR, refresh={"k"}))
    room.server.cli("PERSIST", room.side)
    again = room.steps.lease(["k"], [record.mark], b"another.", generation, HOUR, refresh={"k"})
    assert room.ask(again) == [Won(record.mark)]
    assert room.server.cli("PTTL", room.side) > 0


def test_lives_are_milliseconds_rounded_up(room: Room) -> None:
    """And never none: a life of a microsecond is an error to nobody."""
    generation = room.begin()
    for life, most in ((1e-9, 1), (0.0001, 1), (1.0005, 1001), (HOUR, 3_600_000)):
        assert room.ask(room.steps.put("k", entry(generation), life, NEVER, None)) == "stored"
        assert room.server.cli("PTTL", room.k) <= most
    assert room.server.cli("PTTL", room.k) > 3_590_000


# -- memory is full


@pytest.fixture(params=["redis", "valkey"])
def full(request: pytest.FixtureRequest, own_server: OwnServer) -> Iterator[Room]:
    """A namespace with an entry "k", on a server that takes nothing more."""
    server = own_server(request.param, config={"maxmemory-policy": "noeviction"})
    room = Room(server)
    room.put(entry(room.begin(), mark=b"12345678", tags=("t",)))
    room.ask(room.steps.begin(["t"]))
    for step in STEPS.values():  # so that the server has all scripts: a later run is no matter of loading one
        room.ask(step(RedisOperations("other"), b"12345678"))
    server.cli("CONFIG", "SET", "maxmemory", 1)
    yield room
    room.client.close()


@pytest.mark.parametrize("step", ["lease", "refresh", "swap", "put", "add", "touch"])
def test_what_would_grow_is_refused_where_memory_is_full(full: Room, step: str) -> None:
    """And says so; what stood there still stands there."""
    before = full.see()
    with pytest.raises(StoreRefused, match="OOM"):
        full.ask(STEPS[step](full.steps, b"12345678"))
    assert full.see() == before


def test_endings_work_where_memory_is_full(full: Room) -> None:
    """By key in place or not, by tag, of all; and what they need: the epochs, the leases."""
    before = full.ask(full.steps.begin(["t", "new"]))
    assert before.count is not None
    full.ask(full.steps.end_tags(["t"], gone=True))
    full.ask(full.steps.end_tags(["t"], gone=False))
    assert full.ask(full.steps.epochs(["t"])).records == {"t": (before.count + 1, before.count + 2)}
    assert full.ask(full.steps.expire(["k"])) == 1
    record = full.see().record
    assert record is not None
    assert record.ended
    full.ask(full.steps.renew(["k"], b"12345678", HOUR))
    full.ask(full.steps.release(["k"], b"12345678"))
    full.ask(full.steps.clear())
    assert full.ask(full.steps.epochs(())).generation not in {before.generation, None}
    assert full.ask(full.steps.unlink(["k"])) == 1


def test_what_is_not_modified_is_kept_where_memory_is_full(full: Room) -> None:
    """It takes none: a full server goes on to be told what is still good."""
    kept = Kept(b"87654321", 1, 2)
    assert full.ask(full.steps.swap([("k", b"12345678", kept, HOUR)], (), begin=False))[0] == ["stored"]
    assert full.see().mark == b"87654321"


def test_what_may_not_be_changed_in_place_expires_by_leaving(room: Room) -> None:
    """An ending may end too much, never too little: here the user may not run SETRANGE."""
    room.put(entry(room.begin()))
    room.server.cli("ACL", "SETUSER", "meek", "on", "nopass", "~*", "&*", "+@all", "-setrange")
    try:
        meek = Room(room.server, room.server.url.replace("//", "//meek:any@"))
        assert meek.ask(meek.steps.expire(["k"])) == 1
        assert room.see() == Seen(None, garbled=False)
        meek.client.close()
    finally:
        room.server.cli("ACL", "DELUSER", "meek")


# -- names


NAMESPACES = ("", "shop", "shop/child", "a%3Ab", "é→", "*", "x?[^a]\\", "%25", " ")


def test_keys_of_one_script_are_in_one_slot(own_server: OwnServer) -> None:
    """All epochs of a namespace; an entry and its refresh lease: whatever they are called."""
    server = own_server("redis", config={"cluster-enabled": "yes"})
    with server.wire() as wire:
        slots = []
        for namespace in NAMESPACES:
            names = Names(namespace)
            epochs = [names.gen, names.seq, names.runs, *(names.tag(str(tag)) for tag in NAMES)]
            slots.append({wire.ask("CLUSTER", "KEYSLOT", key) for key in epochs})
            for name in NAMES:
                keys = names.entry(name), names.side(name)
                assert len({wire.ask("CLUSTER", "KEYSLOT", key) for key in keys}) == 1
    assert [len(each) for each in slots] == [1] * len(NAMESPACES)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_key_tells_what_it_is(namespace: str) -> None:
    """What a link hears is understood: namespace, kind and name come back, and no two keys are the same."""
    names = Names(namespace)
    keys = {names.gen: "gen", names.seq: "seq", names.runs: "runs"}
    assert [parse(key) for key in keys] == [(namespace, kind, None) for kind in keys.values()]
    for name in NAMES:
        assert parse(names.entry(name)) == (namespace, "entry", name)
        assert parse(names.side(name)) == (namespace, "lease", name)
        assert parse(names.tag(str(name))) == (namespace, "tag", str(name))
    every = {
        *keys,
        *(of(name) for name in NAMES for of in (names.entry, names.side, lambda name: names.tag(str(name)))),
    }
    assert len(every) == 3 + 3 * len(NAMES)
    assert {parse(key)[0] for key in every} == {namespace}


@pytest.mark.parametrize(
    "key", [b"", b"k", b"hs1", b"hs1:", b"hs2:a:b", b"\xff", b"hs1:{a}:x", b"hs1:{a", b"{hs1:{a}:gen}:r", b"{k}:r"]
)
def test_what_is_no_key_of_ours_is_foreign(key: bytes) -> None:
    """The server tells of every key that a link has read, and others may name theirs as they like."""
    assert parse(key)[1] == "foreign"


# -- which server it is


def test_a_server_that_is_promoted_again_begins_a_new_generation(own_server: OwnServer) -> None:
    """It was known as a master before; what it missed since, when it failed, nobody can tell (row W16)."""
    first = own_server("redis")
    second = own_server("redis", replica_of=first)
    room = Room(first)
    generation = room.begin()
    second.cli("REPLICAOF", "NO", "ONE")
    first.cli("REPLICAOF", second.host, second.port)
    other = Room(second)
    changed = other.begin()
    assert changed != generation
    with first.wire() as wire:
        until(lambda: wire.ask("GET", room.names.gen) == changed)
        wire.ask("REPLICAOF", "NO", "ONE")
    again = Room(first)
    assert again.begin() not in {generation, changed}
    for each in (room, other, again):
        each.client.close()


# -- seen from the cache


@pytest.mark.parametrize("turn", [-1, 3, 24], ids=["body", "state", "instant"])
def test_a_reader_gets_past_bytes_that_are_no_entry(store_server: Server, turn: int) -> None:
    """It loads once and fills; so do `add` and a read of many: nothing there is "there" for them."""
    with Cache(store_server.url, namespace="room", ttl="1h") as cache:
        cache.set("other", 1)
        generation = store_server.cli("GET", Names("room").gen)
        garbage = bytearray(pack(entry(generation)))
        assert garbage.startswith(MAGIC)
        garbage[turn] ^= 0x80
        loads: list[str] = []

        def load(key: str) -> int:
            loads.append(key)
            return 7

        def spoil() -> None:
            store_server.cli("SET", Names("room").entry("k"), bytes(garbage))

        spoil()
        assert cache.get_or_load("k", lambda: load("k")) == 7
        assert cache.get("k") == 7
        spoil()
        assert cache.add("k", 8)
        spoil()
        assert cache.get_or_load_many(["k", "j"], lambda keys: dict.fromkeys(keys, 9)) == {"k": 9, "j": 9}
        assert loads == ["k"]
        assert cache.stats().garbled == 3
