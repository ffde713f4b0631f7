"""Whatever a process tier holds comes back from a file: keys, values, tags, lives and order, as there is room."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hotset import Cache, Hit, Memory, Miss
from hotset.testing.same import same

texts = st.text("aü*%~{}:\0", max_size=30)
keys = st.one_of(texts, texts.map(lambda text: text * 20), st.binary(max_size=30))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), texts, st.binary(max_size=20))
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner)))
tags = st.lists(st.sampled_from(["a", "b", "ü" * 100]), max_size=2, unique=True)
entries = st.dictionaries(keys, st.tuples(values, tags, st.sampled_from([60, 3_600]), st.booleans()), max_size=12)


@settings(max_examples=60)
@given(data=st.data(), entries=entries, room=st.integers(1, 14), ended=tags)
def test_a_round_trip(data: st.DataObject, entries: dict[Any, Any], room: int, ended: list[str]) -> None:
    """The hottest come first where there is less room; what the next process has ended by tag does not come."""
    cache = Cache(Memory(max_entries=20))
    for key, (value, tagged, ttl, window) in entries.items():
        cache.set(key, value, tags=tagged, ttl=ttl, stale_if_error=60 if window else None)
    order = list(entries)
    if order:
        for key in data.draw(st.lists(st.sampled_from(order), max_size=8)):
            cache.get(key)
            order.append(order.pop(order.index(key)))
    after = Cache(Memory(max_entries=room))
    if ended:
        after.delete(tags=ended)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        assert cache.save(path) == len(entries)
        number = after.restore(path)
        assert path.exists() == (not entries or not ended)
    alive = [key for key in order if not set(entries[key][1]) & set(ended)][-room:]
    assert number == len(after) == len(alive)
    for key in order:
        value, tagged, ttl, window = entries[key]
        found = after.lookup(key)
        if key not in alive:
            assert isinstance(found, Miss)
            continue
        assert isinstance(found, Hit)
        assert same(found.value, value)
        assert found.tags == tuple(tagged)
        assert ttl - 20 < found.ttl_left <= ttl
        left = after.explain(key).stale_left
        assert left is not None
        assert abs(left - found.ttl_left - 60 * window) < 1
    after._space.engine.check()
