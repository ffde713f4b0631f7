"""For how long what was loaded is good: its ttl, jitter, the odds of a refresh, and what its loader decides."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from hotset import Cache, loading
from hotset.core.decide import Step, decide, drawn, spans
from hotset.engine.aside import entry_of
from hotset.entry.entry import Entry, Facts, make
from hotset.entry.epochs import Verdict
from hotset.options import Options
from hotset.testing import isolated
from tests.unit.source import eventually

DRAWS = [(at + 0.5) / 2_000 for at in range(2_000)]
"""Draws that are as even as draws can be."""


def standing(cache: Cache, key: str = "k") -> Entry:
    """The entry under a key."""
    entry = entry_of(cache._space.table.peek(key)[0])
    assert entry is not None
    return entry


@pytest.mark.parametrize("cost", [0.05, 2.0])
@pytest.mark.parametrize("costs_left", [0.01, 0.5, 1.0, 3.0])
def test_xfetch_refreshes_with_the_odds_of_the_paper(cost: float, costs_left: float) -> None:
    """Vattani, Chierichetti, Lowenstein 2015, with beta 1: due once now - cost * ln(draw) >= expiry.

    So with the odds e ** -(time left / cost), which an optimal exponential has.
    """
    options = Options(ttl=600, refresh_ahead="xfetch")
    entry = make("v", 0.0, spans(options, 600, chance=0, cost=cost), tags=(), instant=0, facts=Facts(cost=cost))
    left = costs_left * cost
    steps = [decide(entry, Verdict.FRESH, 600 - left, options, draw) for draw in DRAWS]
    assert set(steps) <= {Step.ANSWER, Step.REFRESH}
    for draw, step in zip(DRAWS, steps, strict=True):
        assert (step is Step.REFRESH) is (-cost * math.log(draw) >= left)
    assert steps.count(Step.REFRESH) / len(DRAWS) == pytest.approx(math.exp(-costs_left), abs=1e-3)


def test_xfetch_is_not_thought_about_long_before() -> None:
    """A hit looks at one deadline: earlier than 20 costs before the end the odds are below one in 400 million."""
    options = Options(ttl=600, refresh_ahead="xfetch")
    entry = make("v", 0.0, spans(options, 600, chance=0, cost=2.0), tags=(), instant=0, facts=Facts(cost=2.0))
    assert entry.deadline == entry.due == 560
    assert decide(entry, Verdict.FRESH, 559.9, options, 1e-300) is Step.ANSWER
    assert math.exp(-20) < 1 / 400_000_000
    whole = make("v", 0.0, spans(options, 10, chance=0, cost=2.0), tags=(), instant=0, facts=Facts(cost=2.0))
    assert whole.due == 0.0  # at most its whole life


def test_a_draw_is_above_0_and_at_most_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its logarithm is taken."""
    for given, made in ((0.0, 1.0), (1 - 2**-53, 2**-53)):
        monkeypatch.setattr(random, "random", lambda given=given: given)
        assert drawn() == made


@pytest.mark.parametrize("behind", [False, True])
def test_the_cost_is_what_the_load_took(behind: bool) -> None:
    """In front of a reader or behind one, by the engine's clock."""
    cache = Cache(ttl=600, refresh_ahead="xfetch", stale_while_revalidate=600)
    with cache, isolated(cache) as clock:

        def load() -> str:
            clock.advance(3)
            return "new"

        if behind:
            cache.set("k", "old")
            assert standing(cache).facts.cost == 0
            clock.advance(601)
            assert cache.get_or_load("k", load) == "old"
            eventually(lambda: cache.get("k") == "new" or cache.get("k") is None)
            eventually(lambda: standing(cache).facts.cost > 0)
        else:
            assert cache.get_or_load("k", load) == "new"
        entry = standing(cache)
        assert entry.facts.cost == pytest.approx(3)
        assert entry.soft - entry.due == pytest.approx(60)


@pytest.mark.parametrize("verb", ["set", "load"])
def test_jitter_shortens_within_its_fraction(verb: str) -> None:
    """Never lengthens: a ttl is a promise. Evenly, so that what was stored together ends apart."""
    random.seed(15)
    cache = Cache(ttl=100, jitter=0.2)
    with cache, isolated(cache):
        for n in range(400):
            if verb == "set":
                cache.set(f"k{n}", n)
            else:
                cache.get_or_load(f"k{n}", lambda: 1)
        lives = sorted(standing(cache, f"k{n}").spans.life for n in range(400))
    assert 80 <= lives[0] < 81
    assert 99 < lives[-1] <= 100
    assert lives[200] == pytest.approx(90, abs=2)


@pytest.mark.parametrize("draw", DRAWS[::100])
def test_windows_begin_where_a_shortened_life_ends(draw: float) -> None:
    """They keep their own length; a refresh is due at the same fraction of what is left of the life."""
    options = Options(jitter=0.5, stale_while_revalidate=7, stale_if_error=9, refresh_ahead=0.75)
    good = spans(options, 100, chance=draw)
    assert 50 <= good.life <= 100
    assert (good.revalidate, good.fallback) == (7, 9)
    assert good.early == pytest.approx(good.life / 4)


def test_a_loader_decides_how_long_its_value_is_fresh() -> None:
    """Windows and the fraction of a refresh follow it; jitter may shorten that too."""
    cache = Cache(ttl=600, stale_if_error=50, refresh_ahead=0.5)

    def load() -> str:
        loading().ttl = "10s"
        return "v"

    with cache, isolated(cache) as clock:
        cache.get_or_load("k", load)
        entry = standing(cache)
        assert (entry.soft - clock(), entry.due - clock(), entry.hard - clock()) == (10, 5, 60)
        cache.get_or_load("l", load, jitter=0.5)
        assert 5 <= standing(cache, "l").soft - clock() <= 10


def test_a_loader_decides_tags_etag_and_version() -> None:
    """They stand beside the value; the next load is told the etag, and what says none has none."""
    cache = Cache(ttl=10, stale_if_error=100, tags=["all"])
    told: list[tuple[Any, Any]] = []

    def load(version: int | None = None, etag: str | None = None, same: bool = False) -> Any:
        load = loading()
        told.append((load.stale, load.etag))
        load.tags = ["one"]
        if version is not None:
            load.version = version
        if etag is not None:
            load.etag = etag
        return load.not_modified() if same else f"v{len(told)}"

    with cache, isolated(cache) as clock:

        def next_one(**decides: Any) -> tuple[Any, tuple[str, ...], int, str]:
            clock.advance(11)
            value = cache.get_or_load("k", lambda: load(**decides))
            entry = standing(cache)
            return value, entry.tags, entry.facts.version, entry.facts.etag

        tags = ("all", "one")
        assert next_one(version=7, etag='"a"') == ("v1", tags, 7, '"a"')
        assert next_one(same=True) == ("v1", tags, 7, '"a"')
        assert cache.lookup("k")
        assert next_one(version=8, same=True) == ("v1", tags, 8, '"a"')
        assert next_one() == ("v4", tags, 0, "")
        assert next_one() == ("v5", tags, 0, "")
        assert told == [(None, None), ("v1", '"a"'), ("v1", '"a"'), ("v1", '"a"'), ("v4", None)]
        cache.delete(tags=["one"])
        assert cache.get("k") is None
