"""Leases and fills at the store: orders of the configuration b, one store without tiers near."""

from __future__ import annotations

import pytest

from hotset import loading
from hotset.core.lease import Lease
from hotset.core.load import loader_of
from hotset.ports import background
from hotset.stores.base import Reply
from tests.contract.conftest import wait_until
from tests.contract.orders import breaks
from tests.contract.orders.stage import KEY, TERM, Member, Stage, Violation


def two_deletes(stage: Stage) -> Member:
    """The order of `fill_is_cas`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader().to("SWAP")
    ender = p1.ender("delete").to("after UNLINK")
    reader.result()
    ender.result()
    p0.read()
    return p0


def test_fill_is_cas(stage: Stage) -> None:
    """p0 has loaded and is about to fill; p1's delete removes the placeholder, and p0 fills; p1 returns; p0 reads."""
    p0 = two_deletes(stage)
    assert [replies[0] for step, replies in p0.answers if step == "SWAP"] == [0, 1]


def test_fill_is_cas_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SWAP that stores whatever stands there."""
    breaks.script(monkeypatch, "SWAP", "if h == '' or mark(h) ~= ARGV[1] then return 0 end", "")
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        two_deletes(stage)


def a_write_during_a_load(stage: Stage) -> Member:
    """The order of `write_new_mark`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader().to("SWAP")
    writer = p1.ender("set").to("after PUT")
    reader.result()
    writer.result()
    p1.read()
    return p0


def test_write_new_mark(stage: Stage) -> None:
    """p0 has loaded and is about to fill; p1 writes over the placeholder; p0 fills; p1 returns, and reads."""
    assert a_write_during_a_load(stage).answer("SWAP") == 0


def test_write_new_mark_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PUT that keeps the mark which it finds."""
    kept = "if h ~= '' then ARGV[1] = string.sub(ARGV[1], 1, 4) .. mark(h) .. string.sub(ARGV[1], 13) end\n"
    old = "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])"
    breaks.script(monkeypatch, "PUT", old, kept + old)
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_write_during_a_load(stage)


def an_expire_during_a_refresh(stage: Stage) -> Member:
    """The order of `expire_new_mark`."""
    p0, p1 = stage.stored().process(), stage.process()
    refresher = p0.actor(p0.refresh).to("loaded")
    ender = p1.ender("expire").to("after EXPIRE")
    refresher.to("after SWAP")
    ender.result()
    p1.read()
    return p0


def test_expire_new_mark(stage: Stage) -> None:
    """p0 refreshes and has loaded; p1's expire makes the entry stale; p0 fills; p1 returns, and reads."""
    assert an_expire_during_a_refresh(stage).answer("SWAP") == 0


def test_expire_new_mark_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EXPIRE that sets the flag and leaves the mark."""
    breaks.script(monkeypatch, "EXPIRE", " .. ARGV[1])", ")")
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        an_expire_during_a_refresh(stage)


def an_older_version_last(stage: Stage) -> list[Member]:
    """The order of `version_guard`."""
    lagging, there = [stage.stored().process(), stage.process()], stage.process()
    for process, version in zip(lagging, (2, 1), strict=True):

        def load(version: int = version) -> int:
            loading().version = version
            return version

        process.cache._refresh(KEY, loader_of(load, ()), process.cache._space.options)
    if (stands := there.cache.get(KEY)) != 2:
        raise Violation(f"version {stands} replaced version 2")
    return lagging


def test_version_guard(stage: Stage) -> None:
    """p0 refreshes and fills version 2 of the source; p1 refreshes it from a source that lags, and fills version 1."""
    p0, p1 = an_older_version_last(stage)
    assert (p0.answer("SWAP"), p1.answer("SWAP")) == (1, -1)
    assert p1.cache.stats().refused_fills == 1


def test_version_guard_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SWAP that compares marks alone."""
    breaks.script(monkeypatch, "SWAP", "if older(h, ARGV[4]) then", "if false then")
    with pytest.raises(Violation, match="version 1 replaced version 2"):
        an_older_version_last(stage)


