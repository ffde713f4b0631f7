"""Rows W8 and W9 over a store: messages that come late, twice and in another order; clocks that are far apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hotset import Hit, LoadTimeout
from tests.contract.conftest import wait_until
from tests.contract.fleet import Fleet, Link, Peer, is_push, keep, linked, settle
from tests.contract.ways import Way, each_way
from tests.services.fixtures import need
from tests.services.servers import Server

pytestmark = pytest.mark.usefixtures("patient")
KEY = "user:7"
TAGS = ["users"]

# ------------------------------------------------------------------------------------------------------------------ W8

key = st.sampled_from(["a", "b", "c"])
step = st.one_of(
    st.tuples(st.sampled_from(["set", "set", "delete", "read", "read", "read", "load", "own delete"]), key),
    st.tuples(st.sampled_from(["tag", "own tag", "clear", "swap", "hear", "hear", "hear", "hear all"]), st.just("")),
    st.tuples(st.just("again"), st.integers(0, 9)),
)


class Disorder:
    """A reader whose messages are late, doubled and reordered, a writer, and what the reader may answer."""

    def __init__(self, fleet: Fleet) -> None:
        self.reader, self.writer = linked(fleet.cache()), fleet.cache()
        self.link = Link(self.reader)
        self.heard: deque[Any] = deque(maxlen=10)
        self.values = count(1)
        self.written = 0
        self.examples = count()

    def begin(self) -> None:
        """Begin with other keys."""
        self.prefix = f"{next(self.examples)}:"
        self.floor = dict.fromkeys("abc", 0)
        self.link.hold()

    def check(self, key: str, value: int | None) -> None:
        """What was ended here is not answered here, whatever was heard."""
        assert value is None or value > self.floor[key]

    def do(self, verb: str, of: Any) -> None:
        """Take one step."""
        act = getattr(self, verb.replace(" ", "_"))
        act(of) if of != "" else act()

    def name(self, key: str) -> str:
        """Return the key of this example."""
        return f"{self.prefix}{key}"

    def set(self, key: str) -> None:
        """Write there."""
        self.written = next(self.values)
        self.writer.set(self.name(key), self.written, tags=[self.prefix])

    def delete(self, key: str) -> None:
        """Delete there."""
        self.writer.delete(self.name(key))

    def tag(self) -> None:
        """End the tag of all there."""
        self.writer.delete(tags=[self.prefix])

    def clear(self) -> None:
        """End all there."""
        self.writer.clear()

    def read(self, key: str) -> None:
        """Read here."""
        self.check(key, self.reader.get(self.name(key)))

    def load(self, key: str) -> None:
        """Read or load here."""
        self.written = next(self.values)
        self.check(key, self.reader.get_or_load(self.name(key), lambda: self.written, tags=[self.prefix]))

    def own_delete(self, key: str) -> None:
        """Delete here: nothing from before is answered here any more."""
        self.reader.delete(self.name(key))
        self.floor[key] = self.written

    def own_tag(self) -> None:
        """End the tag of all here."""
        self.reader.delete(tags=[self.prefix])
        self.floor = dict.fromkeys("abc", self.written)

    def swap(self) -> None:
        """Two messages that lie side by side change places."""
        held = self.link.held
        for at in range(len(held) - 1):
            if is_push(held[at]) and is_push(held[at + 1]):
                held[at], held[at + 1] = held[at + 1], held[at]

    def again(self, number: int) -> None:
        """One that was heard is heard again."""
        if self.heard:
            self.link.run(self.link._hear, self.heard[number % len(self.heard)])

    def hear(self) -> None:
        """Hear one."""
        if self.link.held:
            if is_push(self.link.held[0]):
                self.heard.append(self.link.held[0])
            self.link.hear()

    def hear_all(self) -> None:
        """Hear all that there is."""
        for _ in range(len(self.link.held)):
            self.hear()

    def end(self) -> None:
        """Once everything was heard the reader answers what the store holds."""
        self.link.flow()
        settle(self.reader)
        for key in "abc":
            name = f"{self.prefix}{key}"
            assert self.reader.get(name) == self.writer._space.table.beyond(name, None, None)  # type: ignore[attr-defined]


@pytest.fixture
def disorder(fleet: Fleet) -> Disorder:
    """A reader in disorder."""
    return Disorder(fleet)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(step, min_size=8, max_size=25))
def test_w8_messages_that_are_late_doubled_or_reordered_revive_nothing(
    disorder: Disorder, steps: list[tuple[str, Any]]
) -> None:
    """They say only what to forget: at worst something is read once more."""
    disorder.begin()
    for verb, key in steps:
        disorder.do(verb, key)
    disorder.end()


def test_w8_a_message_heard_twice_costs_a_read(fleet: Fleet) -> None:
    """The copy is dropped, though it is the newest; the store still has it."""
    reader, writer = fleet.cache(), fleet.cache()
    writer.set(KEY, 1)
    keep(reader, KEY)
    link = Link(reader)
    for message in [[b"hs1:shop:user:7"]], [[b"hs1:shop:user:7", b"hs1:shop:user:7"]], [None]:
        link.run(link.near.changed, *message)
        assert KEY not in reader
        assert keep(reader, KEY) == 1


def test_w8_what_the_server_says_of_all_keys_is_heard(fleet: Fleet, store_server: Server) -> None:
    """FLUSHDB, of another db too: every copy proves itself again, and what is gone is gone."""
    reader, writer = fleet.cache(), fleet.cache()
    writer.set(KEY, 1)
    keep(reader, KEY)
    with store_server.wire() as wire:
        wire.ask("SELECT", 9)
        wire.ask("FLUSHDB")
    settle(reader)
    assert KEY not in reader
    assert keep(reader, KEY) == 1
    store_server.cli("FLUSHDB")
    settle(reader)
    assert reader.get(KEY) is None


# ------------------------------------------------------------------------------------------------------------------ W9

APART = 900.0


@dataclass(frozen=True)
class Apart:
    """Two processes whose clocks, of all kinds, are half an hour apart; the server's lies between them."""

    fleet: Fleet
    loads: Peer
    ends: Peer

    @property
    def both(self) -> tuple[Peer, Peer]:
        """The two."""
        return self.loads, self.ends


