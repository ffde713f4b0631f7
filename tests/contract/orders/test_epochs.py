"""Epochs at the store: counts, records and the generation, and what it means that one of them is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from hotset.core.far import Far
from hotset.entry.epochs import Verdict
from hotset.entry.known import judge
from hotset.stores.base import Command
from hotset.stores.protocol import Epochs, Operation
from hotset.stores.redis.operations import RedisOperations
from tests.contract.orders import breaks
from tests.contract.orders.stage import TAG, Member, Stage, Violation

OLD = "version 0, the floor was 1"


def a_tag_ends_during_a_load(stage: Stage) -> Member:
    """The order of `instant_at_start`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader(tags=[TAG]).to("loaded")
    ender = p1.ender("delete_tag").to("after TAGS")
    reader.to("after SWAP")
    ender.result()
    p0.read(tags=[TAG])
    return p0


def test_instant_at_start(stage: Stage) -> None:
    """p0 has loaded; p1's ending of the tag acts; p0 fills, which is accepted; p1 returns; p0 reads again."""
    p0 = a_tag_ends_during_a_load(stage)
    assert [replies[0] for step, replies in p0.answers if step == "SWAP"] == [1, 1]


def test_instant_at_start_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry whose instant is the count at the end of its load."""
    make = Far.make

    def late(space: Far, *values: Any, **facts: Any) -> Any:
        return make(space, *values, **{**facts, "instant": int(stage.server.cli("GET", stage.key("seq")))})

    monkeypatch.setattr(Far, "make", late)
    with pytest.raises(Violation, match=OLD):
        a_tag_ends_during_a_load(stage)


def a_tag_ends_during_a_write(stage: Stage) -> Member:
    """The order of `set_begins_first`."""
    p0, p1 = stage.stored(tags=[TAG]).process(), stage.process()
    writer = p0.actor(p0.set_tagged).to("PUT")
    ender = p1.ender("delete_tag").to("after TAGS")
    writer.to("after PUT")
    ender.result()
    p1.read(tags=[TAG])
    writer.result()
    return p0


def test_set_begins_first(stage: Stage) -> None:
    """p0 writes version 1, its instant is known; p1 ends the tag for version 2; p0's PUT lands; p1 reads."""
    p0 = a_tag_ends_during_a_write(stage)
    assert p0.sync.packets[-2:] == [["BEGIN"], ["PUT", "GET"]]
    assert p0.answer("PUT") == b"stored"


def test_set_begins_first_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write whose instant is the count when it lands."""
    put = RedisOperations.put

    def late(steps: RedisOperations, name: Any, record: Any, *rest: Any) -> Operation[Any]:
        def build(identity: Any) -> Any:
            count = int(stage.server.cli("GET", stage.key("seq")))
            return put(steps, name, replace(record, instant=count), *rest).build(identity)

        return Operation(build, put(steps, name, record, *rest).parse)

    monkeypatch.setattr(RedisOperations, "put", late)
    with pytest.raises(Violation, match="version 1, the floor was 2"):
        a_tag_ends_during_a_write(stage)


def a_tag_ended_by_a_slow_clock(stage: Stage) -> Member:
    """The order of `one_counter`."""
    p0, p1 = stage.process(), stage.process()
    p0.read(tags=[TAG])
    p1.store.told(p1.store.now() - 3_600_000_000)  # p1 believes that it is an hour earlier than it is
    p1.end("delete_tag")
    p0.read(tags=[TAG])
    return p1


def test_one_counter(stage: Stage) -> None:
    """p0 reads and fills; p1, whose clock is an hour late, ends the tag; p0 reads again."""
    p1 = a_tag_ended_by_a_slow_clock(stage)
    gone, _ = map(int, stage.server.cli("GET", stage.key("tag")).split())
    assert gone > p1.store.now() + 3_000_000_000, "the count is not p1's clock"


def test_one_counter_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ending that writes the time of its process's clock into the tag's record."""

    def by_clock(steps: RedisOperations, tags: Iterable[str], *, gone: bool) -> Operation[Any]:
        now = min(each.store.now() for each in stage.members)
        return Operation(lambda _: [Command(("SET", stage.key("tag"), f"{now} {now}"))], lambda *_: None)

    monkeypatch.setattr(RedisOperations, "end_tags", by_clock)
    with pytest.raises(Violation, match=OLD):
        a_tag_ended_by_a_slow_clock(stage)


def a_reader_who_does_not_foresee_the_tag(stage: Stage) -> Member:
    """The order of `unforeseen_tags`."""
    p0, p1 = stage.stored(tags=[TAG]).process(), stage.process()
    p1.end("delete_tag")
    p0.read()
    return p0


