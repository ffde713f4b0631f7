"""What an older version may not replace: a part of `EngineConformance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotset.engine.flight import Lead, Work
from hotset.entry.entry import Facts, Spans, make
from hotset.entry.epochs import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.engine.flight import Flight
    from hotset.engine.protocol import Slots
    from hotset.entry.entry import Entry
    from hotset.testing.clock import FakeClock

_TAGS = ("versions",)


class VersionsConformance:
    """Versions of values at their source."""

    @staticmethod
    def versioned(slots: Slots, clock: FakeClock, version: int, **said: Any) -> Entry:
        """Return an entry whose value is its version; a minute of life, an hour of fallback."""
        good, instant = Spans(60.0, fallback=said.pop("window", 3_600.0)), slots.epochs.count
        return make(version, clock(), good, tags=_TAGS, instant=instant, facts=Facts(version), **said)

    @staticmethod
    def renewed(slots: Slots, clock: FakeClock, name: str) -> Flight:
        """Begin a load over whatever stands there, and return its flight."""
        lead = slots.renew(name, Work(clock()))
        assert isinstance(lead, Lead)
        return lead.flight

    def test_an_older_version_is_not_put(self, slots: Slots, clock: FakeClock) -> None:
        """What stands there stays, fresh or stale, and so does a load; the same version is none older, 0 is none."""
        assert slots.put("k", self.versioned(slots, clock, 7)) == "stored"
        assert slots.put("k", self.versioned(slots, clock, 6)) == "older"
        assert slots.peek("k")[1:] == (7, Verdict.FRESH)
        clock.advance(61)
        flight = self.renewed(slots, clock, "k")
        for only_absent in (False, True):
            assert slots.put("k", self.versioned(slots, clock, 6), only_absent=only_absent) == "older"
        assert slots.peek("k") == (flight, 7, Verdict.STALE)
        for version in (7, 8, 0, 1):
            assert slots.put("k", self.versioned(slots, clock, version)) == "stored"
            assert slots.peek("k")[1:] == (version, Verdict.FRESH)
        assert slots.fill(flight, None, tags=(), result=9) == "refused"

    def test_an_older_version_is_no_fill(self, slots: Slots, clock: FakeClock) -> None:
        """Its own caller has it, nobody who joined, and what it was to replace is back in its slot."""
        for ages in (0, 61):
            slots.put("k", self.versioned(slots, clock, 7))
            clock.advance(ages or "1ms")
            verdict, refused = slots.peek("k")[2], slots.counts.refused_fills
            flight = self.renewed(slots, clock, "k")
            assert slots.fill(flight, self.versioned(slots, clock, 6), tags=_TAGS, result=6) == "older"
            assert (flight.result, flight.shareable) == (6, False)
            assert slots.peek("k")[1:] == (7, verdict)
            assert slots.counts.refused_fills == refused + 1
            again = self.renewed(slots, clock, "k")
            assert slots.fill(again, self.versioned(slots, clock, 7), tags=_TAGS, result=7) == "stored"
            assert again.shareable

    def test_what_is_dead_refuses_nothing(self, slots: Slots, clock: FakeClock) -> None:
        """Deleted, by its key or tag, cleared, past its last window: a source that was set back is taken as it is."""
        endings: list[Callable[[], object]] = [
            lambda: slots.delete("k", "deleted"),
            lambda: slots.end_tags(_TAGS, gone=True),
            slots.clear,
            lambda: clock.advance(3_700),
        ]
        for end in endings:
            slots.put("k", self.versioned(slots, clock, 7))
            end()
            assert slots.put("k", self.versioned(slots, clock, 6)) == "stored"
            slots.put("k", self.versioned(slots, clock, 7))
            end()
            flight = self.renewed(slots, clock, "k")
            assert slots.fill(flight, self.versioned(slots, clock, 6), tags=_TAGS, result=6) == "stored"
            slots.delete("k", "deleted")