@pytest.fixture(scope="module", params=[("redis", APART), ("valkey", -APART)], ids=["loads ahead", "ends ahead"])
def apart(request: pytest.FixtureRequest) -> Iterator[Apart]:
    """Two processes; each test has keys and tags of its own."""
    kind, skew = request.param
    need(kind)
    with Server(kind) as server:
        fleet = Fleet(server.url)
        yield Apart(fleet, fleet.peer(skew=skew), fleet.peer(skew=-skew))
        fleet.close()


def test_w9_a_load_that_began_before_its_tag_ended_is_hidden(apart: Apart) -> None:
    """Whatever the clocks say of the two."""
    apart.loads.begin_load("before", 1, tags=["a"])
    apart.ends.ask("delete", tags=["a"])
    assert apart.loads.end_load() == 1
    assert [each.ask("get", "before") for each in apart.both] == [None, None]
    assert apart.fleet.cache().get("before") is None


def test_w9_a_load_that_began_after_its_tag_ended_is_not_hidden(apart: Apart) -> None:
    """The other way round: an ending hides what is older by count, and nothing else."""
    apart.ends.ask("delete", tags=["b"])
    apart.loads.begin_load("after", 1, tags=["b"])
    assert apart.loads.end_load() == 1
    assert [each.ask("get", "after") for each in apart.both] == [1, 1]
    assert apart.fleet.cache().get("after") == 1


