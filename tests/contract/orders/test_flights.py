"""Flights: who may share a load, what is left of it when it fails, and what of an entry that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hotset.core import fly
from hotset.engine.flight import Flight
from hotset.engine.table import Table
from hotset.entry.epochs import Verdict
from hotset.entry.known import judge
from hotset.stores.redis.operations import RedisOperations
from tests.contract.conftest import wait_until
from tests.contract.orders.stage import KEY, TAG, Member, Process, SourceDown, Stage, Verb, Violation


def a_delete_during_a_load(stage: Stage) -> Process:
    """The order of `flight_token`, in a process alone."""
    p0 = stage.alone()
    reader = p0.reader().to("loaded")
    p0.end("delete")
    reader.result()
    p0.read()
    return p0


def test_flight_token(stage: Stage) -> None:
    """A process without a store has loaded; it deletes the key; the load lands; it reads again."""
    assert a_delete_during_a_load(stage).cache.stats().refused_fills == 1


def test_flight_token_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delete that leaves a flight in its slot."""
    empty = Table._empty

    def entries_only(table: Table, name: Any, cause: str, left: Any) -> bool:
        return (not table.flying(name) or cause == "replaced") and empty(table, name, cause, left)

    monkeypatch.setattr(Table, "_empty", entries_only)
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_delete_during_a_load(stage)


def a_read_during_the_proof(stage: Stage) -> Member:
    """The order of `close_before_proof`."""
    p0, p1 = stage.process(), stage.process()
    leader = p0.reader().to("after SWAP")
    p1.end("delete")
    later = p0.reader().go()
    wait_until(lambda: later.done or p0.joins())
    leader.result()
    later.result()
    return p0


def test_close_before_proof(stage: Stage) -> None:
    """p0 has filled and does not know it yet; p1 deletes; another reader in p0 finds no flight to join, and loads."""
    p0 = a_read_during_the_proof(stage)
    assert p0.cache.stats().joins == 0
    assert p0.cache.stats().loads == 2


def test_close_before_proof_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flight that stays in its slot while its fill is proven."""
    monkeypatch.setattr(Table, "close", lambda table, flight: table._slots.get(flight.name) is flight)
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_read_during_the_proof(stage)


def a_joiner_after_an_ending(stage: Stage, verb: Verb, **options: Any) -> Member:
    """The order of `joiners_retry`, `joiners_judged` and `result_tags`."""
    p0, p1 = stage.process(), stage.process()
    leader = p0.reader(**options).to("loaded")
    p1.end(verb)
    joiner = p0.reader(**options).go()
    wait_until(p0.joins)
    leader.result()
    joiner.result()
    return p0


def swaps(process: Member) -> list[Any]:
    """Return what the server answered to each fill."""
    return [replies[0] for step, replies in process.answers if step == "SWAP"]


def test_joiners_retry(stage: Stage) -> None:
    """p0 has loaded; p1 deletes; another reader in p0 joins the flight; p0's fill is refused."""
    p0 = a_joiner_after_an_ending(stage, "delete")
    assert swaps(p0) == [0, 1]


def test_joiners_retry_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flight that is shared whatever became of its fill."""
    settle = Flight.settle
    monkeypatch.setattr(
        Flight, "settle", lambda flight, result, error, *, shareable: settle(flight, result, error, shareable=True)
    )
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_joiner_after_an_ending(stage, "delete")


def test_joiners_judged(stage: Stage) -> None:
    """p0 has loaded; p1 ends the tag; another reader in p0 joins the flight; p0's fill is accepted, and hidden."""
    p0 = a_joiner_after_an_ending(stage, "delete_tag", tags=[TAG])
    assert swaps(p0) == [1, 1]
    assert p0.cache.stats().refused_fills == 1


def test_joiners_judged_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that is taken for good without a look at the epochs that came with it."""
    monkeypatch.setattr("hotset.core.lease.judge", lambda *_: Verdict.FRESH)
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_joiner_after_an_ending(stage, "delete_tag", tags=[TAG])


def test_result_tags(stage: Stage) -> None:
    """As `joiners_judged`, with a tag that only the loaded value names: the proof asks for its record, by a BEGIN."""
    p0 = a_joiner_after_an_ending(stage, "delete_tag", result_tags=[TAG])
    assert ["SWAP", "BEGIN"] in p0.sync.packets
    assert swaps(p0) == [1, 1]
    assert p0.cache.stats().refused_fills == 1


def test_result_tags_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that asks for the tags of the options only, and takes the others for never ended."""

    def foreseen(copy: Any, generation: Any, records: Any, now: float) -> Verdict:
        return judge(copy, generation, dict.fromkeys(records, (0, 0)), now)

    monkeypatch.setattr("hotset.core.lease.judge", foreseen)
    with pytest.raises(Violation, match="version 0, the floor was 1"):
        a_joiner_after_an_ending(stage, "delete_tag", result_tags=[TAG])


