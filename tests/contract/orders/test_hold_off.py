"""Hold-offs at the store, in any order of an ending and a load: what began behind it is cut, what was before goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotset import Cache, Hit
from hotset.core import lease
from hotset.stores.protocol import Operation, together
from tests.contract.orders.stage import KEY, TAG, Member, Stage, Violation

HOLD_OFF = 60.0

ENDINGS: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "delete by tag": lambda cache: cache.delete(tags=[TAG]),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
}
PLACES = ("LOOK", "after LOOK", "LEASE", "after LEASE", "load", "loaded", "SWAP", "after SWAP")


def an_ending_somewhere(stage: Stage, end: Callable[[Cache], object], place: str) -> Member:
    """A load of a key that is absent stands at a place while an ending comes and returns."""
    p0, p1 = (stage.process(hold_off=HOLD_OFF) for _ in range(2))
    p0.cache.set("known", 0, tags=[TAG])
    reader = p0.reader(tags=[TAG]).to(place)
    end(p1.cache)
    reader.result()
    found = p1.cache.lookup(KEY)
    if isinstance(found, Hit) and not found.stale and (found.ttl_left or 0) > HOLD_OFF + 1:
        raise Violation(f"what may lag has a life of {found.ttl_left:g} s")
    return p0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_hold_off(stage: Stage, end: Callable[[Cache], object], place: str) -> None:
    """Wherever the load stands, what it brings is refused, hidden, or gone when the source has caught up."""
    an_ending_somewhere(stage, end, place)


def test_hold_off_behind_the_lease_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for before the lease, an ending by pattern may fall between: its scan finds nothing there to revoke."""

    def before(first: Operation[object], second: Operation[dict[str, int]]) -> Operation[tuple[object, dict[str, int]]]:
        return together(first, Operation(lambda _: [], lambda *_: dict.fromkeys(("", TAG), 0)))

    monkeypatch.setattr(lease, "together", before)
    with pytest.raises(Violation, match="what may lag has a life of"):
        an_ending_somewhere(stage, ENDINGS["delete by pattern"], "LEASE")


def test_hold_off_of_a_key_matters(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ending of an absent key that notes nothing."""
    monkeypatch.setattr("hotset.stores.redis.operations.RedisOperations._hold", lambda *_, **__: [])
    with pytest.raises(Violation, match="what may lag has a life of"):
        an_ending_somewhere(stage, ENDINGS["delete"], "LEASE")
