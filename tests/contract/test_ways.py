"""Rows W1, W2 and W14 for each way in which a load comes about, with and without a store, ended here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from hotset import Cache
from tests.contract.conftest import PATIENCE, Readers, Source, wait_until
from tests.contract.fleet import Fleet, Link, Offers, is_push, linked, settle, waiting
from tests.contract.ways import KEY, TAGS, WAYS, Landed, Way, each_way, ends
from tests.services.servers import Server

pytestmark = pytest.mark.usefixtures("patient")


def _cases(*places: str) -> list[Any]:
    """Each way with each ending at each place, the kinds of reader taking turns; in the long run each kind begins."""
    cases, kinds = [], Readers.ALL
    for number, (place, end) in enumerate(product(places, ends)):
        for turn, way in enumerate(WAYS):
            for behind, first in enumerate(kinds):
                later = kinds[(2 * number + turn + behind) % len(kinds)]
                marks = () if (number + turn + behind) % len(kinds) == 0 else pytest.mark.soak
                name = f"{place}-{way.name}-{end}-{first}-{later}"
                cases.append(pytest.param(place, way, end, first, later, id=name, marks=marks))
    return cases


def _ended(
    older: Cache,
    ender: Cache,
    readers: Readers,
    source: Source,
    case: tuple[Way, str, str, str],
    then: Callable[[], object] = lambda: None,
) -> None:
    """A load is under way, its key ends; who reads then gets what is newer, and the load is not kept."""
    way, end, first, later = case
    way.prepare(ender, older)
    landed = Landed(older)
    old = way.begin(readers, first, older, source)
    source.version = 2
    ends[end](ender)
    then()
    if older is not ender:
        settle(older)  # it has heard of it (row W4)
    windows = {name: asked for name, asked in way.asks.items() if not name.endswith("timeout")}
    new = readers.start(later, older, KEY, source, **windows, tags=TAGS)
    wait_until(lambda: new.done() or waiting(older, KEY) == 2)
    source.release()
    assert new.result(PATIENCE) == 2
    if way.gets is None:
        assert old.result(PATIENCE) == 1, "its read began before"
    loads = 1 if "set" in end else 2
    wait_until(lambda: len(landed.outcomes) == loads)
    assert [outcome for outcome in landed.outcomes if outcome != "stored"] in (["refused"], ["hidden"])
    assert source.loads == loads
    assert older.get(KEY) == ender.get(KEY) == 2
    assert older.stats().refused_fills == 1


alone = [pytest.param(*case.values[1:], id=case.id, marks=case.marks) for case in _cases("alone")]


@pytest.mark.parametrize("way, end, first, later", alone)
def test_w1_w2_w14_in_a_process_alone_a_load_is_not_served_after_its_key_has_ended(
    cache: Cache, source: Source, readers: Readers, way: Way, end: str, first: str, later: str
) -> None:
    """Nobody else's, and not kept, whoever waits for it or does not."""
    _ended(cache, cache, readers, source, (way, end, first, later))


@pytest.mark.parametrize("place, way, end, first, later", _cases("here", "elsewhere"))
def test_w1_w2_w14_over_a_store_a_load_is_not_served_after_its_key_has_ended(
    fleet: Fleet, source: Source, readers: Readers, place: str, way: Way, end: str, first: str, later: str
) -> None:
    """The same over a store, with a process tier; a third process finds what is newer too."""
    older, other = linked(fleet.cache()), fleet.cache()
    _ended(older, older if place == "here" else other, readers, source, (way, end, first, later))
    assert other.get(KEY) == 2


@pytest.mark.parametrize("lost", ["hs1:{shop}:gen", "hs1:{shop}:seq", "hs1:{shop}:t:users"])
@pytest.mark.parametrize("end", ["delete by tag", "expire by tag", "clear"])
@each_way
def test_w10_a_load_is_not_served_though_the_epoch_that_ended_it_is_lost(
    fleet: Fleet, store_server: Server, source: Source, readers: Readers, way: Way, end: str, lost: str
) -> None:
    """The server has evicted a record, the count or the generation in the meantime: that hides, and revives nothing."""
    older, ender = linked(fleet.cache()), fleet.cache()
    case = (way, end, "thread", "task")
    _ended(older, ender, readers, source, case, then=lambda: store_server.cli("DEL", lost))


# -- copies near of what was loaded

after = {"delete": None, "expire": None, "delete by tag": None, "expire by tag": None, "clear": None, "set": 2}
each_after = pytest.mark.parametrize("end, left", after.items(), ids=after.keys())


@each_after
@each_way
def test_w3_what_was_loaded_is_not_kept_near_once_it_has_ended_elsewhere(
    fleet: Fleet, source: Source, readers: Readers, way: Way, end: str, left: int | None
) -> None:
    """The fill was accepted, then the key ended, then the link was asked: it shows another mark, or a record."""
    older, ender = linked(fleet.cache()), fleet.cache()
    way.prepare(ender, older)
    landed = Landed(older)
    way.begin(readers, "thread", older, source)
    with Offers(older):
        source.release()
        wait_until(lambda: landed.outcomes == ["stored"])
        ends[end](ender)
    assert KEY not in older
    assert older.get(KEY) == left


@pytest.mark.parametrize("place", ["here", "elsewhere"])
@each_after
@each_way
def test_w8_messages_about_a_load_that_are_late_doubled_and_reordered_revive_nothing(
    fleet: Fleet, source: Source, readers: Readers, way: Way, end: str, left: int | None, place: str
) -> None:
    """All that the link says is heard after the load has landed, then once more the other way round."""
    older, other = linked(fleet.cache()), fleet.cache()
    ender = older if place == "here" else other
    way.prepare(other, older)
    landed = Landed(older)
    link = Link(older)
    link.hold()
    way.begin(readers, "thread", older, source)
    ends[end](ender)
    if place == "here":
        assert older.get(KEY) == left, "an own ending needs no message"
    source.release()
    wait_until(lambda: bool(landed.outcomes))
    assert landed.outcomes[0] in {"refused", "hidden"}
    if place == "here":
        assert older.get(KEY) == left
    said = [message for message in link.held if is_push(message)]
    link.flow()
    for message in reversed(said):
        link.run(link._hear, message)
        assert older.get(KEY) == left
    settle(older)
    assert older.get(KEY) == other.get(KEY) == left


# -- who joined before the ending

joined = [way for way in WAYS if way.name != "refresh ahead"]
"""What is fresh has no joiners: it is answered."""


@pytest.mark.parametrize("first", Readers.ALL)
@pytest.mark.parametrize("end", ["delete", "expire by tag", "clear", "set"])
@pytest.mark.parametrize("way", joined, ids=[way.name for way in joined])
def test_w1_w2_who_joined_a_load_before_an_ending_elsewhere_starts_over(
    fleet: Fleet, source: Source, readers: Readers, way: Way, end: str, first: str
) -> None:
    """Who joined before may take it, who joined after may not: the flight does not tell them apart, and gives none."""
    older, ender = linked(fleet.cache()), fleet.cache()
    way.prepare(ender, older)
    way.begin(readers, first, older, source)
    before = readers.start("thread", older, KEY, source, tags=TAGS)
    wait_until(lambda: waiting(older, KEY) == 2)
    source.version = 2
    ends[end](ender)
    after = readers.start("task", older, KEY, source, tags=TAGS)
    wait_until(lambda: waiting(older, KEY) == 3 or after.done())
    source.release()
    assert before.result(PATIENCE) == after.result(PATIENCE) == 2
    assert older.get(KEY) == ender.get(KEY) == 2
    assert source.loads == (1 if end == "set" else 2)
