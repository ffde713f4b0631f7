"""The link on its own: what it hears, in which order, and when it vouches for what it has registered (PROTOCOL 5.2)."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from hotset.config.redis import Redis
from hotset.ports import background
from hotset.ports.background import Job
from hotset.stores.base import Command, Reply
from hotset.stores.protocol import Epochs, Operation
from hotset.stores.redis import link as module
from hotset.stores.redis.link import Link
from hotset.stores.redis.operations import RedisOperations
from hotset.testing.store_suite import until
from tests.services.fixtures import OwnServer
from tests.services.proxy import Proxy
from tests.services.servers import Server

PATIENCE = 20.0
LONG = 600.0
"""A heartbeat that nobody waits for."""

Heard = tuple[str, Any]


class Ears:
    """Notes what a link says, in its order."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.fails: Exception | None = None

    def linked(self) -> None:
        """Note it."""
        self.heard.append(("linked", None))

    def changed(self, keys: Sequence[bytes] | None) -> None:
        """Note it, or fail once."""
        self.heard.append(("changed", keys))
        if self.fails is not None:
            error, self.fails = self.fails, None
            raise error

    def vouched(self, until: float) -> None:
        """Note it."""
        self.heard.append(("vouched", until))

    def lost(self) -> None:
        """Note it."""
        self.heard.append(("lost", None))

    def said(self, kind: str) -> list[Any]:
        """Return what was said of one kind."""
        return [what for heard, what in list(self.heard) if heard == kind]


class Linked:
    """A link, its ears, and a way to ask on it from a test."""

    def __init__(self, url: str, heartbeat: float = LONG) -> None:
        self.ears = Ears()
        self.link = Link(Redis(url), heartbeat, self.ears)
        self.steps = RedisOperations("room")
        self.job: Job = background.start(self.link.run)

    def up(self, times: int = 1) -> Linked:
        """Wait until it is linked, for the first time or again."""
        until(lambda: len(self.ears.said("linked")) == times)
        return self

    def send(self, operation: Operation[Any]) -> None:
        """Ask, and note the answer among what is heard."""
        self.job.soon(self.link.perform, operation, lambda answer: self.ears.heard.append(("answer", answer)))

    def ask(self, operation: Operation[Any]) -> Any:
        """Return the answer: what was heard before it has been noted."""
        so_far = len(self.ears.said("answer"))
        self.send(operation)
        until(lambda: len(self.ears.said("answer")) > so_far)
        return self.ears.said("answer")[so_far]

    def check(self, name: str) -> bytes | None:
        """Return what stands in the place of a mark."""
        answer: tuple[bytes, Epochs] | None = self.ask(self.steps.check(name, ()))
        return answer[0] if answer is not None else None

    def stop(self) -> None:
        """Be linked no longer."""
        self.job.stop()


Make = Callable[..., Linked]


@pytest.fixture
def linked() -> Iterator[Make]:
    """A function that makes links, which end with the test."""
    made: list[Linked] = []

    def make(url: str, heartbeat: float = LONG) -> Linked:
        made.append(Linked(url, heartbeat))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def raw(*args: str | bytes | int) -> Operation[Reply]:
    """Return a step of one command, its reply as it came."""
    return Operation(lambda _: [Command(args)], lambda _, replies: replies[0])


def value(mark: bytes) -> bytes:
    """Return a value with this in the place of its mark."""
    return b"hs\x01\x00" + mark


@contextmanager
def writing(server: Server, key: bytes) -> Iterator[None]:
    """Have two others write as fast as they can."""
    over = threading.Event()

    def write(writer: int) -> None:
        with server.wire() as wire:
            for number in count(writer, 2):
                if over.is_set():
                    return
                wire.ask("SET", key, value(number.to_bytes(8, "big")))

    writers = [threading.Thread(target=write, args=[at]) for at in range(2)]
    for each in writers:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in writers:
            each.join()


# -- the order


def test_a_change_is_heard_before_any_answer_that_shows_it(store_server: Server, linked: Make) -> None:
    """While others write as fast as they can: an answer of another mark than the last one comes behind the push."""
    link = linked(store_server.url).up()
    key = link.steps.names.entry("k")
    with writing(store_server, key):
        for rounds in range(1, 301):
            for _ in range(5):
                link.send(raw("GETRANGE", key, 4, 11))
            until(lambda rounds=rounds: len(link.ears.said("answer")) == 5 * rounds)  # type: ignore[misc]
    last, told, changes = None, True, 0
    for kind, what in link.ears.heard:
        if kind == "changed":
            told = told or key in what
        elif kind == "answer":
            if what != last:
                assert told
                changes += 1
            last, told = what, False
    assert changes > 30