def test_w9_what_is_written_and_ended_in_turns_is_there_and_gone_in_turns(apart: Apart) -> None:
    """By key, by tag, by clear, in processes that disagree about the time; copies near included."""
    here = linked(apart.fleet.cache())
    for value in range(6):
        assert apart.loads.ask("set", KEY, value, tags=TAGS)
        assert apart.ends.ask("get", KEY) == value
        assert keep(here, KEY) == value
        if value % 3 == 0:
            apart.ends.ask("delete", tags=TAGS)
        elif value % 3 == 1:
            apart.ends.ask("delete", KEY)
        else:
            apart.ends.ask("clear")
        wait_until(lambda: apart.loads.ask("get", KEY) is None)  # it may hold a copy near (row W4)
        wait_until(lambda: KEY not in here)
        assert here.get(KEY) is None


endings: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "delete": ("delete", [KEY], {}),
    "expire": ("expire", [KEY], {}),
    "delete by tag": ("delete", [], {"tags": TAGS}),
    "expire by tag": ("expire", [], {"tags": TAGS}),
    "clear": ("clear", [], {}),
}


@pytest.mark.parametrize("end", endings.values(), ids=endings.keys())
@each_way
def test_w9_a_load_behind_its_reader_that_an_ending_has_overtaken_is_not_stored(
    apart: Apart, way: Way, end: tuple[str, list[str], dict[str, Any]]
) -> None:
    """Whatever the clocks say: a refresh, a revalidation and a load that timed out are ordered as one waited for is."""
    verb, keys, how = end
    here = apart.fleet.cache()
    apart.ends.ask("clear")
    if way.stands:
        apart.ends.ask("set", KEY, 0, **way.stands, tags=TAGS)
        wait_until(lambda: isinstance(found := here.lookup(KEY), Hit) and found.age > 0.02)
    apart.loads.ask("begin", KEY, 1, behind=way.gets is not None, **way.asks, tags=TAGS)
    apart.ends.ask(verb, *keys, **how)
    answer, outcome = apart.loads.ask("land")
    assert answer == {None: 1, 0: 0, LoadTimeout: "late"}[way.gets]
    assert outcome in {"refused", "hidden"}
    assert [each.ask("get", KEY) for each in apart.both] == [None, None]
    assert here.get(KEY) is None


def test_w9_an_entry_is_as_old_and_lives_as_long_everywhere(apart: Apart) -> None:
    """Ages and lives are durations, by the store's clock: nobody's is half an hour longer or shorter."""
    apart.loads.ask("set", "aged", 1, ttl="10m")
    for each in apart.both:
        value, _, age, left = each.ask("look", "aged")
        assert value == 1
        assert -1 < age < 20
        assert 580 < left <= 601
    found = apart.fleet.cache().lookup("aged")
    assert found
    assert 580 < found.ttl_left <= 601


def test_w9_copies_near_go_with_the_message_in_a_process_with_another_clock(apart: Apart) -> None:
    """Two clocks never meet in a permit either."""
    apart.fleet.cache().set("near", 1)
    for reads, ends in apart.both, apart.both[::-1]:
        apart.fleet.cache().set("near", 1)
        wait_until(lambda reads=reads: reads.ask("get", "near") == 1 and reads.ask("holds", "near"))  # type: ignore[misc]
        ends.ask("delete", "near")
        wait_until(lambda reads=reads: not reads.ask("holds", "near"))  # type: ignore[misc]
        assert reads.ask("get", "near") is None


@pytest.mark.parametrize("seconds", [-APART, -0.5, 0.5, APART])
def test_w9_a_clock_of_the_store_that_was_set_keeps_nobody_from_writing(fleet: Fleet, seconds: float) -> None:
    """What a process thinks the store's time to be is wrong from then on: it is told once, and its writes go on."""
    cache, other = fleet.cache(), fleet.cache()
    assert cache.set(KEY, 1)
    store = cache._space.store
    assert store is not None
    told, at = store._clock
    store._clock = told + int(seconds * 1e6), at
    for value in 2, 3:
        assert cache.set(KEY, value)
        assert other.get(KEY) == value