def test_unforeseen_tags(stage: Stage) -> None:
    """p1 ends the tag; p0 reads without knowing that the entry carries it, and asks for its record then."""
    p0 = a_reader_who_does_not_foresee_the_tag(stage)
    assert [step for step, _ in p0.answers if step in {"LOOK", "EPOCHS"}][-2:] == ["LOOK", "EPOCHS"]


def test_unforeseen_tags_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who takes a tag that it did not ask for to have never ended."""
    epochs = RedisOperations.epochs

    def unasked(steps: RedisOperations, tags: Iterable[str]) -> Operation[Epochs]:
        names, real = tuple(tags), epochs(steps, ())
        return Operation(real.build, lambda *said: replace(real.parse(*said), records=dict.fromkeys(names, (0, 0))))

    monkeypatch.setattr(RedisOperations, "epochs", unasked)
    with pytest.raises(Violation, match=OLD):
        a_reader_who_does_not_foresee_the_tag(stage)


def a_clear(stage: Stage) -> Member:
    """The order of `generation`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader().to("after SWAP")
    p1.end("clear")
    p0.read()
    reader.result()
    return p0


def test_generation(stage: Stage) -> None:
    """p0 has filled; p1 clears the namespace, which removes nothing; p0 reads again."""
    p0 = a_clear(stage)
    assert isinstance(p0.answer("LOOK")[0], bytes), "the entry still stands there"


def test_generation_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict for which all generations are one."""

    def any_generation(copy: Any, generation: Any, records: Any, now: float) -> Verdict:
        return judge(copy, copy.generation, records, now)

    monkeypatch.setattr("hotset.core.far.judge", any_generation)
    with pytest.raises(Violation, match=OLD):
        a_clear(stage)


def a_record_is_lost(stage: Stage) -> Member:
    """The order of `lost_epoch_hides`."""
    p0, p1 = stage.stored(tags=[TAG]).process(), stage.process()
    p1.end("delete_tag")
    reader = p0.reader(tags=[TAG]).to("LOOK")
    stage.lose("tag")
    reader.result()
    return p0


def test_lost_epoch_hides(stage: Stage) -> None:
    """p1 ends the tag; p0 begins to read; the server evicts the tag's record; p0 asks."""
    p0 = a_record_is_lost(stage)
    entry, *_, record = p0.answer("LOOK")
    assert isinstance(entry, bytes)
    assert record is None


def test_lost_epoch_hides_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict for which an unknown record says that nothing ended."""

    def hopeful(copy: Any, generation: Any, records: Any, now: float) -> Verdict:
        known = {tag: record or (0, 0) for tag, record in records.items()}
        return judge(copy, generation, known, now)

    monkeypatch.setattr("hotset.core.far.judge", hopeful)
    with pytest.raises(Violation, match=OLD):
        a_record_is_lost(stage)


def a_record_is_lost_during_a_load(stage: Stage) -> Member:
    """The order of `record_at_count`."""
    p0, p1 = stage.process(), stage.process()
    reader = p0.reader(result_tags=[TAG]).to("SWAP")
    p1.end("delete_tag")
    later = p1.reader().to("LOOK")
    stage.lose("tag")
    reader.result()
    later.result()
    return p0


def test_record_at_count(stage: Stage) -> None:
    """p0 has loaded a value that names the tag; p1 ends that, and reads; the record is lost; p0 fills and begins it."""
    p0 = a_record_is_lost_during_a_load(stage)
    assert ["SWAP", "BEGIN"] in p0.sync.packets
    assert p0.answer("SWAP") == 1


def test_record_at_count_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A BEGIN that makes a missing record as if its tag had never ended."""
    breaks.script(monkeypatch, "BEGIN", "known = seq .. ' ' .. seq", "known = '0 0'")
    with pytest.raises(Violation, match=OLD):
        a_record_is_lost_during_a_load(stage)


def the_counter_is_lost(stage: Stage) -> Member:
    """The order of `seq_lost_is_clear`."""
    p0, p1 = stage.stored(tags=[TAG]).process(), stage.process()
    ender = p1.ender("delete_tag").to("TAGS")
    stage.lose("seq")
    ender.result()
    p0.read(tags=[TAG])
    return p0


def test_seq_lost_is_clear(stage: Stage) -> None:
    """p1 is to end the tag; the server evicts the count; the ending acts, and begins a new generation; p0 reads."""
    generations = [stage.stored(tags=[TAG]).server.cli("GET", stage.key("gen"))]
    the_counter_is_lost(stage)
    generations.append(stage.server.cli("GET", stage.key("gen")))
    assert len(set(generations)) == 2


def test_seq_lost_is_clear_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost count that starts again, from nothing, in the same generation."""
    breaks.script(monkeypatch, "TAGS", " or not seq then", " then")
    breaks.script(monkeypatch, "TAGS", "seq = now;", "seq = '0';")
    with pytest.raises(Violation, match=OLD):
        the_counter_is_lost(stage)
