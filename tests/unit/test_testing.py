"""What hotset offers to tests: a clock that is moved by hand, isolation, a pytest plugin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hotset import Cache, ConfigError, Hit, Miss
from hotset.testing import FakeClock
from hotset.testing import isolated as within

cache = Cache(ttl="10m")
child = cache.child("child")
calls: list[int] = []


@cache.cached("double:{number}")
def double(number: int) -> int:
    """A cached function of a module, as programs have them."""
    calls.append(number)
    return 2 * number


def test_the_clock_stands_still_until_it_is_moved() -> None:
    """Seconds, a timedelta and text add up."""
    clock = FakeClock()
    assert clock() == clock() == 1_000.0
    clock.advance("5m")
    clock.advance(0.5)
    clock.advance(timedelta(hours=1))
    assert clock() == 1_000.0 + 300 + 0.5 + 3_600


@pytest.mark.parametrize("duration", [-1, 0, timedelta(-1), "10 parsecs", True, float("nan")])
def test_the_clock_never_goes_back(duration: Any) -> None:
    """What is no duration is refused, and the clock stays where it was."""
    clock = FakeClock(5.0)
    with pytest.raises(ConfigError, match="advance"):
        clock.advance(duration)
    assert clock() == 5.0


@pytest.mark.parametrize("face", [cache, cache.aio, child], ids=["sync", "async", "child"])
def test_isolation_holds_for_a_module(face: Any) -> None:
    """The cache, its child and its cached function are empty inside, on the fake clock, and as before after."""
    cache.clear()
    calls.clear()
    cache.set("k", "outside", tags=["t"])
    child.set("k", "outside")
    cache.delete("gone")
    cache.set("gone", 1)
    cache.delete("gone")
    assert double(1) == 2
    before = cache.stats(), child.stats()
    with within(face) as clock:
        assert (cache.get("k"), child.get("k"), len(cache)) == (None, None, 0)
        assert [double(1), double(1)] == [2, 2]
        child.set("k", "inside")
        clock.advance("10m")
        assert (double(1), child.get("k")) == (2, None)
        cache.child("born inside").set("k", 1)
        cache.delete(tags=["t"])
        cache.clear()
        cache._space.engine.check()
    assert calls == [1, 1, 1]
    assert (cache.stats(), child.stats()) == before
    assert cache.lookup("gone") == Miss("deleted")
    assert isinstance(cache.lookup("k"), Hit)
    assert (cache.get("k"), child.get("k"), double(1)) == ("outside", "outside", 2)
    assert calls == [1, 1, 1]
    assert cache.child("born inside").get("k") is None
    cache._space.engine.check()


def test_isolation_ends_with_an_exception_too() -> None:
    """What stood there is back, and the exception goes on."""
    mine = Cache()
    mine.set("k", 1)

    def fails() -> None:
        with within(mine):
            mine.set("k", 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert mine.get("k") == 1
    mine._space.engine.check()


def test_one_isolation_inside_another() -> None:
    """Each has its own contents and clock, and each gives back what it found."""
    mine = Cache(ttl="1m")
    with within(mine) as outer:
        mine.set("k", 1)
        with within(mine) as inner:
            inner.advance("1h")
            assert mine.get("k") is None
        assert mine.get("k") == 1
        outer.advance("1m")
        assert mine.get("k") is None


class Slow:
    """A load in a thread of its own that waits until it is let go, and the loads that come after it."""

    def __init__(self, mine: Cache) -> None:
        self.mine, self.began, self.go = mine, threading.Event(), threading.Event()
        self.answers: list[Any] = []
        self.thread = threading.Thread(target=lambda: self.answers.append(mine.get_or_load("k", self.load)))
        self.thread.start()
        assert self.began.wait(10)

    def load(self) -> str:
        """Return what was true when it began."""
        self.began.set()
        assert self.go.wait(10)
        return "slow"

    def land(self) -> None:
        """Let it go, and see it land."""
        self.go.set()
        self.thread.join(10)
        assert self.answers == ["slow"]


@pytest.mark.parametrize("lands", ["inside", "after"])
def test_a_load_from_before_is_answered_and_not_stored(lands: str) -> None:
    """It lands in neither contents, and the next read of its key loads anew and stores."""
    mine = Cache()
    slow = Slow(mine)
    with within(mine):
        if lands == "inside":
            slow.land()
        assert mine.get("k") is None
        assert mine.get_or_load("k", lambda: "inside") == "inside"
        mine._space.engine.check()
    if lands == "after":
        slow.land()
    mine._space.engine.check()
    assert mine.status().loads == 0
    assert mine.get_or_load("k", lambda: "new") == "new"
    assert mine.get("k") == "new"


def test_a_load_from_inside_that_lands_after_is_not_stored() -> None:
    """What a test began does not reach the program's own entries."""
    mine = Cache()
    mine.set("other", 1)
    with within(mine):
        slow = Slow(mine)
    slow.land()
    assert (mine.get("k"), mine.get("other")) == (None, 1)
    mine._space.engine.check()


