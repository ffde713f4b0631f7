"""The store goes and returns: what this process still owes it, what it kept meanwhile, and who it is that returns."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hotset.core import change
from hotset.core.space import Space
from hotset.core.store import PING, Store
from hotset.entry.epochs import Epochs, Verdict
from hotset.entry.known import Copy, Vouched
from hotset.ports import background
from hotset.stores.protocol import Operation
from hotset.stores.redis.operations import RedisOperations
from tests.contract.conftest import wait_until
from tests.contract.orders import breaks
from tests.contract.orders.stage import BLIND_TTL, Member, Stage, Violation
from tests.services.fixtures import OwnServer
from tests.services.proxy import Proxy
from tests.services.servers import Server

IN_TIME = change._IN_TIME
"""As it is: the stage makes it long."""


def trusted(process: Member) -> bool:
    """Whether a process asks its store."""
    return not process.store.trust.away


def a_delete_while_the_store_is_away(stage: Stage, proxy: Proxy) -> tuple[Member, int]:
    """The order of `outbox_first`; returns how many endings were pending when the read began."""
    p0 = stage.process(url=proxy.url)
    reader = p0.reader().to("after SWAP")
    proxy.cut()
    p0.end("delete")
    p0.background.stops.add("UNLINK")
    proxy.restore()
    wait_until(lambda: p0.background.stands == "UNLINK" or trusted(p0))
    owed = p0.store.pending + (p0.background.stands == "UNLINK")
    p0.read()
    reader.result()
    return p0, owed


def test_outbox_first(stage: Stage, proxy: Proxy) -> None:
    """p0 has filled; the store goes; p0 deletes; the store returns; p0 reads before the delete was delivered.

    Once it was, the store is trusted and asked again.
    """
    p0, owed = a_delete_while_the_store_is_away(stage, proxy)
    assert owed == 1
    looks = p0.sent("LOOK")
    p0.background.stops.clear()
    wait_until(lambda: trusted(p0))
    p0.read()
    assert p0.sent("LOOK") == looks + 1


def test_outbox_first_matters(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prober who trusts the store at its first answer, and a read that asks it whatever is owed."""

    async def answered(store: Store) -> None:
        await store.reach(background.ports(), PING)
        store.owing.clear()

    monkeypatch.setattr(Store, "_probe", answered)
    with pytest.raises(Violation, match="p0 returned version 0, the floor was 1"):
        a_delete_while_the_store_is_away(stage, proxy)


def blind(process: Member) -> bool:
    """Whether the store and the link of a process are both away."""
    return process.near.blind_since < math.inf


def blind_copy(stage: Stage, proxy: Proxy) -> Member:
    """Return a process that has loaded while its store was away, and kept what it has loaded since it is blind."""
    p0 = stage.process(near=True, url=proxy.url).linked()
    reader = p0.reader().to("LOOK")
    proxy.cut()
    reader.result()
    wait_until(lambda: blind(p0))
    p0.read()
    assert p0.near_now
    return p0


def the_store_is_back(stage: Stage, proxy: Proxy) -> Member:
    """The order of `blind_ends`."""
    p0, p1 = blind_copy(stage, proxy), stage.process()
    ender = p1.ender("delete").to("UNLINK")
    proxy.restore()
    ender.result()
    wait_until(lambda: trusted(p0))
    p0.read()
    return p0


def test_blind_ends(stage: Stage, proxy: Proxy) -> None:
    """p0's store goes; it loads, is blind, loads and keeps that; p1 deletes; p0's prober finds the store; p0 reads."""
    p0 = the_store_is_back(stage, proxy)
    assert not blind(p0)
    assert p0.answer("LOOK")[0] is None


