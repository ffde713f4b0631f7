"""Random sequences of a store's steps, each answer compared with a small model's. Needs Hypothesis."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from hotset.entry.wire import Record
from hotset.stores.protocol import Busy, Changed, Epochs, Kept, Won
from hotset.testing.store_suite import HOUR, NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.stores.protocol import Counts, Lease, Operations
    from hotset.testing.store_suite import Ask

NAMES = ("a", "{b}", "*")
TAGS = ("t", "u")
OLD = b"old-gen."

names = st.sampled_from(NAMES)
some_names = st.lists(names, max_size=3, unique=True)
some_tags = st.lists(st.sampled_from(TAGS), max_size=2, unique=True)
versions = st.integers(0, 2)
picks = st.sampled_from(["present", "present", "present", "none", "other"])
"""Which mark a caller has seen."""
runs = st.sampled_from([None, None, None, "run 2", "run 3"])


@dataclass
class Model:
    """What a store holds of one namespace: PROTOCOL 4.1 in a few lines, without the time."""

    generation: bytes | None = None
    count: int = 0
    runs: set[str | None] = field(default_factory=set)
    records: dict[str, Counts] = field(default_factory=dict)
    entries: dict[str, Record] = field(default_factory=dict)
    leases: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Refresh leases, by name: id and the mark that each is for."""

    def mark(self, name: str) -> bytes:
        """Return the mark that stands there."""
        return self.entries[name].mark if name in self.entries else b""

    def lease(self, name: str, seen: bytes, lease: bytes, generation: bytes, *, refresh: bool) -> Lease:
        """Take a lease. A `Busy` of the model leaves open how long."""
        there, mark = self.entries.get(name), self.mark(name)
        if refresh:
            if there is None or mark != seen:
                return Changed()
            holder, held = self.leases.get(name, (b"", b""))
            if held == seen:
                return Busy(holder, 0)
            self.leases[name] = lease, seen
            return Won(seen)
        if there is not None and mark != seen:
            if not there.placeholder:
                return Changed()
            if there.generation == generation:
                return Busy(mark, 0)
        self.entries[name] = Record(lease, generation, placeholder=True)
        return Won(lease)

    def swap(self, name: str, base: bytes, record: Record) -> str:
        """Fill."""
        if name not in self.entries or self.mark(name) != base:
            return "changed"
        self.leases.pop(name, None)
        if self._older(name, record):
            return "older"
        self.entries[name] = record
        return "stored"

    def keep(self, name: str, base: bytes, kept: Kept) -> str:
        """Fill with the value that stands there."""
        there = self.entries.get(name)
        if there is None or there.mark != base or there.placeholder:
            return "changed"
        self.leases.pop(name, None)
        self.entries[name] = replace(there, mark=kept.mark, began_at=kept.began_at, soft=kept.soft, ended=False)
        return "stored"

    def put(self, name: str, record: Record, *, late: bool, absent: bytes | None) -> str:
        """Write."""
        if late:
            return "late"
        if absent is not None and name in self.entries and self.mark(name) != absent:
            return "there"
        if absent is None and self._older(name, record):
            return "older"
        self.entries[name] = record
        return "stored"

    def _older(self, name: str, record: Record) -> bool:
        return bool(record.version) and name in self.entries and self.entries[name].version > record.version

    def expire(self, name: str, mark: bytes) -> None:
        """End, under the new mark that the store gave."""
        there = self.entries[name]
        if there.placeholder or there.negative or not there.window:
            del self.entries[name]
        else:
            self.entries[name] = replace(there, mark=mark, ended=True)