def test_a_stale_entry_is_back_though_its_load_was_cut_off() -> None:
    """The load that was to replace it is forgotten at the edge, the entry is not."""
    mine = Cache(stale_if_error="1h")
    mine.set("k", "old")
    mine.expire("k")
    slow = Slow(mine)
    with within(mine):
        slow.land()
    found = mine.lookup("k")
    assert isinstance(found, Hit)
    assert (found.value, found.stale) == ("old", True)


def test_isolation_around_an_event_loop() -> None:
    """The async face and cached coroutines are inside as the rest is."""
    mine = Cache(ttl="1m")

    async def main(clock: FakeClock) -> list[Any]:
        first = await mine.aio.get_or_load("k", lambda: 1)
        clock.advance("1m")
        return [first, await mine.aio.get("k")]

    with within(mine.aio) as clock:
        assert asyncio.run(main(clock)) == [1, None]
    assert len(mine) == 0


PROGRAM = """
from hotset import Cache
cache = Cache(ttl="10m")
cache.set("k", "outside")

def test_inside(isolated):
    clock = isolated(cache)
    assert cache.get("k") is None
    cache.set("k", "inside")
    clock.advance("10m")
    assert cache.get("k") is None
    other = Cache()
    other.set("k", 1)
    isolated(other)
    assert other.get("k") is None

def test_after():
    assert cache.get("k") == "outside"
"""


def run(*command: str, cwd: Path) -> str:
    """What a fresh interpreter prints that has to end well."""
    path = str(Path(__file__).parents[2] / "src")
    child = subprocess.run(
        [sys.executable, *command], cwd=cwd, env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stdout + child.stderr
    return child.stdout


def test_the_plugin_isolates_for_the_length_of_a_test(tmp_path: Path) -> None:
    """Its fixture takes any number of caches, and what it did is undone when the test ends."""
    (tmp_path / "test_program.py").write_text(PROGRAM, encoding="utf-8")
    installed = (
        "import importlib.metadata as m; print(any(e.name == 'hotset' for e in m.entry_points(group='pytest11')))"
    )
    plugin = () if run("-c", installed, cwd=tmp_path).strip() == "True" else ("-p", "hotset.testing.plugin")
    options = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    assert "2 passed" in run("-m", "pytest", *options, *plugin, cwd=tmp_path)


def test_the_plugin_loads_nothing_of_the_cache(tmp_path: Path) -> None:
    """Every pytest run of a project that has hotset installed pays for three small modules."""
    source = "import sys, hotset.testing.plugin; print(*sorted(n for n in sys.modules if n.startswith('hotset')))"
    assert run("-c", source, cwd=tmp_path).split() == ["hotset", "hotset.testing", "hotset.testing.plugin"]


def test_the_package_needs_no_pytest(tmp_path: Path) -> None:
    """Only the conformance suite does; an unknown name is an AttributeError that says so."""
    source = (
        "import sys; sys.modules['pytest'] = None; import hotset.testing as t; t.FakeClock(); t.isolated\n"
        "for name in ('EngineConformance', 'nothing'):\n"
        "    try: getattr(t, name)\n"
        "    except (ImportError, AttributeError) as error: print(type(error).__name__)"
    )
    assert run("-c", source, cwd=tmp_path).split() == ["ModuleNotFoundError", "AttributeError"]


def test_the_fixture_is_the_one_of_the_plugin(isolated: Callable[[Any], FakeClock]) -> None:
    """It returns the clock that the cache is on."""
    mine = Cache()
    clock = isolated(mine)
    assert mine._space.engine.clock is clock
