"""The conformance suite of stores: subclass it, say how a store is reached, and run it with pytest.

```python
class TestMyStore(StoreConformance):
    def make_clients(self):
        return Clients(MyClient(where), MyAsyncClient(where))

    def make_operations(self, namespace):
        return MyOperations(namespace)

    def spoil(self, operations, name, data):
        …  # have these bytes stand under the name, as somebody else may have written them

    def lose(self, operations, what):
        …  # remove the "generation", the "count", or the record of a "tag:…", as an eviction does
```
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hotset.entry.wire import new_mark
from hotset.stores.protocol import Changed
from hotset.testing.store_leases_conformance import LeasesConformance
from hotset.testing.store_reads_conformance import ReadsConformance
from hotset.testing.store_suite import HOUR, NEVER, SOON, entry, until

if TYPE_CHECKING:
    from hotset.entry.names import Name
    from hotset.stores.protocol import Epochs, Operations
    from hotset.testing.store_suite import Ask


class StoreConformance(ReadsConformance, LeasesConformance):
    """What `hotset.stores.protocol.Operations` promise, performed by both clients of a store that is there."""

    # -- writes

    def test_a_write_replaces_whatever_stands_there(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """An entry, a lease, nothing; the last one wins."""
        self.put(ask, steps, "k", entry(generation))
        record = self.put(ask, steps, "k", entry(new_mark()))
        assert self.see(ask, steps, "k").record == record
        self.take(ask, steps, "j", generation)
        record = self.put(ask, steps, "j", entry(generation))
        assert self.see(ask, steps, "j").record == record

    def test_a_write_under_a_generation_that_is_over_says_so(self, ask: Ask, steps: Operations, began: Epochs) -> None:
        """It is stored, and nobody will read it: who writes and never reads would not hear of it."""
        assert began.generation is not None
        assert ask(steps.put("k", entry(began.generation), HOUR, NEVER, None)) == "stored"
        ask(steps.clear())
        assert ask(steps.put("k", entry(began.generation), HOUR, NEVER, None)) == "hidden"

    def test_a_write_that_is_late_changes_nothing(self, ask: Ask, steps: Operations, began: Epochs) -> None:
        """The deadline is by the store's clock: who gave up waiting can rely on it."""
        assert began.generation is not None
        assert began.time is not None
        record = self.put(ask, steps, "k", entry(began.generation))
        for deadline in (0, began.time - 1):
            for absent in (None, record.mark):
                assert ask(steps.put("k", entry(began.generation), HOUR, deadline, absent)) == "late"
        assert self.see(ask, steps, "k").record == record
        now = ask(steps.begin(())).time or 0
        assert ask(steps.put("k", entry(began.generation), HOUR, now + 60_000_000, None)) == "stored"

    def test_a_write_of_an_older_version_is_refused(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """The same version is none older, and 0 is none; what was judged dead refuses nothing."""
        stands = self.put(ask, steps, "k", entry(generation, version=256))
        assert ask(steps.put("k", entry(generation, version=255), HOUR, NEVER, None)) == "older"
        assert self.see(ask, steps, "k").record == stands
        for version in (256, 257, 0, 1):
            self.put(ask, steps, "k", entry(generation, version=version))
        last = self.put(ask, steps, "k", entry(generation, version=256))
        assert ask(steps.put("k", entry(generation, version=255), HOUR, NEVER, last.mark)) == "stored"

    def test_a_write_where_nothing_is(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Or where there is still what the caller judged dead: an entry, or a lease."""
        first = entry(generation)
        assert ask(steps.put("k", first, HOUR, NEVER, b"")) == "stored"
        for absent in (b"", new_mark()):
            assert ask(steps.put("k", entry(generation), HOUR, NEVER, absent)) == "there"
        assert self.see(ask, steps, "k").record == first
        assert ask(steps.put("k", entry(generation), HOUR, NEVER, first.mark)) == "stored"
        lease = self.take(ask, steps, "j", generation)
        assert ask(steps.put("j", entry(generation), HOUR, NEVER, b"")) == "there"
        assert ask(steps.put("j", entry(generation), HOUR, NEVER, lease)) == "stored"
        assert ask(steps.put("none", entry(generation), HOUR, NEVER, new_mark())) == "stored"  # it left meanwhile

    def test_a_touch_is_for_the_state_that_was_seen(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """It sets soft expiry and life; another mark, what has ended, a lease and nothing are not touched."""
        record = self.put(ask, steps, "k", entry(generation, soft=5, tags=("t",)))
        assert not ask(steps.touch("k", new_mark(), SOON, 7))
        assert self.see(ask, steps, "k").record == record
        for soft in (-7, 2**62):
            assert ask(steps.touch("k", record.mark, HOUR, soft))
            assert self.see(ask, steps, "k").record == replace(record, soft=soft)
        assert ask(steps.touch("k", record.mark, SOON, 7))
        until(lambda: self.see(ask, steps, "k").mark == b"")
        assert not ask(steps.touch("k", record.mark, HOUR, 7))
        assert self.see(ask, steps, "k").mark == b""
        ended = self.put(ask, steps, "k", entry(generation))
        ask(steps.expire(["k"]))
        for mark in (ended.mark, self.see(ask, steps, "k").mark):
            assert not ask(steps.touch("k", mark, HOUR, 7))
        lease = self.take(ask, steps, "j", generation)
        assert not ask(steps.touch("j", lease, HOUR, 7))

    def test_an_altered_state_is_the_one_that_was_seen(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """Another mark, a lease and nothing are left alone; who refreshes what it was is refused."""
        before = self.put(ask, steps, "k", entry(generation))
        assert not ask(steps.alter("k", new_mark(), entry(generation), HOUR))
        assert self.see(ask, steps, "k").record == before
        self.take(ask, steps, "k", generation, before.mark, refresh=("k",))
        after = entry(generation)
        assert ask(steps.alter("k", before.mark, after, HOUR))
        assert self.see(ask, steps, "k").record == after
        assert not self.swap(ask, steps, "k", before.mark, entry(generation))
        assert not ask(steps.alter("k", before.mark, entry(generation), HOUR))
        assert ask(steps.alter("k", after.mark, entry(generation), SOON))
        until(lambda: self.see(ask, steps, "k").mark == b"")
        assert not ask(steps.alter("k", after.mark, entry(generation), HOUR))
        self.take(ask, steps, "j", generation)
        assert not ask(steps.alter("j", new_mark(), entry(generation), HOUR))

    # -- endings

    def test_what_is_unlinked_is_gone(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """It says how many there were, leases among them; none are asked for, none are gone."""
        for name in self.names:
            self.put(ask, steps, name, entry(generation))
        self.take(ask, steps, "lease", generation)
        assert ask(steps.unlink([])) == 0
        assert ask(steps.unlink(["none", "lease", *self.names])) == len(self.names) + 1
        assert {each.mark for each in ask(steps.look(["lease", *self.names], ()))[0]} == {b""}
        assert ask(steps.unlink(self.names)) == 0

    def test_what_expires_keeps_its_value_under_another_mark(
        self, ask: Ask, steps: Operations, generation: bytes
    ) -> None:
        """If it has a window to be stale in; who began from the state before is refused."""
        said = {"tags": ("t",), "version": 3, "instant": 4, "soft": 2**60}
        record = self.put(ask, steps, "k", entry(generation, **said))
        other = self.put(ask, steps, "j", entry(generation, window=1))
        assert ask(steps.expire([])) == 0
        assert ask(steps.expire(["k", "none", "j"])) == 2
        [seen, second], _ = ask(steps.look(["k", "j"], ()))
        assert seen.record == replace(record, mark=seen.mark, ended=True)
        assert seen.mark not in {record.mark, second.mark}
        assert second.record == replace(other, mark=second.mark, ended=True)
        assert not self.swap(ask, steps, "k", record.mark, entry(generation))
        assert ask(steps.lease(["k"], [record.mark], new_mark(), generation, HOUR)) == [Changed()]
        assert ask(steps.expire(["k"])) == 1
        again = self.see(ask, steps, "k")
        assert again.record == replace(record, mark=again.mark, ended=True)
        assert again.mark != seen.mark

    def test_what_could_be_nobodys_fallback_expires_at_once(
        self, ask: Ask, steps: Operations, generation: bytes
    ) -> None:
        """Without a window, negative, or a lease."""
        self.put(ask, steps, "bare", entry(generation, window=0))
        self.put(ask, steps, "negative", entry(generation, negative=True))
        self.take(ask, steps, "lease", generation)
        names = ["bare", "negative", "lease"]
        assert ask(steps.expire(names)) == 3
        assert {each.mark for each in ask(steps.look(names, ()))[0]} == {b""}

    # -- scanning

    @staticmethod
    def all_names(ask: Ask, steps: Operations) -> tuple[set[Name], int]:
        """Return all names that a scan finds, and in how many pages."""
        names: set[Name] = set()
        cursor, pages = 0, 0
        while True:
            cursor, page = ask(steps.scan(cursor))
            names |= set(page)
            pages += 1
            if not cursor:
                return names, pages

    def test_a_scan_finds_every_name(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """As it was, entries and leases, and nothing else that a namespace is made of."""
        assert self.all_names(ask, steps)[0] == set()
        for name in self.names:
            self.put(ask, steps, name, entry(generation))
        stale = self.put(ask, steps, "stale", entry(generation))
        self.take(ask, steps, "stale", generation, stale.mark, refresh={"stale"})
        self.take(ask, steps, "lease", generation)
        ask(steps.begin(["t", "a:b"]))
        assert self.all_names(ask, steps)[0] == {*self.names, "stale", "lease"}

    def test_a_scan_comes_in_pages(self, ask: Ask, steps: Operations, generation: bytes) -> None:
        """None of them is large, and together they are all."""
        names = [f"user:{number}" for number in range(2_500)]
        ask(steps.lease(names, [b""] * len(names), new_mark(), generation, HOUR))
        found, pages = self.all_names(ask, steps)
        assert found == set(names)
        assert pages > 1
        assert ask(steps.unlink(names)) == len(names)

    @pytest.mark.parametrize("name", ["x", "x*", "x?y", "[ab]", "[^a]", "x\\", "x-y", "é", "%3A", ""])
    def test_a_scan_finds_its_own_namespace_alone(self, ask: Ask, name: str) -> None:
        """Neither its children nor whoever has a name that a pattern could take for it."""
        stem = f"suite-{secrets.token_hex(6)}-"
        mine = f"{stem}{name}"
        others = {f"{mine}/child", f"{mine}y", f"{stem}xzy", f"{stem}a", f"{stem}b", f"{stem}x*", f"{stem}x"} - {mine}
        for namespace in (mine, *others):
            steps = self.make_operations(namespace)
            generation = ask(steps.begin(())).generation or b""
            for at in range(3):
                self.put(ask, steps, f"{namespace}:{at}", entry(generation))
        found, _ = self.all_names(ask, self.make_operations(mine))
        assert found == {f"{mine}:{at}" for at in range(3)}

    def test_namespaces_are_apart(self, ask: Ask, generation: bytes) -> None:
        """Each has names, epochs and generations of its own."""
        stem = f"suite-{secrets.token_hex(6)}"
        one, other = self.make_operations(stem), self.make_operations(f"{stem}/child")
        for steps in (one, other):
            self.put(ask, steps, "k", entry(generation))
            ask(steps.begin(["t"]))
        before = ask(other.look(["k"], ["t"]))
        ask(one.unlink(["k"]))
        ask(one.end_tags(["t"], gone=True))
        ask(one.clear())
        assert ask(other.look(["k"], ["t"])) == before

    # -- all of it

    def test_any_sequence_of_steps(self, ask: Ask) -> None:
        """Every answer is that of a small model, whatever came before. Needs Hypothesis."""
        pytest.importorskip("hypothesis")
        from hotset.testing.store_machine import run

        run(ask, lambda: self.make_operations(f"suite-{secrets.token_hex(6)}"))
