"""Who may fill, over what: a part of `StoreConformance`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hotset.entry.wire import new_mark
from hotset.ports.sync import run_sync
from hotset.stores.protocol import Busy, Changed, Kept, Won
from hotset.testing.store_suite import HOUR, NEVER, PATIENCE, SOON, StoreSuite, entry, perform, until

if TYPE_CHECKING:
    from hotset.stores.protocol import Epochs, Lease, Operation, Operations
    from hotset.testing.store_suite import Ask


class LeasesConformance(StoreSuite):
    """Leases and fills."""

    def test_who_comes_first_has_the_lease(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """It stands there as a placeholder of the generation, and whoever comes next is told by whom and how long."""
        lease = self.take(ask, steps, "k", generation)
        record = self.see(ask, steps, "k").record
        assert record is not None
        assert record.placeholder
        assert (record.mark, record.generation, record.body) == (lease, generation, b"")
        for seen in (b"", new_mark()):
            [busy] = ask(steps.lease(["k"], [seen], new_mark(), generation, 1.0))
            assert isinstance(busy, Busy)
            assert busy.holder == lease
            assert HOUR - PATIENCE < busy.seconds <= HOUR
        assert self.see(ask, steps, "k").record == record

    def test_one_of_many_at_once(self, steps: Operations, generation: bytes) -> None:
        """However many ask in the same moment."""
        clients = self.make_clients()

        def lease(at: int) -> Lease:
            asked = steps.lease(["k"], [b""], bytes([at]) * 8, generation, HOUR)
            [answer] = perform(asked, lambda build: run_sync(clients.sync.run(build, PATIENCE)))
            return answer

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lease, range(1, 33)))
        clients.sync.close()
        [won] = [answer for answer in answers if isinstance(answer, Won)]
        assert {answer.holder for answer in answers if isinstance(answer, Busy)} == {won.base}

    def test_a_lease_replaces_what_was_seen_and_nothing_else(
        self, ask: Ask, steps: Operations, generation: bytes
    ) -> None:
        """Of many at once, each is answered by what stands there now."""
        dead, moved, new = (self.put(ask, steps, name, entry(generation)) for name in ("dead", "moved", "new"))
        old = self.take(ask, steps, "old", new_mark())
        held = self.take(ask, steps, "held", generation)
        lease = new_mark()
        names = ["dead", "moved", "new", "old", "held", "gone", "none"]
        seen = [dead.mark, new_mark(), b"", b"", b"", new_mark(), b""]
        answers = ask(steps.lease(names, seen, lease, generation, HOUR))
        won = Won(lease)
        assert answers[:4] == [won, Changed(), Changed(), won]
        assert isinstance(answers[4], Busy)
        assert answers[4].holder == held
        assert answers[5:] == [won, won]
        marks = [self.see(ask, steps, name).mark for name in names]
        assert marks == [lease, moved.mark, new.mark, lease, held, lease, lease]
        assert old not in marks

    def test_a_lease_that_is_not_held_longer_ends(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """A dead holder is replaced; its own fill comes too late."""
        lease = self.take(ask, steps, "k", generation, seconds=SOON)
        until(lambda: self.see(ask, steps, "k").mark == b"")
        assert not self.swap(ask, steps, "k", lease, entry(generation))
        self.take(ask, steps, "k", generation)
        record = self.put(ask, steps, "j", entry(generation))
        self.take(ask, steps, "j", generation, record.mark, seconds=SOON, refresh={"j"})
        until(lambda: ask(steps.lease(["j"], [record.mark], b"x" * 8, generation, HOUR, refresh={"j"}))
              == [Won(record.mark)])  # fmt: skip

    def test_a_refresh_leaves_what_stands_there(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """One has it for each state: who has seen another one is told to look again, who has seen this one, to wait."""
        record = self.put(ask, steps, "k", entry(generation))

        def refresh(seen: bytes, lease: bytes) -> Lease:
            [answer] = ask(steps.lease(["k"], [seen], lease, generation, HOUR, refresh={"k"}))
            return answer

        mine, other = new_mark(), new_mark()
        assert refresh(new_mark(), other) == Changed()
        assert refresh(record.mark, mine) == Won(record.mark)
        assert self.see(ask, steps, "k").record == record
        busy = refresh(record.mark, other)
        assert isinstance(busy, Busy)
        assert busy.holder == mine
        assert HOUR - PATIENCE < busy.seconds <= HOUR
        newer = entry(generation)
        assert self.swap(ask, steps, "k", record.mark, newer)
        assert refresh(record.mark, other) == Changed()
        assert refresh(newer.mark, other) == Won(newer.mark)
        newest = self.put(ask, steps, "k", entry(generation))
        assert refresh(newest.mark, mine) == Won(newest.mark)  # the lease for the state before it is in nobody's way
        ask(steps.unlink(["k"]))
        assert refresh(newest.mark, mine) == Changed()
        assert self.see(ask, steps, "k").mark == b""

    def test_a_fill_replaces_exactly_its_base(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Absent is no base; what was refused has changed nothing; a second fill finds another mark."""
        record = entry(generation)
        assert not self.swap(ask, steps, "k", b"", record)
        assert not self.swap(ask, steps, "k", new_mark(), record)
        assert self.see(ask, steps, "k").mark == b""
        lease = self.take(ask, steps, "k", generation)
        assert not self.swap(ask, steps, "k", new_mark(), record)
        assert not self.swap(ask, steps, "k", b"", record)
        assert self.see(ask, steps, "k").mark == lease
        assert self.swap(ask, steps, "k", lease, record)
        assert self.see(ask, steps, "k").record == record
        assert not self.swap(ask, steps, "k", lease, entry(generation))
        assert self.see(ask, steps, "k").record == record
        ask(steps.unlink(["k"]))
        assert not self.swap(ask, steps, "k", record.mark, entry(generation))
        assert self.see(ask, steps, "k").mark == b""

    def test_a_fill_has_a_life(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """At its end the store has forgotten it, and so it does with what was written."""
        assert self.swap(ask, steps, "k", self.take(ask, steps, "k", generation), entry(generation), SOON)
        self.put(ask, steps, "j", entry(generation), SOON)
        until(lambda: {each.mark for each in ask(steps.look(["k", "j"], ()))[0]} == {b""})

    def test_a_fill_of_an_older_version_is_refused(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Versions are 64 bits, 0 is none; none is refused for its version, and refuses none."""
        mark = self.put(ask, steps, "k", entry(generation, version=2**63)).mark
        for version, accepted in [(2**63 - 1, False), (1, False), (2**63, True), (2**63 + 256, True), (255, False)]:
            record, lease = entry(generation, version=version), new_mark()
            ask(steps.lease(["k"], [mark], lease, generation, HOUR, refresh={"k"}))
            [answer], _ = ask(steps.swap([("k", mark, record, HOUR)], (), begin=False))
            assert answer == ("stored" if accepted else "older")
            again = steps.lease(["k"], [mark], lease, generation, SOON, refresh={"k"})
            assert ask(again) == [Changed() if accepted else Won(mark)], "the lease is given back"
            mark = record.mark if accepted else mark
            assert self.see(ask, steps, "k").mark == mark
        last = entry(generation)
        assert self.swap(ask, steps, "k", mark, last)
        assert self.swap(ask, steps, "k", last.mark, entry(generation, version=1))

    def test_what_is_not_modified_is_kept(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """In the state that was seen and no other: under a new mark, with new times, ended no more; all else stays."""

        def keep(base: bytes, life: float = HOUR) -> tuple[str, Kept]:
            kept = Kept(new_mark(), 7, 2**62)
            [answer], _ = ask(steps.swap([("k", base, kept, life)], (), begin=False))
            return answer, kept

        assert keep(b"")[0] == keep(new_mark())[0] == "changed"
        lease = self.take(ask, steps, "k", generation)
        assert keep(lease)[0] == "changed"
        assert self.see(ask, steps, "k").mark == lease
        said = {"tags": ("t",), "version": 3, "etag": "e", "instant": 4, "cost": 5, "began_at": 1, "soft": 2}
        record = self.put(ask, steps, "k", entry(generation, **said))
        assert keep(lease)[0] == "changed"
        assert self.see(ask, steps, "k").record == record
        for end in (False, True):
            if end:
                ask(steps.expire(["k"]))
            seen = self.see(ask, steps, "k").mark
            self.take(ask, steps, "k", generation, seen, refresh={"k"})
            answer, kept = keep(seen)
            assert answer == "stored"
            assert self.see(ask, steps, "k").record == replace(record, mark=kept.mark, began_at=7, soft=2**62)
            assert keep(seen)[0] == "changed"
            self.take(ask, steps, "k", generation, kept.mark, refresh={"k"})  # the lease was given back
        assert keep(self.see(ask, steps, "k").mark, SOON)[0] == "stored"
        until(lambda: self.see(ask, steps, "k").mark == b"")

    def test_many_fills_and_their_proof(self, ask: Ask, steps: Operations, began: Epochs) -> None:
        """Each is answered by itself, and the epochs are those of after the fills; begun, where that is asked for."""
        generation = began.generation
        assert generation is not None
        assert began.count is not None
        born = (began.count, began.count)
        good, bad = self.take(ask, steps, "a", generation), new_mark()
        fills = [(name, base, entry(generation), HOUR) for name, base in (("a", good), ("b", bad))]
        assert ask(steps.swap(fills, ["t"], begin=False)) == (
            ["stored", "changed"],
            replace(began, records={"t": None}, time=None),
        )
        swapped, epochs = ask(steps.swap(fills, ["t", "u"], begin=True))
        assert swapped == ["changed", "changed"]
        assert epochs == replace(began, records={"t": born, "u": born}, time=epochs.time)
        assert ask(steps.swap([], ["t"], begin=False))[1].records == {"t": born}

    def test_a_lease_is_held_longer_by_its_holder(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """A placeholder and a refresh lease; by nobody else; and what was filled has its own life."""
        record = self.put(ask, steps, "fresh", entry(generation))

        def left(name: str) -> float:
            stale = {name} if name == "fresh" else set()
            [busy] = ask(steps.lease([name], [record.mark], b"x" * 8, generation, 1.0, refresh=stale))
            assert isinstance(busy, Busy)
            return busy.seconds

        lease = new_mark()
        ask(steps.lease(["k", "fresh"], [b"", record.mark], lease, generation, 60.0, refresh={"fresh"}))
        ask(steps.renew(["k", "fresh", "none"], new_mark(), HOUR))
        assert max(left("k"), left("fresh")) <= 60
        ask(steps.renew(["k", "fresh", "none"], lease, HOUR))
        assert min(left("k"), left("fresh")) > HOUR - PATIENCE
        assert self.see(ask, steps, "none").mark == b""
        assert self.swap(ask, steps, "k", lease, entry(generation))
        ask(steps.renew(["k"], lease, SOON))
        ask(steps.renew(["fresh"], lease, SOON))
        until(lambda: ask(steps.lease(["fresh"], [record.mark], lease, generation, 1.0, refresh={"fresh"}))
              == [Won(record.mark)])  # fmt: skip
        assert {each.mark for each in ask(steps.look(["k", "fresh"], ()))[0]} >= {record.mark}
        assert b"" not in {each.mark for each in ask(steps.look(["k", "fresh"], ()))[0]}

    def test_a_lease_is_given_back_by_its_holder(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """The next need not wait; another's is left alone, and so is what was filled."""
        record = self.put(ask, steps, "fresh", entry(generation))
        lease = new_mark()
        ask(steps.lease(["k", "fresh"], [b"", record.mark], lease, generation, HOUR, refresh={"fresh"}))
        ask(steps.release(["k", "fresh", "none"], new_mark()))
        asked = steps.lease(["k", "fresh"], [b"", record.mark], b"x" * 8, generation, HOUR, refresh={"fresh"})
        assert [type(each) for each in ask(asked)] == [Busy, Busy]
        ask(steps.release(["k", "fresh", "none"], lease))
        assert self.see(ask, steps, "k").mark == b""
        assert self.see(ask, steps, "fresh").record == record
        assert ask(asked) == [Won(b"x" * 8), Won(record.mark)]
        filled = entry(generation)
        assert self.swap(ask, steps, "k", b"x" * 8, filled)
        ask(steps.release(["k"], b"x" * 8))
        ask(steps.release(["k"], filled.mark))
        assert self.see(ask, steps, "k").record == filled

    def test_a_write_takes_leases_away(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """And every ending does: who loads since before it is refused."""
        record = entry(generation)
        endings: list[Operation[Any]] = [
            steps.put("k", record, HOUR, NEVER, None),
            steps.unlink(["k"]),
            steps.expire(["k"]),
        ]
        for ending in endings:
            lease = self.take(ask, steps, "k", generation)
            ask(ending)
            assert not self.swap(ask, steps, "k", lease, entry(generation))
            ask(steps.unlink(["k"]))
