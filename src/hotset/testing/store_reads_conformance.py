"""What a store answers to who looks, and of the epochs of a namespace: a part of `StoreConformance`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hotset.entry.wire import new_mark, pack
from hotset.stores.protocol import Epochs, Seen
from hotset.testing.store_suite import HOUR, NEVER, StoreSuite, entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.stores.protocol import Operation, Operations
    from hotset.testing.store_suite import Ask

GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "short": lambda whole: whole[:83],
    "foreign": lambda _: b"x" * 200,
    "other layout": lambda whole: whole[:2] + b"\xff" + whole[3:],
    "other state": lambda whole: whole[:3] + b"\xff" + whole[4:],
    "other flags": lambda whole: whole[:68] + b"\xff" + whole[69:],
    "cut": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"x",
    "one bit": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
}
"""What may stand there in place of an entry, made from one."""


class ReadsConformance(StoreSuite):
    """Looking, checking, and the epochs."""

    def test_nothing_stands_there(self, ask: Ask, steps: Operations, began: Epochs) -> None:
        """Absent has no mark; the record of a tag that was never begun is unknown, not "never ended"."""
        seen, epochs = ask(steps.look(["a", "b"], ["t"]))
        assert seen == [Seen(None, garbled=False)] * 2
        assert seen[0].mark == b""
        assert (epochs.generation, epochs.count, epochs.records) == (began.generation, began.count, {"t": None})
        assert ask(steps.look([], ())) == ([], replace(epochs, records={}))

    def test_what_was_put_is_seen_as_it_was(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Each under its own name, in the order asked for, all its places and any bytes."""
        said: dict[str, Any] = {
            "instant": 2**52,
            "version": 2**63 + 1,
            "began_at": -1,
            "soft": 2**62,
            "revalidate": 7,
            "early": 2**64 - 1,
            "cost": 1,
            "etag": 'W/"é"',
        }
        records = {
            name: entry(generation, **said, tags=("é", "t"), body=bytes(range(256)) * at, codec=at, negative=at > 3)
            for at, name in enumerate(self.names)
        }
        for name, record in records.items():
            self.put(ask, steps, name, record)
        asked = [*reversed(self.names), "none", self.names[0]]
        seen, _ = ask(steps.look(asked, ()))
        assert [each.record for each in seen] == [records.get(name) for name in asked]
        assert [each.mark for each in seen] == [records[name].mark if name in records else b"" for name in asked]

    def test_a_check_reads_the_mark(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Of an entry, of a lease, of nothing; and the epochs in the same round trip, but for the count."""
        assert ask(steps.check("k", ["t"])) == (b"", replace(ask(steps.epochs(["t"])), count=None))
        record = self.put(ask, steps, "k", entry(generation))
        epochs = ask(steps.begin(["t"]))
        assert ask(steps.check("k", ["t"])) == (record.mark, replace(epochs, count=None, time=None))
        assert ask(steps.check("j", ()))[0] == b""
        assert ask(steps.check("j", ()))[0] != self.take(ask, steps, "j", generation) == ask(steps.check("j", ()))[0]

    def test_a_lease_can_be_waited_for(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """The mark under the name, and the lease beside it, which a refresh takes."""
        assert ask(steps.leased("k", refresh=False)) == (b"", None)
        lease = self.take(ask, steps, "k", generation)
        assert ask(steps.leased("k", refresh=False)) == (lease, None)
        record = self.put(ask, steps, "k", entry(generation))
        assert ask(steps.leased("k", refresh=True)) == (record.mark, b"")
        mine = new_mark()
        ask(steps.lease(["k"], [record.mark], mine, generation, HOUR, refresh={"k"}))
        assert ask(steps.leased("k", refresh=True)) == (record.mark, mine)
        ask(steps.release(["k"], mine))
        assert ask(steps.leased("k", refresh=True)) == (record.mark, b"")

    @pytest.mark.parametrize("kind", GARBAGE)
    def test_what_is_no_entry_is_in_nobodys_way(
        self, ask: Ask, steps: Operations, generation: bytes, kind: str
    ) -> None:
        """It is a miss; with the mark that it was seen under a lease, a fill, a write and an ending get past it."""
        for whole in (pack(entry(generation, version=9)), pack(entry(generation, placeholder=True))):
            garbage = GARBAGE[kind](whole)

            def spoil(garbage: bytes = garbage) -> bytes:
                self.spoil(steps, "k", garbage)
                seen = self.see(ask, steps, "k")
                assert seen.record is None
                assert seen.garbled
                return seen.mark

            lease = self.take(ask, steps, "k", generation, spoil())
            assert self.swap(ask, steps, "k", lease, entry(generation))
            assert ask(steps.put("k", entry(generation), HOUR, NEVER, spoil())) == "stored"
            spoil()
            assert not self.swap(ask, steps, "k", new_mark(), entry(generation))
            assert not ask(steps.touch("k", new_mark(), HOUR, 0))
            assert ask(steps.unlink(["k"])) == 1
            spoil()
            assert ask(steps.expire(["k"])) == 1
            self.put(ask, steps, "k", entry(generation, version=10))

    # -- epochs

    def test_begin_makes_what_is_missing(self, ask: Ask, steps: Operations) -> None:
        """A generation, a count, the records of tags at that count; and nothing twice."""
        began = ask(steps.begin(["t", "é{}%*"]))
        assert isinstance(began.generation, bytes)
        assert len(began.generation) == 8
        assert began.count is not None
        assert 0 < began.count < 2**53
        assert began.records == {"t": (began.count,) * 2, "é{}%*": (began.count,) * 2}
        again = ask(steps.begin(["t", "é{}%*"]))
        assert again == replace(began, time=again.time)
        assert again.time is not None
        assert began.time is not None
        assert again.time >= began.time > 10**15
        assert ask(steps.epochs(["é{}%*", "t"])) == replace(began, time=None)

    def test_an_unknown_server_begins_a_new_generation_once(
        self, ask: Ask, steps: Operations, generation: bytes
    ) -> None:
        """A restart from a snapshot, or a promoted replica: what it has kept is not to be believed."""
        other = ask(steps.begin(()), "another run").generation
        assert other != generation
        assert ask(steps.begin(()), "another run").generation == other
        assert ask(steps.begin(())).generation == other

    @pytest.mark.parametrize("step", ["look", "check", "epochs"])
    def test_whoever_has_not_met_the_server_is_introduced_before_it_reads(
        self, ask: Ask, steps: Operations, generation: bytes, step: str
    ) -> None:
        """So nothing of an unknown server's is answered; and a known one keeps what it has."""
        asked: dict[str, Operation[Any]] = {
            "look": steps.look(["k"], ()),
            "check": steps.check("k", ()),
            "epochs": steps.epochs(()),
        }

        def read(run_id: str | None = None) -> bytes | None:
            answer = ask(asked[step], run_id)
            epochs: Epochs = answer if step == "epochs" else answer[1]
            return epochs.generation

        assert read() == generation
        changed = read("another run")
        assert changed not in {generation, None}
        assert read("another run") == read() == changed

    def test_what_is_lost_hides(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """A record lost is unknown, and begins again at the present count; without generation or count all is new."""
        ask(steps.begin(["t"]))
        ask(steps.end_tags(["u"], gone=True))
        self.lose(steps, "tag:t")
        assert ask(steps.epochs(["t"])).records == {"t": None}
        epochs = ask(steps.begin(["t"]))
        assert epochs.records["t"] == (epochs.count, epochs.count)
        assert epochs.generation == generation
        self.lose(steps, "generation")
        assert ask(steps.epochs(())).generation is None
        after = ask(steps.begin(()))
        assert after.generation not in {generation, None}
        assert after.count == epochs.count
        self.lose(steps, "count")
        assert ask(steps.epochs(())).count is None
        last = ask(steps.begin(()))
        assert last.generation not in {generation, after.generation, None}
        assert last.count is not None

    def test_an_ending_of_tags_raises_one_count(self, ask: Ask, steps: Operations) -> None:
        """A delete sets both counts of each tag, an expire the second one only; other tags are left alone."""
        start = ask(steps.begin(["t", "u", "v"]))
        assert start.count is not None
        ask(steps.end_tags(["t", "u"], gone=False))
        first = ask(steps.epochs(["t", "u", "v"]))
        assert first.count == start.count + 1
        assert first.records == {
            "t": (start.count, first.count), "u": (start.count, first.count), "v": start.records["v"],
        }  # fmt: skip
        ask(steps.end_tags(["t"], gone=True))
        second = ask(steps.epochs(["t", "u"]))
        assert second.count == start.count + 2
        assert second.records == {"t": (second.count, second.count), "u": first.records["u"]}
        assert second.generation == start.generation

    @pytest.mark.parametrize("gone", [True, False])
    def test_an_ending_of_a_tag_without_a_record(self, ask: Ask, steps: Operations, gone: bool) -> None:  # noqa: FBT001  parametrised
        """It ends all: nobody knows what was ended before. In a namespace that nobody has begun, too."""
        ask(steps.end_tags(["t"], gone=gone))
        epochs = ask(steps.epochs(["t"]))
        assert epochs.generation is not None
        assert epochs.records["t"] == (epochs.count, epochs.count)

    def test_clear_is_a_new_generation(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """And nothing else; the next `begin` keeps it."""
        before = ask(steps.begin(["t"]))
        ask(steps.clear())
        after = ask(steps.epochs(["t"]))
        assert after.generation not in {generation, None}
        assert (after.count, after.records) == (before.count, before.records)
        assert ask(steps.begin(())).generation == after.generation