def test_what_was_read_once_is_told_once(store_server: Server, linked: Make) -> None:
    """Reading again is registering again; an absent key, a lease and the epochs are registered as well."""
    link = linked(store_server.url).up()
    names = link.steps.names
    store_server.cli("SET", names.entry("k"), value(b"mark...1"))
    assert link.check("k") == b"mark...1"
    assert link.check("absent") == b""
    link.ask(raw("GET", names.side("k")))
    link.ask(link.steps.epochs(["t"]))
    changed = [names.entry("k"), names.entry("absent"), names.side("k"), names.gen, names.tag("t")]
    for key in changed:
        store_server.cli("SET", key, "1")
        store_server.cli("SET", key, "2")
    link.ask(raw("PING"))
    heard = [key for keys in link.ears.said("changed") for key in keys if key not in {names.seq, names.runs}]
    assert heard[-5:] == changed
    assert heard.count(names.entry("k")) == 1


def test_a_flush_is_a_change_of_anything(store_server: Server, linked: Make) -> None:
    """The server names no keys then."""
    link = linked(store_server.url).up()
    link.check("k")
    store_server.cli("FLUSHDB")
    link.ask(raw("PING"))
    assert link.ears.said("changed")[-1] is None


def test_a_step_that_the_server_refuses_is_answered_with_nothing(store_server: Server, linked: Make) -> None:
    """And the next ones are answered as ever, in order; one without a command is answered too."""
    link = linked(store_server.url).up()
    store_server.cli("RPUSH", link.steps.names.gen, 1)
    assert link.ask(link.steps.touch("k", b"12345678", 1.0, 0)) is False
    store_server.cli("CONFIG", "SET", "maxmemory", 1)
    assert link.ask(link.steps.touch("k", b"12345678", 1.0, 0)) is None
    assert link.ask(link.steps.unlink([])) == 0
    assert link.ask(raw("ECHO", "x")) == b"x"


# -- the permit


def test_the_first_word_on_a_link_is_a_ping(proxy: Proxy, linked: Make) -> None:
    """So what is asked when it comes up is answered under a permit, and can be kept."""
    link = linked(proxy.url)
    link.up()
    link.ask(raw("PING"))
    assert [kind for kind, _ in link.ears.heard] == ["linked", "vouched", "answer"]


def test_a_permit_runs_from_when_the_ping_was_sent(proxy: Proxy, linked: Make) -> None:
    """However late its answer: what it proves is that all from before the ping has been heard."""
    link = linked(proxy.url, heartbeat := 0.3).up()
    until(lambda: bool(link.ears.said("vouched")))
    proxy.stall("down")
    proxy.wait_until_held("down")  # the answer to a ping that was sent before now
    sent_before = time.monotonic()
    so_far = len(link.ears.said("vouched"))
    until(lambda: time.monotonic() > sent_before + 0.05)
    proxy.flow("down")
    until(lambda: len(link.ears.said("vouched")) > so_far)
    assert link.ears.said("vouched")[so_far] <= sent_before + heartbeat


def test_a_late_answer_restores_the_same_link(proxy: Proxy, linked: Make) -> None:
    """Its permit was over, nothing was lost: what it had registered is told still."""
    link = linked(proxy.url, 0.1).up()
    link.check("k")
    proxy.stall()
    until(lambda: time.monotonic() > link.ears.said("vouched")[-1])
    assert not link.ears.said("lost")
    proxy.server.cli("SET", link.steps.names.entry("k"), "1")
    proxy.flow()
    until(lambda: link.ears.said("vouched")[-1] > time.monotonic())
    kinds = [kind for kind, _ in link.ears.heard]
    assert kinds.count("linked") == 1
    assert "lost" not in kinds
    assert [link.steps.names.entry("k")] in link.ears.said("changed")


def test_no_permit_is_given_that_does_not_cover_what_was_told(proxy: Proxy, linked: Make) -> None:
    """Behind a stall every permit that runs beyond a change by more than a heartbeat comes after the news of it."""
    heartbeat = 0.15
    link = linked(proxy.url, heartbeat).up()
    key = link.steps.names.entry("k")
    for number in range(10):
        link.check("k")
        proxy.stall("down")
        proxy.server.cli("SET", key, str(number))
        changed = time.monotonic()
        proxy.wait_until_held("down", 30)
        seen = len(link.ears.heard)
        proxy.flow("down")
        until(lambda seen=seen: any(keys and key in keys for kind, keys in link.ears.heard[seen:] if kind == "changed"))  # type: ignore[misc]
        for kind, what in link.ears.heard[seen:]:
            if kind == "changed":
                break
            assert kind != "vouched" or what <= changed + heartbeat