def test_version_guard_of_a_write(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """p0 writes version 2; p1, which has read the source before, writes version 1; and without the guard."""
    p0, p1 = stage.process(), stage.process()
    assert p0.cache.set(KEY, 2, version=2)
    assert not p1.cache.set(KEY, 1, version=1)
    assert p0.cache.get(KEY) == p1.cache.get(KEY) == 2
    breaks.script(monkeypatch, "PUT", "elseif older(h, ARGV[4]) then", "elseif false then")
    assert p1.cache.set(KEY, 1, version=1)
    assert p0.cache.get(KEY) == 1


def an_expire_before_it_is_kept(stage: Stage) -> Member:
    """The order of `expire_new_mark`, where the source says that nothing was modified."""
    p0, p1 = stage.stored().process(), stage.process()

    def load() -> int:
        kept: int = loading().not_modified()
        return kept

    refresher = p0.actor(lambda: p0.cache._refresh(KEY, loader_of(load, ()), p0.cache._space.options)).to("EXTEND")
    p1.end("expire")
    refresher.result()
    p1.read()
    return p0


def test_what_is_kept_is_what_was_seen(stage: Stage) -> None:
    """p0 asks the source, which has not changed; it does, and p1's expire returns; p0 extends its life; p1 reads."""
    assert an_expire_before_it_is_kept(stage).answer("EXTEND") == 0


def test_what_is_kept_is_what_was_seen_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EXTEND of whatever stands there."""
    breaks.script(monkeypatch, "EXTEND", " or mark(h) ~= ARGV[1]", "")
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        an_expire_before_it_is_kept(stage)


def a_refresh_of_what_is_held(stage: Stage) -> Member:
    """The order of `side_lease`."""
    p0, p1 = stage.process(), stage.process(near=True).holding()
    p0.actor(p0.refresh).to("after LEASE")
    p1.ear.fence()
    if not p1.near_now:
        raise Violation("a refresh lease made a process drop a copy that is still good")
    return p0


def test_side_lease(stage: Stage) -> None:
    """p1 holds a copy; p0 takes the lease of a refresh; what p1 hears of it is nothing."""
    p0 = a_refresh_of_what_is_held(stage)
    assert p0.answer("LEASE")[0] == b"won"


def test_side_lease_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LEASE that writes into the entry for a refresh too."""
    side = "redis.call('SET', KEYS[2], id .. seen, 'PX', px)"
    breaks.script(monkeypatch, "LEASE", side, f"{side}\nredis.call('SETRANGE', KEYS[1], 3, string.sub(h, 4, 4))")
    with pytest.raises(Violation, match="drop a copy"):
        a_refresh_of_what_is_held(stage)


def a_read_after_an_expire_during_a_refresh(stage: Stage) -> Reply:
    """The order of `side_names_mark`."""
    p0, p1 = stage.stored().process(), stage.process()
    p0.actor(p0.refresh).to("after LEASE")
    p1.end("expire")
    p1.reader().to("after LEASE")
    how, *_ = p1.answer("LEASE")
    if how == b"busy":
        stage.server.cli("DEL", f"{{{stage.key()}}}:r")  # or p1 would wait for its end
        raise Violation("a reader waits for a refresh that can't be stored")
    return how  # type: ignore[no-any-return]


def test_side_names_mark(stage: Stage) -> None:
    """p0 holds the lease of a refresh; p1 expires the entry; p1 reads, and gets the lease of what stands there now."""
    assert a_read_after_an_expire_during_a_refresh(stage) == b"won"


def test_side_names_mark_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LEASE to which any refresh is one of this entry."""
    breaks.script(monkeypatch, "LEASE", " and string.sub(side, 9, 16) == seen", "")
    with pytest.raises(Violation, match="can't be stored"):
        a_read_after_an_expire_during_a_refresh(stage)


def leases(process: Member) -> list[Lease]:
    """Return what the background thread of a process holds for its loads."""
    return [lease for held in process.store.terms._held.values() for lease in held]


def two_terms(stage: Stage) -> Member:
    """The order of `renew`."""
    p0, p1 = stage.process(), stage.process()
    p0.reader().to("loaded")
    for _ in range(2):
        (lease,) = leases(p0)
        renewal = background.start(lease.renew)
        wait_until(lambda renewal=renewal: renewal.over)  # type: ignore[misc]
        left = stage.server.cli("PTTL", stage.key())  # and now half a term passes
        stage.server.cli("PEXPIRE", stage.key(), left - int(TERM * 500))
    p1.reader().to("after LOOK")
    if p1.answer("LOOK")[0] is None:
        raise Violation("the lease of p0 ended while it lives and loads")
    return p0


def test_renew(stage: Stage) -> None:
    """p0 loads for longer than a lease lasts, while its background thread does its work; p1 finds the lease held."""
    assert two_terms(stage).answer("RENEW") == 1


def test_renew_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A background thread that does not renew."""

    async def nothing(lease: Lease) -> None:
        pass

    monkeypatch.setattr(Lease, "renew", nothing)
    with pytest.raises(Violation, match="while it lives and loads"):
        two_terms(stage)


def a_late_renewal(stage: Stage) -> Member:
    """The order of `renew_compares`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader().to("loaded")
    p0.background.stops.add("RENEW")
    renewal = background.start(leases(p0)[0].renew)
    wait_until(lambda: p0.background.stands == "RENEW")
    reader.to("SWAP")
    p1.end("delete")
    later = p1.reader().to("LOOK")
    p0.background.stops.clear()
    wait_until(lambda: renewal.over)
    reader.result()
    later.result()
    return p0


def test_renew_compares(stage: Stage) -> None:
    """p0's renewal is on its way while it has loaded; p1 deletes, and reads; the renewal arrives, and p0's fill."""
    p0 = a_late_renewal(stage)
    assert p0.answer("RENEW") == 0
    assert p0.answer("SWAP") == 0


def test_renew_compares_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RENEW that writes the placeholder again, whatever came between."""
    again = "redis.call('SET', KEYS[1], 'hs\\1\\1' .. ARGV[1] .. string.rep('\\0', 90), 'PX', ARGV[2])\n"
    breaks.script(monkeypatch, "RENEW", "local h = header(KEYS[1])", f"{again}local h = header(KEYS[1])")
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_late_renewal(stage)
