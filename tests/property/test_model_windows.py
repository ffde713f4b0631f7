"""Stale windows, remembered NotFound and failing loaders against a dict, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hotset import Cache, Hit, NotFound
from hotset.testing import FakeClock, isolated

KEYS = ("a", "b", "c")
TTL, WINDOW, NEGATIVE = 30, 50, 20
keys = st.sampled_from(KEYS)


@dataclass
class Held:
    """What the model says stands under a key."""

    value: Any
    soft: float
    hard: float
    tagged: bool = False
    negative: bool = False


class Windows(RuleBasedStateMachine):
    """What is ended by `expire` stays a fallback, what is deleted does not, a NotFound is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(ttl=TTL, stale_if_error=WINDOW, negative_ttl=NEGATIVE)
        self._within = isolated(self.cache, FakeClock())
        self.clock = self._within.__enter__()
        self.model: dict[str, Held] = {}
        self.serial = 0

    def held(self, key: str) -> Held | None:
        """Return what the model has and may still use."""
        held = self.model.get(key)
        return held if held is not None and held.hard > self.clock() else None

    def fresh(self, key: str) -> Held | None:
        """Return what the model has and a read answers with, a remembered NotFound included."""
        held = self.held(key)
        return held if held is not None and held.soft > self.clock() else None

    def has_value(self, key: str) -> bool:
        """Tell whether the model answers a `get`."""
        fresh = self.fresh(key)
        return fresh is not None and not fresh.negative

    def new(self, *, tagged: bool) -> Held:
        """Return a new value as the model holds it."""
        self.serial += 1
        now = self.clock()
        return Held(self.serial, now + TTL, now + TTL + WINDOW, tagged)

    @rule(key=keys, tagged=st.booleans())
    def set(self, key: str, tagged: bool) -> None:
        """Write."""
        self.model[key] = new = self.new(tagged=tagged)
        assert self.cache.set(key, new.value, tags=["t"] if tagged else [])

    @rule(key=keys)
    def add(self, key: str) -> None:
        """Write unless there is a value; a remembered NotFound and a stale value are none."""
        new = self.new(tagged=False)
        assert self.cache.add(key, new.value) is not self.has_value(key)
        if not self.has_value(key):
            self.model[key] = new

    @rule(key=keys, refresh=st.booleans())
    def load(self, key: str, refresh: bool) -> None:
        """Read from a source that answers, or refresh from it."""
        fresh, new = self.fresh(key), self.new(tagged=True)
        if refresh:
            family = self.cache.cached("{key}", tags=["t"])(lambda key: new.value)
            assert family.refresh(key) == new.value
        elif fresh is not None and fresh.negative:
            assert self.outcome(key, lambda: new.value) is NotFound
            return
        else:
            got = self.outcome(key, lambda: new.value)
            assert got == (fresh.value if fresh is not None else new.value)
        if refresh or fresh is None:
            self.model[key] = new

    @rule(key=keys)
    def fail(self, key: str) -> None:
        """Read from a source that fails: the fallback stands in, and stays what it is."""

        def fails() -> None:
            raise ConnectionError

        held, fresh = self.held(key), self.fresh(key)
        usable = held is not None and not (held.negative and fresh is None)
        expected: Any = ConnectionError if held is None or not usable else NotFound if held.negative else held.value
        assert self.outcome(key, fails) == expected

    @rule(key=keys)
    def not_found(self, key: str) -> None:
        """Read from a source that has no such thing: it is remembered, and is no reason for a fallback."""

        def gone() -> None:
            raise NotFound(key)

        fresh = self.fresh(key)
        got = self.outcome(key, gone)
        if fresh is None:
            now = self.clock()
            self.model[key] = Held(None, now + NEGATIVE, now + NEGATIVE, tagged=True, negative=True)
        assert got == (fresh.value if fresh is not None and not fresh.negative else NotFound)

    @rule(key=keys)
    def touch(self, key: str) -> None:
        """Give a new life, the window behind it; a remembered NotFound and a stale value get none."""
        had = self.has_value(key)
        assert self.cache.touch(key, 40) is had
        if had:
            self.model[key].soft = self.clock() + 40
            self.model[key].hard = self.clock() + 40 + WINDOW

    @rule(key=keys)
    def delete(self, key: str) -> None:
        """End, without a fallback."""
        assert self.cache.delete(key) or self.held(key) is None
        self.model.pop(key, None)

    @rule(key=keys)
    def expire(self, key: str) -> None:
        """End, with a fallback for as long as there would have been one."""
        self.cache.expire(key)
        self.end(key)

    @rule(gone=st.booleans())
    def end_tag(self, gone: bool) -> None:
        """End by tag, with or without a fallback."""
        (self.cache.delete if gone else self.cache.expire)(tags=["t"])
        for key in [key for key, held in self.model.items() if held.tagged]:
            if gone:
                del self.model[key]
            else:
                self.end(key)

    def end(self, key: str) -> None:
        """Make stale in the model."""
        held = self.held(key)
        if held is None or held.negative:
            self.model.pop(key, None)
        else:
            held.soft = min(held.soft, self.clock())

    @rule(seconds=st.integers(1, 45))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def outcome(self, key: str, loader: Callable[[], Any]) -> Any:
        """Return what a read answers, or the type of what it raises."""
        try:
            return self.cache.get_or_load(key, loader, tags=["t"])
        except (ConnectionError, NotFound) as error:
            return type(error)

    @invariant()
    def agrees(self) -> None:
        """Both answer the same, fresh and stale, and the engine is sound."""
        for key in KEYS:
            held, found = self.held(key), self.cache.lookup(key)
            assert (key in self.cache) is self.has_value(key)
            assert isinstance(found, Hit) is (held is not None and not held.negative)
            if isinstance(found, Hit) and held is not None:
                assert (found.value, found.stale) == (held.value, held.soft <= self.clock())
                assert (found.ttl_left > 0) is not found.stale
                stale_left = self.cache.explain(key).stale_left
                assert stale_left is not None
                assert abs(stale_left - (held.hard - self.clock())) < 1e-6
            assert self.cache.get(key, "none") == (held.value if held and self.has_value(key) else "none")
        assert len(self.cache) == sum(map(self.has_value, KEYS)) == len(self.cache.scan())
        self.cache._space.engine.check()

    def teardown(self) -> None:
        """Leave the isolation."""
        self._within.__exit__(None, None, None)


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
