"""Reads of many keys and of one against a dict, step by step: in the process alone, and near a store and far from it.

The source is a dict that changes, and every change is followed by an ending: so whoever reads gets what the source has,
and the loader is asked for exactly what nobody has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hotset import Cache, NotFound

if TYPE_CHECKING:
    from tests.services.servers import Server

KEYS = "abcdef"
keys = st.sampled_from(KEYS)
some_keys = st.lists(keys, max_size=8)
faces = st.tuples(st.integers(0, 1), st.booleans())
"""Which of two caches, and whether by its async face."""


class Failed(Exception):
    """What the source raises for a key."""


class Many(RuleBasedStateMachine):
    """Two caches, which are one in the process alone; what they hold together, and what the source has."""

    caches: Callable[[], tuple[Cache, Cache]]

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = type(self).caches()
        self.rows: dict[str, int] = {}
        self.failing: set[str] = set()
        self.held: dict[str, Any] = {}
        self.runner = asyncio.Runner()

    def call(self, face: tuple[int, bool], name: str, *args: Any, **named: Any) -> Any:
        """Call a face of one of the caches."""
        cache = (self.near, self.far)[face[0]]
        if not face[1]:
            return getattr(cache, name)(*args, **named)

        async def awaited() -> Any:
            return await getattr(cache.aio, name)(*args, **named)

        return self.runner.run(awaited())

    def row(self, key: str) -> Any:
        """Return what the source says of a key: a value, or what it fails with."""
        return Failed(key) if key in self.failing else self.rows.get(key, NotFound(key))

    @rule(face=faces, wanted=some_keys, extra=some_keys)
    def read_many(self, face: tuple[int, bool], wanted: list[str], extra: list[str]) -> None:
        """Read many; the loader brings others beside, and leaves out what is not there."""
        asked: list[str] = []
        missing = [key for key in dict.fromkeys(wanted) if key not in self.held]

        def load(keys: list[str]) -> dict[str, Any]:
            asked.extend(keys)
            found = {key: self.row(key) for key in dict.fromkeys([*extra, *keys])}
            return {key: value for key, value in found.items() if not isinstance(value, NotFound)}

        answers = self.call(face, "get_or_load_many", wanted, load, tags=["t"], return_exceptions=True)
        assert asked == missing
        for key in missing:
            if key not in self.failing:
                self.held[key] = self.rows.get(key, NotFound)
        if missing and self.near is self.far:
            for key in set(extra) & self.rows.keys() - self.failing - self.held.keys():
                self.held[key] = self.rows[key]
        expected = {key: self.held.get(key, Failed) for key in dict.fromkeys(wanted)}
        shown = {key: Failed if isinstance(value, Failed) else value for key, value in answers.items()}
        assert list(shown.items()) == [(key, value) for key, value in expected.items() if value is not NotFound]

    @rule(face=faces, key=keys)
    def read_one(self, face: tuple[int, bool], key: str) -> None:
        """Read one, which holds what the many have loaded, and the other way round."""
        asked: list[str] = []

        def load() -> Any:
            asked.append(key)
            row = self.row(key)
            if isinstance(row, Exception):
                raise row
            return row

        try:
            answer = self.call(face, "get_or_load", key, load, tags=["t"])
        except (NotFound, Failed) as error:
            answer = type(error)
        assert asked == ([] if key in self.held else [key])
        if asked and key not in self.failing:
            self.held[key] = self.rows.get(key, NotFound)
        assert answer == self.held.get(key, Failed)

    @rule(key=keys, value=st.none() | st.integers(0, 9), by=st.sampled_from(["key", "pattern", "tag", "set", "clear"]))
    def change(self, key: str, value: int | None, by: str) -> None:
        """Change a row, then end what is held of it."""
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value
        self.held.pop(key, None)
        if by == "set" and value is not None:
            assert self.near.set(key, value, tags=["t"])
            self.held[key] = value
        elif by in {"tag", "clear"}:
            (self.near.clear if by == "clear" else lambda: self.near.delete(tags=["t"]))()
            self.held.clear()
        elif by == "pattern":
            self.near.delete(match=f"{key}*")
        else:
            self.near.delete(key)

    @rule(key=keys)
    def fail(self, key: str) -> None:
        """The source fails for a key from now on, or no more."""
        self.failing ^= {key}

    @invariant()
    def agrees(self) -> None:
        """What is held is found without a loader."""
        found = {key: value for key, value in self.held.items() if value is not NotFound}
        assert self.near.get_many(KEYS_LISTED) == self.far.get_many(KEYS_LISTED) == found
        self.near._space.engine.check()

    def teardown(self) -> None:
        """Close all."""
        self.runner.close()
        self.near.close()
        self.far.close()


KEYS_LISTED = list(KEYS)


def test_in_the_process_alone() -> None:
    """What is brought beside is kept."""

    class Alone(Many):
        @staticmethod
        def caches() -> tuple[Cache, Cache]:
            cache = Cache(negative_ttl="1h", ttl="1h")
            return cache, cache

    run_state_machine_as_test(Alone, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


def test_near_a_store_and_far_from_it(redis_server: Server) -> None:
    """What is brought beside is not; copies near hold what was loaded from afar."""

    class Over(Many):
        @staticmethod
        def caches() -> tuple[Cache, Cache]:
            redis_server.reset()
            options: dict[str, Any] = {"negative_ttl": "1h", "ttl": "1h", "namespace": "many"}
            return Cache("memory://", redis_server.url, **options), Cache(redis_server.url, **options)

    run_state_machine_as_test(Over, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))
