"""The cache against a dict, step by step, with a clock that the machine moves."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hotset import Cache, Hit
from hotset.testing import FakeClock
from hotset.testing.isolation import isolated

keys = st.sampled_from(["a", "b", "user:1", "user:2", "x" * 300])
tags = st.sampled_from([(), ("t",), ("t", "u")])
lives = st.integers(1, 50)


class Model(RuleBasedStateMachine):
    """A dict of key to value, end of life and tags says what the cache must answer."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self._within = isolated(self.cache, FakeClock())
        self.clock = self._within.__enter__()
        self.model: dict[str, tuple[Any, float, tuple[str, ...]]] = {}

    def alive(self, key: str) -> bool:
        """Tell whether the model has a value."""
        return key in self.model and self.model[key][1] > self.clock()

    @rule(key=keys, value=st.integers() | st.none(), ttl=lives, tagged=tags)
    def set(self, key: str, value: int | None, ttl: int, tagged: tuple[str, ...]) -> None:
        """Write."""
        assert self.cache.set(key, value, ttl=ttl, tags=tagged)
        self.model[key] = (value, self.clock() + ttl, tagged)

    @rule(key=keys, ttl=lives)
    def add(self, key: str, ttl: int) -> None:
        """Write what is absent."""
        added = self.cache.add(key, "added", ttl=ttl)
        assert added is not self.alive(key)
        if added:
            self.model[key] = ("added", self.clock() + ttl, ())

    @rule(key=keys, ttl=lives)
    def load(self, key: str, ttl: int) -> None:
        """Read, or load."""
        was = self.alive(key)
        got = self.cache.get_or_load(key, lambda: "loaded", ttl=ttl, tags=["t"])
        assert got == (self.model[key][0] if was else "loaded")
        if not was:
            self.model[key] = ("loaded", self.clock() + ttl, ("t",))

    @rule(key=keys, ttl=lives)
    def touch(self, key: str, ttl: int) -> None:
        """Give a new life."""
        assert self.cache.touch(key, ttl) is self.alive(key)
        if self.alive(key):
            value, _, tagged = self.model[key]
            self.model[key] = (value, self.clock() + ttl, tagged)

    @rule(key=keys, ending=st.sampled_from(["delete", "expire"]))
    def end(self, key: str, ending: str) -> None:
        """End by key; without a stale window both are the same."""
        ended = getattr(self.cache, ending)(key)
        assert ended or not self.alive(key)
        self.model.pop(key, None)

    @rule(tag=st.sampled_from(["t", "u"]), ending=st.sampled_from(["delete", "expire"]))
    def end_tag(self, tag: str, ending: str) -> None:
        """End by tag."""
        getattr(self.cache, ending)(tags=[tag])
        self.model = {key: held for key, held in self.model.items() if tag not in held[2]}

    @rule(match=st.sampled_from(["user:*", "x*", "?", "*"]))
    def end_match(self, match: str) -> None:
        """End by pattern."""
        self.cache.delete(match=match)
        ended = {"user:*": "user:", "x*": "x"}
        self.model = {
            key: held
            for key, held in self.model.items()
            if not (match == "*" or (match == "?" and len(key) == 1) or key.startswith(ended.get(match, "\0")))
        }

    @rule()
    def clear(self) -> None:
        """End all."""
        self.cache.clear()
        self.model.clear()

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        """Both answer the same, for every key, and the engine is sound."""
        for key in ("a", "b", "user:1", "user:2", "x" * 300):
            found = self.cache.lookup(key)
            assert (key in self.cache) is self.alive(key)
            assert isinstance(found, Hit) is self.alive(key)
            if self.alive(key):
                assert self.cache.get(key, "none") == self.model[key][0]
                assert abs(found.ttl_left - (self.model[key][1] - self.clock())) < 1e-6  # type: ignore[union-attr]
        assert len(self.cache) == sum(map(self.alive, self.model))
        self.cache._space.engine.check()

    def teardown(self) -> None:
        """Leave the isolation."""
        self._within.__exit__(None, None, None)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
