"""Stale windows, refreshes, remembered NotFound and failing loaders against a dict, step by step, sync and async.

The rules are written here a second time, from the documentation and not from the code: `Windows.answer` is all of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hotset import Cache, Hit, NotFound
from hotset.testing import FakeClock, isolated
from tests.unit.source import eventually

KEYS = ("a", "b")
TTL, NEGATIVE = 30, 20
keys = st.sampled_from(("a", "a", "b"))
windows = st.sampled_from([50, 20, None])
Expected = tuple[Any, bool, list[tuple[str, Any]]]
"""What a read answers, whether its loader is called, and what is told of it."""
OFF = {"stale_while_revalidate": 0, "stale_if_error": 0}


@dataclass
class Held:
    """What the model says stands under a key."""

    value: Any
    began: float
    soft: float
    revalidate: float
    """Until when it may be answered while it is loaded anew."""
    fallback: float
    """Until when it may be answered in place of an error."""
    due: float
    """From when on it is loaded anew before its time."""
    tagged: bool = False
    negative: bool = False
    ended: bool = False
    bare: bool = False
    """Loaded by a read without windows."""

    def hard(self) -> float:
        """Return when nothing is left of it."""
        return self.fallback if self.ended else max(self.revalidate, self.fallback)


@dataclass
class Rest:
    """A source that has failed: since and until when it is left alone, and how often it has failed in a row."""

    since: float
    until: float
    failures: int


class Windows(RuleBasedStateMachine):
    """What a read answers, whether its loader is called before it is answered, behind it, or not, and what is told."""

    @initialize(revalidate=windows, if_error=windows, ahead=st.sampled_from([None, 0.5]), asynchronous=st.booleans())
    def open(self, revalidate: int | None, if_error: int | None, ahead: float | None, asynchronous: bool) -> None:
        """Make a cache with some of the options; those of a read are given with it."""
        self.revalidate, self.if_error, self.ahead = revalidate or 0, if_error or 0, ahead
        self.cache = Cache(
            ttl=TTL, stale_while_revalidate=revalidate, stale_if_error=if_error, refresh_ahead=ahead,
            negative_ttl=NEGATIVE,
        )  # fmt: skip
        self.runner = asyncio.Runner() if asynchronous else None
        self._within = isolated(self.cache, FakeClock())
        self.clock = self._within.__enter__()
        self.model: dict[str, Held] = {}
        self.resting: dict[str, Rest] = {}
        self.serial = 0
        self.off = False
        """Whether the read that is modelled has switched its windows off."""
        self.told: list[tuple[str, str | None]] = []
        for kind in ("stale_served", "refresh_started", "refresh_skipped", "refresh_failed"):
            self.cache.on(kind, lambda event: self.told.append((event.kind, event.cause)))

    # -- the model

    def held(self, key: str) -> Held | None:
        """Return what the model has and may still use."""
        held = self.model.get(key)
        return held if held is not None and held.hard() > self.clock() else None

    def fresh(self, key: str) -> Held | None:
        """Return what the model has and a read answers with, a remembered NotFound included."""
        held = self.held(key)
        return held if held is not None and held.soft > self.clock() and not held.ended else None

    def has_value(self, key: str) -> bool:
        """Tell whether the model answers a `get`."""
        fresh = self.fresh(key)
        return fresh is not None and not fresh.negative

    def new(self, *, tagged: bool) -> Held:
        """Return a new value as the model holds it."""
        self.serial += 1
        now = self.clock()
        held = Held(self.serial, now, 0, 0, 0, 0, tagged)
        self.renew(held, TTL, self.ahead)
        return held

    def renew(self, held: Held, life: float, ahead: float | None) -> None:
        """Lay out the times of a value whose life begins anew."""
        held.soft = soft = self.clock() + life
        held.revalidate, held.fallback = soft + self.revalidate, soft + self.if_error
        if held.bare:
            held.revalidate = held.fallback = soft
        held.due = soft - (1 - ahead) * TTL if ahead else soft

    def rests(self, key: str) -> Rest | None:
        """Return why the source of a key is left alone now."""
        rest = self.resting.get(key)
        return rest if rest is not None and self.clock() < rest.until else None

    def answer(self, key: str, source: str, off: bool, max_age: float | None) -> Expected:
        """Return what a read answers, whether its loader is called, and what is told of it; and change the model."""
        held, now = self.held(key), self.clock()
        if held is None or (max_age is not None and (max_age == 0 or now - held.began > max_age)):
            return self.loaded(key, source, None)
        if self.fresh(key) is held:
            if held.negative or now < held.due or self.ahead is None:
                return (NotFound if held.negative else held.value), False, []
            return self.behind(key, source, held, [])
        if not held.ended and now < held.revalidate and not off:
            return self.behind(key, source, held, [("stale_served", "revalidating")])
        usable = not off and now < held.fallback
        rest = self.rests(key)
        if usable and rest is not None and held.began < rest.since:
            return held.value, False, [("stale_served", "ConnectionError")]
        return self.loaded(key, source, held if usable else None)

    def loaded(self, key: str, source: str, stale: Held | None) -> Expected:
        """Load in the foreground."""
        got = self.called(key, source)
        if got is ConnectionError and stale is not None:
            return stale.value, True, [("stale_served", "ConnectionError")]
        return got, True, []

    def behind(self, key: str, source: str, held: Held, told: list[tuple[str, Any]]) -> Expected:
        """Answer, and load behind the caller unless the source is left alone."""
        if self.rests(key) is not None:
            return held.value, False, [*told, ("refresh_skipped", "failing")]
        got = self.called(key, source)
        failed = [("refresh_failed", got.__name__)] if isinstance(got, type) else []
        return held.value, True, [*told, ("refresh_started", None), *failed]

    def called(self, key: str, source: str) -> Any:
        """Have the loader called, with all that follows from it."""
        now = self.clock()
        if source == "fails":
            failures = self.resting[key].failures + 1 if key in self.resting else 1
            self.resting[key] = Rest(now, now + min(2.0 ** (failures - 1), 30.0), failures)
            return ConnectionError
        self.resting.pop(key, None)
        if source == "has nothing":
            until = now + NEGATIVE
            self.model[key] = Held(None, now, until, until, until, until, tagged=True, negative=True)
            return NotFound
        self.model[key] = new = self.new(tagged=True)
        if self.off:  # what it loads has the windows of the read
            new.bare, new.revalidate, new.fallback = True, new.soft, new.soft
        return new.value

    # -- the steps

    @rule(
        key=keys,
        source=st.sampled_from(["answers", "fails", "has nothing"]),
        off=st.sampled_from([False, False, False, True]),
        max_age=st.sampled_from([None, None, None, None, 0, 15.3, 40.3]),
        later=st.lists(st.sampled_from([0.0, 0.4, 1.1, 16.0, 31.0]), min_size=2, max_size=6),
    )
    def read(self, key: str, source: str, off: bool, max_age: float | None, later: list[float]) -> None:
        """Read, so much later and again, with windows switched off for these reads or not."""
        for seconds in later:
            if seconds:
                self.clock.advance(seconds)
            self.read_now(key, source, off, max_age)

    def read_now(self, key: str, source: str, off: bool, max_age: float | None) -> None:
        """Read once."""
        self.told.clear()
        value, calls = self.serial + 1, []

        def load() -> Any:
            calls.append(key)
            if source == "fails":
                raise ConnectionError
            if source == "has nothing":
                raise NotFound(key)
            return value

        self.off = off
        expected = self.answer(key, source, off, max_age)
        self.off = False
        options: dict[str, Any] = {"tags": ["t"], "max_age": max_age, **(OFF if off else {})}
        got = self.outcome(key, load, options)
        assert (got, bool(calls), self.told) == expected

    def outcome(self, key: str, load: Any, options: dict[str, Any]) -> Any:
        """Return what a read answers, or the type of what it raises, once nothing goes on behind it."""
        try:
            if self.runner is None:
                return self.cache.get_or_load(key, load, **options)
            return self.runner.run(self._read(key, load, options))
        except (ConnectionError, NotFound) as error:
            return type(error)
        finally:
            eventually(lambda: self.cache._space.pool._taken == 0)

    async def _read(self, key: str, load: Any, options: dict[str, Any]) -> Any:
        async def awaited() -> Any:
            return load()

        try:
            return await self.cache.aio.get_or_load(key, awaited, **options)
        finally:
            while self.cache._space.pool._taken:
                await asyncio.sleep(0)

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

    @rule(key=keys)
    def refresh(self, key: str) -> None:
        """Load anew, whatever stands there."""
        new = self.called(key, "answers")
        assert self.cache.cached("{key}", tags=["t"])(lambda key: new).refresh(key) == new

    @rule(key=keys)
    def touch(self, key: str) -> None:
        """Give a new life, the windows behind it; a remembered NotFound and a stale value get none."""
        had = self.has_value(key)
        assert self.cache.touch(key, 40) is had
        if had:
            self.renew(self.model[key], 40, None)
            self.model[key].due = self.clock() + 40 - (TTL * (1 - self.ahead) if self.ahead else 0)

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
        if held is None or held.negative or held.fallback <= held.soft or held.fallback <= self.clock():
            self.model.pop(key, None)
        else:
            held.ended = True

    @rule(seconds=st.sampled_from([0.4, 1.1, 5, 10, 16, 31, 45]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @invariant()
    def agrees(self) -> None:
        """Both answer the same, fresh and stale, and the engine is sound."""
        if not hasattr(self, "cache"):
            return
        for key in KEYS:
            held, found = self.held(key), self.cache.lookup(key)
            assert (key in self.cache) is self.has_value(key)
            assert isinstance(found, Hit) is (held is not None and not held.negative)
            if isinstance(found, Hit) and held is not None:
                assert (found.value, found.stale) == (held.value, not self.has_value(key))
                assert (found.ttl_left > 0) is not found.stale
            assert self.cache.get(key, "none") == (held.value if held and self.has_value(key) else "none")
        assert len(self.cache) == sum(map(self.has_value, KEYS)) == len(self.cache.scan())
        self.cache._space.engine.check()

    def teardown(self) -> None:
        """Leave the isolation."""
        if hasattr(self, "cache"):
            self._within.__exit__(None, None, None)
            self.cache.close()
            if self.runner is not None:
                self.runner.close()


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=250, stateful_step_count=30, deadline=None)