def test_a_link_on_which_nobody_answers_is_given_up(proxy: Proxy, linked: Make) -> None:
    """After ten heartbeats; those who wait are told, and a new one is tried until it stands."""
    link = linked(proxy.url, 0.03).up()
    proxy.stall()
    link.send(raw("ECHO", "lost"))
    until(lambda: bool(link.ears.said("lost")))
    assert link.ears.said("answer") == [None]
    proxy.cut()
    proxy.flow()
    proxy.restore()
    link.up(2)
    assert link.ask(raw("ECHO", "again")) == b"again"


# -- the link breaks


def test_a_cut_is_known_at_once_and_the_next_link_has_registered_nothing(proxy: Proxy, linked: Make) -> None:
    """What was asked is answered with nothing, what is asked meanwhile too."""
    link = linked(proxy.url).up()
    link.check("k")
    proxy.stall("down")
    link.send(raw("ECHO", "lost"))
    proxy.wait_until_held("down")
    proxy.cut()
    until(lambda: bool(link.ears.said("lost")))
    assert link.ask(raw("PING")) is None
    assert link.ears.said("answer")[-2:] == [None, None]
    proxy.flow()
    proxy.restore()
    link.up(2)
    proxy.server.cli("SET", link.steps.names.entry("k"), "1")
    link.ask(raw("PING"))
    assert not any(link.steps.names.entry("k") in keys for keys in link.ears.said("changed"))
    kinds = [kind for kind, _ in link.ears.heard if kind in {"linked", "lost"}]
    assert kinds == ["linked", "lost", "linked"]


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_another_run_of_the_server_is_introduced_before_it_is_read(
    own_server: OwnServer, linked: Make, kind: Any
) -> None:
    """A restart from a snapshot has a new generation before the link learns any."""
    server = own_server(kind)
    link = linked(server.url).up()
    before: Epochs = link.ask(link.steps.epochs(()))
    server.snapshot()
    server.kill()
    until(lambda: bool(link.ears.said("lost")))
    server.start()
    link.up(2)
    assert server.cli("GET", link.steps.names.gen) == before.generation
    assert link.ask(link.steps.epochs(())).generation not in {before.generation, None}


def test_a_killed_connection_is_replaced(store_server: Server, linked: Make) -> None:
    """As when the server closes it for its buffer, or an operator does."""
    link = linked(store_server.url).up()
    store_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    link.up(2)
    assert len(link.ears.said("lost")) == 1


def test_a_listener_that_fails_costs_the_link_and_not_all_links(
    store_server: Server, linked: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told as lost, logged, and opened again."""
    link = linked(store_server.url).up()
    link.check("k")
    link.ears.fails = LookupError("a defect")
    store_server.cli("SET", link.steps.names.entry("k"), "1")
    link.up(2)
    assert link.ears.said("lost") == [None]
    assert "a defect" in caplog.text
    assert link.check("k") is not None


def test_what_a_server_does_not_answer_does_not_pile_up(
    proxy: Proxy, linked: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than so many steps are not sent; pings are."""
    monkeypatch.setattr(module, "_MOST", 50)
    link = linked(proxy.url).up()
    link.ask(raw("PING"))
    proxy.stall("down")
    for _ in range(60):
        link.send(raw("ECHO", "x"))
    until(lambda: len(link.ears.said("answer")) == 11)
    assert link.ears.said("answer")[1:] == [None] * 10
    proxy.flow("down")
    until(lambda: link.ears.said("answer")[11:] == [b"x"] * 50)


def test_a_link_that_is_stopped_vouches_for_nothing(store_server: Server, linked: Make) -> None:
    """Its listener is told that it is lost, and nothing more."""
    link = linked(store_server.url).up()
    link.stop()
    assert link.ears.heard[-1] == ("lost", None)
    before = len(link.ears.heard)
    store_server.cli("FLUSHALL")
    assert len(link.ears.heard) == before


def test_the_application_has_its_random_numbers_to_itself(proxy: Proxy, linked: Make) -> None:
    """However often a link is tried: who seeds `random` gets the numbers that the seed promises."""
    proxy.cut()
    state = random.getstate()
    link = linked(proxy.url)
    for _ in range(3):  # each of them after a pause of its own length
        until(lambda: link.link.error is not None)
        link.link.error = None
    assert random.getstate() == state
