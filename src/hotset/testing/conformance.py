"""The conformance suite of engines: subclass it, say how an engine is made, and run it with pytest.

```python
class TestMyEngine(EngineConformance):
    def make_engine(self, capacity, clock):
        return MyEngine(capacity, clock)
```
"""

from __future__ import annotations

import gc
import random
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hotset.engine.flight import Flight, Found, Join, Lead, Work
from hotset.entry.entry import Spans, make
from hotset.entry.epochs import Verdict
from hotset.entry.lookup import MISSING
from hotset.testing.clock import FakeClock
from hotset.testing.versions_conformance import VersionsConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotset.clock import Clock
    from hotset.engine.protocol import Engine, Slots
    from hotset.entry.entry import Entry

TAGS = ("users",)


class EngineConformance(VersionsConformance):
    """What `hotset.engine.protocol` promises of an engine. Its invariants are checked after every test."""

    def make_engine(self, capacity: int, clock: Clock) -> Engine:
        """Return a new engine; to be overridden."""
        raise NotImplementedError("a conformance suite says how its engine is made: override make_engine")

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Return the clock of the engine."""
        return FakeClock()

    @pytest.fixture
    def engine(self, clock: FakeClock) -> Iterator[Engine]:
        """Return an engine for three entries."""
        engine = self.make_engine(3, clock)
        yield engine
        engine.check()

    @pytest.fixture
    def slots(self, engine: Engine) -> Slots:
        """Return the slots of one namespace."""
        return engine.table("suite")

    @staticmethod
    def entry(
        slots: Slots, clock: Clock, value: Any, *, life: float = 60.0, window: float = 0.0, tagged: bool = False
    ) -> Entry:
        """Return an entry as a write makes it."""
        tags = TAGS if tagged else ()
        return make(value, clock(), Spans(life, fallback=window), tags=tags, instant=slots.epochs.count)

    @staticmethod
    def lead(slots: Slots, clock: Clock, name: str) -> Flight:
        """Claim a slot that nobody holds, and return the flight."""
        claim = slots.claim(name, Work(clock()))
        assert isinstance(claim, Lead)
        return claim.flight

    def test_what_was_put_is_found_until_its_life_is_over(self, slots: Slots, clock: FakeClock) -> None:
        """A deadline is exact: at the end of its life an entry is not served."""
        assert slots.put("k", self.entry(slots, clock, 1)) == "stored"
        clock.advance(59.9)
        assert slots.get("k") == 1
        clock.advance(0.1)
        assert slots.get("k", "none") == "none"
        assert len(slots) == 0

    def test_none_is_a_value(self, slots: Slots, clock: FakeClock) -> None:
        """None is told apart from absence."""
        slots.put("k", self.entry(slots, clock, None))
        assert slots.get("k", MISSING) is None
        assert slots.get("other", MISSING) is MISSING

    def test_the_least_recently_used_leaves_first(self, slots: Slots, engine: Engine, clock: FakeClock) -> None:
        """A read counts as a use, and the bound holds after every write."""
        for name in "abc":
            slots.put(name, self.entry(slots, clock, name))
        slots.get("a")
        slots.put("d", self.entry(slots, clock, "d"))
        assert len(engine) == 3
        assert [slots.get(name) for name in "abcd"] == ["a", None, "c", "d"]
        assert slots.why("b") == "evicted"

    @pytest.mark.parametrize("use", ["claim", "touch", "prove"])
    def test_every_use_counts(self, slots: Slots, clock: FakeClock, use: str) -> None:
        """A claim that finds, a touch, and a read of an entry that has to prove itself, not only the short way."""
        for name in "abc":
            slots.put(name, self.entry(slots, clock, name))
        if use == "claim":
            assert isinstance(slots.claim("a", Work(clock())), Found)
        elif use == "touch":
            assert slots.touch("a", 60.0)
        else:
            slots.end_tags(("another",), gone=True)
            assert slots.get("a") == "a"
        slots.put("d", self.entry(slots, clock, "d"))
        assert sorted(map(str, slots.names())) == ["a", "c", "d"]

    def test_namespaces_share_the_capacity_and_nothing_else(self, engine: Engine, clock: FakeClock) -> None:
        """The same name in two tables is two entries."""
        one, two = engine.table("one"), engine.table("two")
        one.put("k", self.entry(one, clock, 1))
        two.put("k", self.entry(two, clock, 2))
        two.clear()
        assert (one.get("k"), two.get("k")) == (1, None)

    def test_one_leads_and_the_others_join(self, slots: Slots, clock: FakeClock) -> None:
        """A claim gives the flight to one, and to the rest the same flight to wait for."""
        flight = self.lead(slots, clock, "k")
        joined = slots.claim("k", Work(clock()))
        assert isinstance(joined, Join)
        assert joined.flight is flight
        entry = self.entry(slots, clock, 1)
        assert slots.fill(flight, entry, tags=(), result=1) == "stored"
        assert flight.shareable
        found = slots.claim("k", Work(clock()))
        assert isinstance(found, Found)
        assert found.value == 1

    @pytest.mark.parametrize("end", ["delete", "expire", "clear", "put"])
    def test_an_ending_or_a_write_takes_the_flight_out(self, slots: Slots, clock: FakeClock, end: str) -> None:
        """What the flight brings is then refused, and the next claim leads anew or finds the write."""
        flight = self.lead(slots, clock, "k")
        if end == "delete":
            assert slots.delete("k", "deleted")
        elif end == "expire":
            assert slots.expire("k")
        elif end == "clear":
            slots.clear()
        else:
            slots.put("k", self.entry(slots, clock, "written"))
        assert slots.names() == (["k"] if end == "put" else [])
        after = slots.claim("k", Work(clock()))
        assert isinstance(after, Found if end == "put" else Lead)
        assert slots.fill(flight, self.entry(slots, clock, "old"), tags=(), result="old") == "refused"
        assert flight.settled
        assert flight.shareable
        assert slots.get("k") == ("written" if end == "put" else None)
        slots.give_up(flight, ConnectionError())
        if isinstance(after, Lead):
            assert slots.peek("k")[0] is after.flight

    @pytest.mark.parametrize("gone", [True, False])
    def test_a_tag_that_ends_hides_what_began_before(self, slots: Slots, clock: FakeClock, gone: bool) -> None:  # noqa: FBT001
        """Entries and flights alike; who joined the flight starts over."""
        slots.put("kept", self.entry(slots, clock, 1))
        slots.put("ended", self.entry(slots, clock, 1, tagged=True))
        flight = self.lead(slots, clock, "k")
        old = make("old", clock(), Spans(60.0), tags=TAGS, instant=flight.instant)
        slots.end_tags(TAGS, gone=gone)
        assert slots.fill(flight, old, tags=TAGS, result="old") == "hidden"
        assert not flight.shareable
        assert [slots.get(name) for name in ("kept", "ended", "k")] == [1, None, None]

    def test_a_flight_costs_no_capacity(self, slots: Slots, engine: Engine, clock: FakeClock) -> None:
        """Claims evict nothing."""
        for name in "abc":
            slots.put(name, self.entry(slots, clock, name))
        flights = [self.lead(slots, clock, f"new:{number}") for number in range(5)]
        assert len(engine) == 3
        for flight in flights:
            slots.give_up(flight, ConnectionError())

    def test_a_stale_entry_is_back_when_its_load_fails(self, slots: Slots, clock: FakeClock) -> None:
        """It is a fallback during the load and after it, and gone once it is deleted."""
        entry = self.entry(slots, clock, "old", window=600.0)
        slots.put("k", entry)
        assert slots.expire("k")
        assert slots.get("k") is None
        flight = self.lead(slots, clock, "k")
        assert flight.stale is entry
        assert slots.fallback("k", entry) == "old"
        slots.give_up(flight, ConnectionError())
        assert slots.peek("k")[1:] == ("old", Verdict.ENDED)
        slots.delete("k", "deleted")
        assert slots.fallback("k", entry) is MISSING

    def test_a_fresh_entry_is_answered_while_it_is_renewed(self, slots: Slots, clock: FakeClock) -> None:
        """A renewal replaces it only once it has landed."""
        slots.put("k", self.entry(slots, clock, 1))
        claim = slots.renew("k", Work(clock()))
        assert slots.get("k") == 1
        assert slots.fill(claim.flight, self.entry(slots, clock, 2), tags=(), result=2) == "stored"
        assert slots.get("k") == 2

    def test_the_last_caller_that_leaves_cancels_the_work(self, slots: Slots, clock: FakeClock) -> None:
        """The flight has then left its slot; a work that cannot be cancelled keeps it."""
        cancelled: list[bool] = []
        flight = self.lead(slots, clock, "k")
        slots.claim("k", Work(clock()))
        flight.work.cancel = lambda: cancelled.append(True)
        slots.leave(flight.work)
        assert not cancelled
        slots.leave(flight.work)
        assert cancelled
        assert slots.names() == []
        kept = self.lead(slots, clock, "kept")
        slots.leave(kept.work)
        assert slots.names() == ["kept"]

    def test_touch_gives_a_fresh_entry_a_new_life(self, slots: Slots, clock: FakeClock) -> None:
        """And does not make anything out of one that is over."""
        slots.put("k", self.entry(slots, clock, 1))
        clock.advance(50)
        assert slots.touch("k", 60)
        clock.advance(50)
        assert slots.get("k") == 1
        clock.advance(10)
        assert not slots.touch("k", 60)

    def test_put_only_absent_leaves_what_is_fresh(self, slots: Slots, clock: FakeClock) -> None:
        """None says that something fresh forbade it."""
        assert slots.put("k", self.entry(slots, clock, 1), only_absent=True) == "stored"
        assert slots.put("k", self.entry(slots, clock, 2), only_absent=True) == "there"
        assert slots.get("k") == 1

    def test_a_stamp_makes_entries_prove_themselves_and_loses_none(self, slots: Slots, clock: FakeClock) -> None:
        """The ending of a tag raises the stamp; entries without the tag are answered as before."""
        slots.put("k", self.entry(slots, clock, 1))
        before = slots.stamp
        slots.end_tags(("another",), gone=True)
        assert slots.stamp > before
        assert slots.get("k") == 1
        kept = slots.peek("k")[0]
        assert kept is not None
        assert kept.stamp == slots.stamp

    def test_a_fill_without_an_entry_removes_what_stood_there(self, slots: Slots, clock: FakeClock) -> None:
        """The outcome, an error among them, still goes to those who wait."""
        slots.put("k", self.entry(slots, clock, 1))
        flight = slots.renew("k", Work(clock())).flight
        woken: list[bool] = []
        flight.on_settled(lambda: woken.append(True))
        error = LookupError("k")
        assert slots.fill(flight, None, tags=(), result=None, error=error) == "skipped"
        assert woken == [True]
        assert flight.error is error
        assert slots.names() == []

    def test_a_stale_entry_does_not_outlive_its_deletion_or_eviction(self, slots: Slots, clock: FakeClock) -> None:
        """A flight that is given up restores only what is still held."""
        for end in ("delete", "evict"):
            entry = self.entry(slots, clock, "old", window=600.0)
            slots.put("k", entry)
            slots.expire("k")
            flight = self.lead(slots, clock, "k")
            if end == "delete":
                slots.delete("k", "deleted")
            for name in "abc":
                slots.put(name, self.entry(slots, clock, name))
            slots.give_up(flight, ConnectionError())
            assert slots.fallback("k", entry) is MISSING
            assert sorted(map(str, slots.names())) == ["a", "b", "c"]

    def test_looking_uses_and_removes_nothing(self, slots: Slots, clock: FakeClock) -> None:
        """`peek`, `why` and `names` leave order, counts and the dead as they are; `len` removes the dead."""
        for name in "abc":
            slots.put(name, self.entry(slots, clock, name, life=60.0 if name == "c" else 120.0))
        counted = (slots.hits, slots.misses)
        assert slots.peek("a")[1:] == ("a", Verdict.FRESH)
        assert slots.peek("none") == (None, MISSING, Verdict.DEAD)
        slots.put("d", self.entry(slots, clock, "d"))
        assert [slots.why(name) for name in ("a", "none")] == ["evicted", "absent"]
        clock.advance(60)
        assert slots.peek("c")[2] is Verdict.DEAD
        assert slots.why("c") == "expired"
        assert sorted(map(str, slots.names())) == ["b", "c", "d"]
        flight = self.lead(slots, clock, "new")
        assert slots.why("new") == "loading"
        assert len(slots) == 1
        assert sorted(map(str, slots.names())) == ["b", "new"]
        assert (slots.hits, slots.misses) == (counted[0], counted[1] + 1)
        slots.give_up(flight, ConnectionError())

    def test_a_value_whose_end_calls_the_engine_harms_nothing(self, slots: Slots, clock: FakeClock) -> None:
        """A value's __del__ runs outside the critical section, or inside one that it may enter again."""
        ended: list[str] = []

        class Calls:
            def __del__(self) -> None:
                ended.append("value")
                slots.delete("other", "deleted")
                slots.put("other", make(1, clock(), Spans(60.0), tags=(), instant=0))
                slots.claim("flown", Work(clock()))

        for name in "abcdef":
            slots.put(name, self.entry(slots, clock, Calls()))
        slots.put("f", self.entry(slots, clock, 1))
        slots.put("g", self.entry(slots, clock, Calls()))
        slots.delete("g", "deleted")
        slots.clear()
        gc.collect()
        assert len(ended) == 7
        assert len(slots) <= 1

    def test_a_collection_inside_a_step_may_call_the_engine(self, clock: FakeClock) -> None:
        """Garbage is collected at any allocation, under a lock too: one that is not re-entrant hangs."""
        engine = self.make_engine(3, clock)
        slots = engine.table("suite")
        ended: list[object] = []

        class Garbage:
            def __init__(self) -> None:
                self.itself = self

            def __del__(self) -> None:
                ended.append(slots.delete("other", "deleted"))

        def work() -> None:
            for number in range(2_000):
                gc.set_threshold(1 + number % 37)  # so that it falls on every step in turn
                Garbage()
                slots.put(f"{number % 5}", self.entry(slots, clock, number))
                slots.claim(f"{number % 7}", Work(clock()))
                slots.delete(f"{number % 3}", "deleted")
            engine.check()
            ended.append("checked")

        before = gc.get_threshold()
        try:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(20)
        finally:
            gc.set_threshold(*before)
        assert not thread.is_alive(), "it waits for a lock that it holds itself"
        assert "checked" in ended

    @staticmethod
    def _land(slots: Slots, claim: object, entry: Entry, rng: random.Random) -> None:
        if not isinstance(claim, Lead):
            return
        if rng.random() < 0.7:
            slots.fill(claim.flight, entry, tags=(), result=entry.value)
        else:
            slots.give_up(claim.flight, ConnectionError())

    def test_threads_break_nothing(self, slots: Slots, engine: Engine, clock: FakeClock) -> None:
        """Eight threads of random operations with a switch interval of 10 microseconds."""
        wrong: list[object] = []

        def work(seed: int) -> None:
            rng = random.Random(seed)
            try:
                for _ in range(1_500):
                    name = rng.choice("abcdefgh")
                    step = rng.randrange(12)
                    if step < 3:
                        value = slots.get(name, name)
                        if value != name:
                            wrong.append(value)
                    elif step < 5:
                        slots.put(name, self.entry(slots, clock, name, tagged=step == 4))
                    elif step == 5:
                        slots.delete(name, "deleted")
                    elif step in {6, 7}:
                        begin = slots.claim if step == 6 else slots.renew
                        self._land(slots, begin(name, Work(clock())), self.entry(slots, clock, name), rng)
                    elif step == 8:
                        slots.put(name, self.entry(slots, clock, name, window=60.0))
                        slots.expire(name)
                    elif step == 9:
                        slots.touch(name, 60.0)
                    elif step == 10:
                        slots.clear()
                    else:
                        slots.end_tags(TAGS, gone=True)
            except BaseException as error:  # noqa: BLE001  to be seen in the test's own thread
                wrong.append(error)

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert wrong == []
        assert len(engine) <= 3