def test_blind_ends_matters(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict to which a blind copy is one that somebody vouches for."""
    judge = Vouched.judge

    def trusting(known: Vouched, entry: Any, now: float) -> Verdict:
        return judge(known, entry, now) if isinstance(entry, Copy) else Epochs.judge(known, entry, now)

    monkeypatch.setattr(Vouched, "judge", trusting)
    with pytest.raises(Violation, match="p0 returned version 0, the floor was 1"):
        the_store_is_back(stage, proxy)


def a_blind_copy_grows_old(stage: Stage, proxy: Proxy) -> Member:
    """The order of `blind_age`."""
    p0, p1 = blind_copy(stage, proxy), stage.process()
    p1.end("delete")
    stage.clock.tick(BLIND_TTL)
    p0.read()
    return p0


def test_blind_age(stage: Stage, proxy: Proxy) -> None:
    """p0 is blind, and keeps what it has loaded; p1 deletes; the blind ttl passes; p0, still blind, reads."""
    assert blind(a_blind_copy_grows_old(stage, proxy))


def test_blind_age_matters(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blind copy that lives as long as any other."""
    monkeypatch.setattr(Space, "bounded", lambda _, good: good)
    with pytest.raises(Violation, match="p0 returned version 0, the floor was 1"):
        a_blind_copy_grows_old(stage, proxy)


def scripts_run(stage: Stage) -> int:
    """Return how many scripts the server has run by their digests."""
    found = stage.server.info("commandstats").get("cmdstat_evalsha", "calls=0,")
    return int(found.partition(",")[0].removeprefix("calls="))


def a_write_that_comes_late(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Member:
    """The order of `deadline`."""
    p0, p1 = stage.process(url=proxy.url), stage.process()
    p0.end("set")  # the server knows the script from now on
    monkeypatch.setattr(change, "_IN_TIME", IN_TIME)
    p0.sync.patient = False
    p0.background.stops.add("PING")
    proxy.stall("up")
    p0.end("set")
    p1.end("delete")
    reader, before = p1.reader().to("LOOK"), scripts_run(stage)
    proxy.flow("up")
    wait_until(lambda: scripts_run(stage) > before)
    reader.result()
    return p0


def test_deadline(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """p0's PUT is sent, no answer comes, and it gives up; p1 deletes, and begins to read; the PUT runs; p1 reads."""
    p0 = a_write_that_comes_late(stage, proxy, monkeypatch)
    assert not trusted(p0)
    assert p0.store.pending == 1, "the delete that makes up for a write of which nobody knows"


def test_deadline_matters(stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PUT that may act at any time."""
    breaks.script(monkeypatch, "PUT", "then return 'late' end", "then now = now end")
    with pytest.raises(Violation, match="p1 returned version 2, the floor was 3"):
        a_write_that_comes_late(stage, proxy, monkeypatch)


def replica(stage: Stage, own_server: OwnServer) -> Server:
    """Return a server that has received all that the stage's has, and receives nothing more."""
    second = own_server(stage.server.kind, replica_of=stage.server)
    wait_until(lambda: second.cli("EXISTS", stage.key()) == 1)
    second.cli("REPLICAOF", "NO", "ONE")
    return second


def take_over(proxy: Proxy, second: Server) -> None:
    """Have a server take the place of the one behind a proxy: every connection breaks."""
    proxy.cut()
    proxy.server = second
    proxy.restore()


def a_failover(stage: Stage, own_server: OwnServer, proxy: Proxy) -> Member:
    """The order of `identity_check`."""
    p0 = stage.stored().process(url=proxy.url)
    second = replica(stage, own_server)
    p0.end("delete")
    reader = p0.reader().to("LOOK")
    take_over(proxy, second)
    reader.result()
    return p0


def test_identity_check(stage: Stage, own_server: OwnServer, proxy: Proxy) -> None:
    """A replica has received the entry, and nothing more; p0 deletes; the replica takes its place; p0 reads."""
    p0 = a_failover(stage, own_server, proxy)
    packet = p0.sync.packets.index(["BEGIN", "LOOK"], 1)
    found = p0.answers[packet][1][-1]
    assert isinstance(found, list)
    assert isinstance(found[0], bytes), "what has ended is there"


def test_identity_check_matters(
    stage: Stage, own_server: OwnServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that nobody introduces to the namespace."""
    monkeypatch.setattr(RedisOperations, "_introduced", lambda _, commands, parse: Operation(lambda _: commands, parse))
    with pytest.raises(Violation, match="p0 returned version 0, the floor was 1"):
        a_failover(stage, own_server, proxy)


def test_identity_check_of_a_fill(stage: Stage, own_server: OwnServer, proxy: Proxy) -> None:
    """p0 has loaded; a replica has received its lease, and nothing more; p1 deletes; another reader in p0 joins.

    The replica takes the server's place, and p0's fill, with the proof, is the first that it is asked.
    """
    p0, p1 = stage.process(url=proxy.url), stage.process()
    leader = p0.reader().to("loaded")
    second = replica(stage, own_server)
    p1.end("delete")
    joiner = p0.reader().go()
    wait_until(p0.joins)
    take_over(proxy, second)
    leader.result()
    joiner.result()
    assert p0.sync.packets.count(["SWAP", "BEGIN"]) == 1
    assert p0.cache.stats().refused_fills == 1


def test_identity_check_of_a_server_that_was_here_before(stage: Stage, own_server: OwnServer) -> None:
    """A replica takes the server's place, which becomes its replica; p0 deletes; that server takes its place again.

    It is the same run of it that the namespace was used under, without what came after it stopped to receive.
    """
    first = stage.server = own_server(stage.server.kind)
    with Proxy(first) as proxy:
        p0 = stage.stored().process(url=proxy.url)
        second = replica(stage, own_server)
        take_over(proxy, second)
        p0.read()
        filled = second.cli("GET", stage.key())
        first.cli("REPLICAOF", second.host, second.port)
        wait_until(lambda: first.cli("GET", stage.key()) == filled)
        first.cli("REPLICAOF", "NO", "ONE")
        p0.end("delete")
        take_over(proxy, first)
        p0.read()