class StoreMachine(RuleBasedStateMachine):
    """Performs steps, and has the model say what they should answer."""

    ask: Ask
    make: Callable[[], Operations]
    _marks = itertools.count(1)

    @initialize()
    def begin_new(self) -> None:
        """A namespace that nobody has used."""
        self.steps = self.make()
        self.model = Model()
        self._begun(None, self.ask(self.steps.begin(())))

    def _mark(self) -> bytes:
        return next(self._marks).to_bytes(8, "big")

    def _pick(self, name: str, pick: str) -> bytes:
        return {"present": self.model.mark(name), "none": b"", "other": b"another."}[pick]

    def _record(self, version: int, kind: int) -> Record:
        generation = self.model.generation or OLD
        return Record(
            self._mark(), generation, version=version, window=kind % 2, negative=kind == 3, codec=1, body=b"x" * kind
        )

    def _begun(self, run: str | None, epochs: Epochs) -> None:
        """Take over a generation where one had to be made; it stays where none had to."""
        model = self.model
        if run in model.runs:
            assert epochs.generation == model.generation
        else:
            assert epochs.generation not in {model.generation, None}
        model.count = model.count or epochs.count or 0
        model.runs.add(run)
        model.generation = epochs.generation
        self._same(epochs)

    def _same(self, epochs: Epochs) -> None:
        model = self.model
        assert (epochs.generation, epochs.count) == (model.generation, model.count)
        assert epochs.records == {tag: model.records.get(tag) for tag in epochs.records}

    @rule(tags=some_tags, run=runs)
    def begin(self, tags: list[str], run: str | None) -> None:
        """Records begin at the present count."""
        epochs = self.ask(self.steps.begin(tags), run)
        for tag in tags:
            self.model.records.setdefault(tag, (self.model.count, self.model.count))
        self._begun(run, epochs)

    @rule(tags=some_tags, gone=st.booleans(), run=runs)
    def end_tags(self, tags: list[str], gone: bool, run: str | None) -> None:  # noqa: FBT001  drawn
        """One count more."""
        model = self.model
        self.ask(self.steps.end_tags(tags, gone=gone), run)
        model.count += 1
        for tag in tags:
            first, _ = model.records.get(tag, (model.count, 0))
            model.records[tag] = (model.count if gone else first, model.count)
        self._learn(run)

    @rule()
    def clear(self) -> None:
        """A new generation."""
        before = self.model.generation
        self.ask(self.steps.clear())
        epochs = self.ask(self.steps.epochs(TAGS))
        assert epochs.generation not in {before, None}
        self.model.generation = epochs.generation
        self._same(epochs)

    def _learn(self, run: str | None) -> None:
        """As `_begun`, after a step that does not say."""
        epochs = self.ask(self.steps.epochs(TAGS))
        self._begun(run, epochs)

    @rule(asked=some_names, pick=picks, old=st.booleans(), refresh=st.booleans())
    def lease(self, asked: list[str], pick: str, old: bool, refresh: bool) -> None:  # noqa: FBT001  drawn
        """Of this generation, or of another."""
        model, lease = self.model, self._mark()
        generation = OLD if old else model.generation or OLD
        seen = [self._pick(name, pick) for name in asked]
        refreshed = set(asked) if refresh else set[str]()
        answers = self.ask(self.steps.lease(asked, seen, lease, generation, HOUR, refresh=refreshed))
        for name, mark, answer in zip(asked, seen, answers, strict=True):
            expected = model.lease(name, mark, lease, generation, refresh=refresh)
            if isinstance(expected, Busy):
                assert isinstance(answer, Busy)
                assert answer.holder == expected.holder
                assert 0 < answer.seconds <= HOUR
            else:
                assert answer == expected

    @rule(asked=some_names, pick=picks, version=versions, kind=st.integers(0, 3), tags=some_tags, begin=st.booleans())
    def swap(self, asked: list[str], pick: str, version: int, kind: int, tags: list[str], begin: bool) -> None:  # noqa: FBT001  drawn
        """Fills, and their proof."""
        fills = [(name, self._pick(name, pick), self._record(version, kind), HOUR) for name in asked]
        swapped, epochs = self.ask(self.steps.swap(fills, tags, begin=begin))
        assert swapped == [self.model.swap(name, base, record) for name, base, record, _ in fills]
        if begin:
            for tag in tags:
                self.model.records.setdefault(tag, (self.model.count, self.model.count))
        self._same(epochs)

    @rule(asked=some_names, pick=picks, soft=st.integers(-(2**63), 2**63 - 1))
    def keep(self, asked: list[str], pick: str, soft: int) -> None:
        """Fills whose value stands there already."""
        fills = [(name, self._pick(name, pick), Kept(self._mark(), ~soft, soft), HOUR) for name in asked]
        kept, _ = self.ask(self.steps.swap(fills, (), begin=False))
        assert kept == [self.model.keep(name, base, record) for name, base, record, _ in fills]

    @rule(name=names, version=versions, kind=st.integers(0, 3), late=st.booleans(), absent=st.none() | picks)
    def put(self, name: str, version: int, kind: int, late: bool, absent: str | None) -> None:  # noqa: FBT001  drawn
        """A write, whatever stands there or only over what was seen."""
        record = self._record(version, kind)
        seen = self._pick(name, absent) if absent is not None else None
        answer = self.ask(self.steps.put(name, record, HOUR, 0 if late else NEVER, seen))
        assert answer == self.model.put(name, record, late=late, absent=seen)

    @rule(asked=some_names)
    def unlink(self, asked: list[str]) -> None:
        """Gone; refresh leases stay behind, for a mark that will not come back."""
        there = [name for name in asked if self.model.entries.pop(name, None)]
        assert self.ask(self.steps.unlink(asked)) == len(there)

    @rule(asked=some_names)
    def expire(self, asked: list[str]) -> None:
        """Stale, or gone."""
        there = [name for name in asked if name in self.model.entries]
        assert self.ask(self.steps.expire(asked)) == len(there)
        seen, _ = self.ask(self.steps.look(there, ()))
        for name, each in zip(there, seen, strict=True):
            assert each.mark != self.model.mark(name)
            self.model.expire(name, each.mark)

    @rule(name=names, pick=picks, soft=st.integers(-(2**63), 2**63 - 1))
    def touch(self, name: str, pick: str, soft: int) -> None:
        """A new soft expiry, for what is neither a lease nor ended."""
        there, mark = self.model.entries.get(name), self._pick(name, pick)
        may = there is not None and there.mark == mark and not (there.placeholder or there.ended)
        assert self.ask(self.steps.touch(name, mark, HOUR, soft)) is may
        if there is not None and may:
            self.model.entries[name] = replace(there, soft=soft)

    @rule(asked=some_names, mine=names, other=st.booleans(), renew=st.booleans())
    def let_go(self, asked: list[str], mine: str, other: bool, renew: bool) -> None:  # noqa: FBT001  drawn
        """Give leases back, or hold them longer: those that have this id."""
        model = self.model
        held = model.entries.get(mine)
        lease = held.mark if held is not None and held.placeholder else model.leases.get(mine, (b"none....", b""))[0]
        lease = b"another." if other else lease
        if renew:
            self.ask(self.steps.renew(asked, lease, HOUR))
            return
        self.ask(self.steps.release(asked, lease))
        for name in asked:
            there = model.entries.get(name)
            if there is not None and there.placeholder and there.mark == lease:
                del model.entries[name]
            elif model.leases.get(name, (b"", b""))[0] == lease:
                del model.leases[name]

    @rule(asked=some_names, tags=some_tags)
    def look(self, asked: list[str], tags: list[str]) -> None:
        """All as the model has it."""
        seen, epochs = self.ask(self.steps.look(asked, tags))
        assert [(each.record, each.mark, each.garbled) for each in seen] == [
            (self.model.entries.get(name), self.model.mark(name), False) for name in asked
        ]
        assert epochs.records.keys() == set(tags)
        self._same(epochs)
        for name in asked:
            assert self.ask(self.steps.check(name, ()))[0] == self.model.mark(name)

    @rule()
    def scan(self) -> None:
        """Every name that stands there, and no other."""
        cursor, found = 0, set[Any]()
        while True:
            cursor, page = self.ask(self.steps.scan(cursor))
            found |= set(page)
            if not cursor:
                break
        assert found == set(self.model.entries)

    def teardown(self) -> None:
        """In the end too."""
        if hasattr(self, "model"):
            self.look(list(NAMES), list(TAGS))
            self.scan()


def run(ask: Ask, make: Callable[[], Operations], *, examples: int = 60, length: int = 30) -> None:
    """Run the machine against a store; `make` returns the steps on a namespace that nobody has used."""
    machine = type("Machine", (StoreMachine,), {"ask": staticmethod(ask), "make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=length,
            deadline=None,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],  # without `explain`, which takes as long again
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