def a_fallback_that_another_has_read(stage: Stage) -> Member:
    """The order of `own_fallback`."""
    p0, p1 = stage.stored().process(), stage.process()
    leader = p0.reader().to("LOOK")
    ender = p1.ender("expire").to("after EXPIRE")
    leader.to("after LEASE")
    ender.result()
    p1.end("delete")
    joiner = p0.reader().go()
    wait_until(p0.joins)
    stage.source.up = False
    assert leader.result() == 0
    with pytest.raises(SourceDown):
        joiner.result()
    return p0


def test_own_fallback(stage: Stage) -> None:
    """p0 begins to read; p1 expires; p0 leads; p1 deletes; another reader in p0 joins; the source fails.

    The leader answers the stale value that it read, which is no older than it may be; who joined has none.
    """
    assert a_fallback_that_another_has_read(stage).cache.stats().stale_served == 1


def test_own_fallback_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers who fall back on what any of them has read."""
    own, seen = fly.own_stale, []

    def theirs(near: Any, standing: Any) -> Any:
        seen.append(own(near, standing))
        return next((entry for entry in seen if entry is not None), None)

    monkeypatch.setattr(fly, "own_stale", theirs)
    with pytest.raises(Violation, match="version 0 as stale, the floor was 2"):
        a_fallback_that_another_has_read(stage)


def a_failed_load_that_was_joined(stage: Stage) -> Member:
    """The order of `error_settles`."""
    p0, p1 = stage.stored().process(), stage.process()
    leader, joiner = p0.reader().to("LOOK"), p0.reader().to("LOOK")
    ender = p1.ender("expire").to("after EXPIRE")
    leader.to("after LEASE")
    joiner.to("after LOOK").go()
    wait_until(p0.joins)
    flight, _, _ = p0.table.peek(KEY)
    assert isinstance(flight, Flight)
    ender.result()
    p1.end("delete")
    stage.source.up = False
    assert leader.result() == 0
    if not flight.settled:
        raise Violation("somebody waits for ever")
    assert joiner.result() == 0
    return p0


def test_error_settles(stage: Stage) -> None:
    """p0 leads, another reader in p0 joins, both have read a stale value; p1 deletes; the load fails: both answer."""
    p0 = a_failed_load_that_was_joined(stage)
    assert p0.cache.stats().load_errors == 1
    assert p0.cache.stats().stale_served == 2


def test_error_settles_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flight that an error does not settle."""
    settle, left = Flight.settle, list[Flight]()

    def values_only(flight: Flight, result: Any, error: BaseException | None, *, shareable: bool) -> None:
        flight.error = error  # its leader has it at hand
        if error is None:
            settle(flight, result, error, shareable=shareable)
        else:
            left.append(flight)

    monkeypatch.setattr(Flight, "settle", values_only)
    with pytest.raises(Violation, match="for ever"):
        a_failed_load_that_was_joined(stage)
    for flight in left:
        settle(flight, None, flight.error, shareable=False)


@contextmanager
def a_source_that_fails(process: Member, **options: Any) -> Iterator[None]:
    """Have a reader stand before its load, do what is to be done, and have its load fail: it has nothing to answer."""
    reader = process.reader(**options).to("after LEASE")
    yield
    process.source.up = False
    with pytest.raises(SourceDown):
        reader.result()


def a_failure_after_expire_and_delete(stage: Stage) -> Member:
    """The order of `delete_removes`."""
    p0, p1 = stage.stored().process(), stage.process()
    p1.end("expire")
    p1.end("delete")
    with a_source_that_fails(p0):
        pass
    return p0


def test_delete_removes(stage: Stage) -> None:
    """p1 expires, which leaves a fallback, and deletes; p0 reads, and the source fails."""
    p0 = a_failure_after_expire_and_delete(stage)
    assert p0.answer("LOOK")[0] is None


def test_delete_removes_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delete that is an expire."""
    monkeypatch.setattr(RedisOperations, "unlink", RedisOperations.expire)
    with pytest.raises(Violation, match="version 0 as stale, the floor was 2"):
        a_failure_after_expire_and_delete(stage)


def a_failure_after_two_endings_of_a_tag(stage: Stage) -> Member:
    """The order of `tag_counts`."""
    p0, p1 = stage.stored(tags=[TAG]).process(), stage.process()
    p1.end("expire_tag")
    p1.end("delete_tag")
    with a_source_that_fails(p0, tags=[TAG]):
        pass
    return p0


def test_tag_counts(stage: Stage) -> None:
    """p1 expires the tag, which leaves a fallback, and deletes it; p0 reads, and the source fails."""
    p0 = a_failure_after_two_endings_of_a_tag(stage)
    assert isinstance(p0.answer("LOOK")[0], bytes), "what has ended still stands there"


def test_tag_counts_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag's delete that counts as its expire does."""
    end_tags = RedisOperations.end_tags
    monkeypatch.setattr(RedisOperations, "end_tags", lambda steps, tags, *, gone: end_tags(steps, tags, gone=False))
    with pytest.raises(Violation, match="version 0 as stale, the floor was 2"):
        a_failure_after_two_endings_of_a_tag(stage)
