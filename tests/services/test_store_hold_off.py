"""Hold-offs at the store: an ending notes, before it acts, until when the source may lag, and a lease is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotset.entry.wire import new_mark
from hotset.stores.protocol import Won
from hotset.stores.redis.operations import RedisOperations
from hotset.testing.store_suite import HOUR, entry
from tests.services.fixtures import OwnServer
from tests.services.servers import Server
from tests.services.test_store_scripts import Room


@pytest.fixture
def room(store_server: Server) -> Iterator[Room]:
    """A namespace on a server of each kind."""
    room = Room(store_server)
    yield room
    room.client.close()


@pytest.fixture(params=["redis", "valkey"])
def full(request: pytest.FixtureRequest, own_server: OwnServer) -> Iterator[Room]:
    """A namespace with an entry "k", on a server that takes nothing more."""
    room = Room(own_server(request.param, config={"maxmemory-policy": "noeviction"}))
    room.put(entry(room.begin(), tags=("t",)))
    room.server.cli("CONFIG", "SET", "maxmemory", 1)
    yield room
    room.client.close()


def test_a_hold_off_is_kept_where_memory_is_full(full: Room) -> None:
    """As the endings that it is of; each says by the store's clock until when, and the last one holds."""
    steps = RedisOperations("room", hold_off=HOUR)
    before = full.ask(full.steps.begin(())).time or 0
    full.ask(steps.unlink(["a"]))
    full.ask(steps.expire(["k"]))
    full.ask(steps.end_tags(["t"], gone=True))
    full.ask(steps.hold_all())
    told = full.ask(steps.holds(["t", "none"]))
    after = full.ask(full.steps.begin(())).time or 0
    assert told["none"] == 0
    hour = int(HOUR * 1_000_000)
    assert before + hour <= told["t"] <= told[""] <= after + hour
    assert full.ask(full.steps.holds(["t"])) == {}


@pytest.mark.parametrize("refresh", [True, False])
def test_a_lease_is_told_of_the_hold_off(room: Room, *, refresh: bool) -> None:
    """Of its own key, while it lasts; of an unlink that is no ending there is none, nor of somebody else's bytes."""
    steps, generation = RedisOperations("room", hold_off=HOUR), room.begin()

    def take() -> int:
        record = room.put(entry(generation)) if refresh else None
        seen = b"" if record is None else record.mark
        [won] = room.ask(steps.lease(["k"], [seen], new_mark(), generation, HOUR, refresh={"k"} if refresh else ()))
        assert isinstance(won, Won)
        room.ask(room.steps.unlink(["k"]))
        return won.until

    now = room.ask(room.steps.begin(())).time or 0
    assert take() == 0
    room.ask(steps.unlink(["k"], hold=False))
    assert take() == 0
    room.ask(steps.unlink(["another"]))
    assert take() == 0
    room.ask(steps.unlink(["k"]))
    assert take() >= now + HOUR * 1_000_000
    held = b"{%b}:h" % room.k
    assert 0 < room.server.cli("PTTL", held) <= HOUR * 1_000
    for spoilt in ("SET", "RPUSH"):
        room.server.cli("DEL", held)
        room.server.cli(spoilt, held, "soon")
        assert take() == 0
