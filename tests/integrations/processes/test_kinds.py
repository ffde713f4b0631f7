"""Greenlets, forks that Python is not told of, and multiprocessing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integrations.processes.program import ROOT
from tests.services.servers import Server


def _run(program: str, *words: str) -> str:
    """Run a program to its end, and return what it said; it complains of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program, *words],
        capture_output=True, text=True, timeout=40, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PROCESS_TIER = """
from gevent import monkey; monkey.patch_all()
import asyncio, gevent
from hotset import Cache
cache, loads, ticks = Cache(), [], []
def load():
    loads.append(1)
    until = len(ticks) + 5  # while the others wait: it never ends if the hub stands still
    while len(ticks) < until:
        gevent.sleep(0.001)  # as a query lets others go on
    return len(loads)
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)
clock = gevent.spawn(tick)
jobs = [gevent.spawn(cache.get_or_load, "k", load) for _ in range(50)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [1] * 50, jobs
late = gevent.spawn(cache.get_or_load, "gone", load)
gevent.sleep(0)
cache.delete("gone")
late.join()
assert cache.get("gone") is None, "what was being loaded when it ended was stored"
async def nothing(): return 1
assert asyncio.run(nothing()) == 1
clock.kill()
"""


def test_the_process_tier_works_under_gevent() -> None:
    """50 greenlets load once, the hub runs on meanwhile, and an ending revokes the load in flight."""
    _run(PROCESS_TIER)


OVER_A_STORE = """
import sys
from {monkey}
from hotset import Cache, CachingService, ConfigError
def refused(make):
    try:
        make()
    except ConfigError as error:
        assert "{by}'s monkey patching" in str(error) and "gunicorn -k gthread" in str(error), error
    else:
        raise AssertionError("it was taken")
refused(lambda: Cache("memory://", sys.argv[1]))
refused(lambda: Cache(sys.argv[1]))
assert Cache().get_or_load("k", lambda: 1) == 1
"""
MONKEYS = {
    "gevent": "gevent import monkey; monkey.patch_all()",
    "gevent sockets alone": "gevent import monkey; monkey.patch_socket()",
    "eventlet": "eventlet import monkey_patch; monkey_patch()",
}


@pytest.mark.parametrize("how", MONKEYS)
def test_a_store_is_refused_where_greenlets_stand_for_threads(how: str) -> None:
    """At construction, with what to do instead; nothing is connected to."""
    by = how.split(maxsplit=1)[0]
    if by == "eventlet":
        pytest.importorskip("eventlet", reason="is no longer developed: no part of the environment")
    _run(OVER_A_STORE.format(monkey=MONKEYS[how], by=by), "redis://127.0.0.1:1")


def test_gevent_that_is_only_imported_changes_nothing(redis_server: Server) -> None:
    """Somebody's dependency imports it and patches nothing: threads are threads."""
    _run(
        "import sys, gevent, gevent.monkey; from hotset import Cache\n"
        "with Cache('memory://', sys.argv[1]) as cache: assert cache.get_or_load('k', lambda: 1) == 1",
        redis_server.url,
    )


LATE = """
import sys, warnings
from hotset import Cache, ConfigError
cache = Cache("memory://", sys.argv[1], ttl="1h")
warnings.simplefilter("ignore")  # gevent's own, of being late
from gevent import monkey; monkey.patch_all()
for _ in range(3):
    try:
        cache.get_or_load("k", lambda: 1)
    except ConfigError as error:
        assert "gevent's monkey patching" in str(error), error
    else:
        raise AssertionError("it was taken")
"""


def test_a_cache_that_was_made_before_the_patching_is_refused_at_its_first_use(redis_server: Server) -> None:
    """And at each use after it: nobody waits for anything."""
    _run(LATE, redis_server.url)


BEHIND = """
import ctypes, os, sys
from hotset import Cache, ConfigError
cache = Cache("memory://", sys.argv[1], ttl="1h", namespace="shop")
assert cache.get_or_load("k", lambda: 1) == 1
child = ctypes.PyDLL(None).fork()  # as uWSGI does it: no hook of Python runs
if not child:
    refused = 0
    for use in (lambda: cache.get_or_load("other", lambda: 1), lambda: cache.delete("k"), lambda: cache.set("k", 2)):
        try:
            use()
        except ConfigError as error:
            refused += "py-call-osafterfork = true" in str(error)
    os._exit(refused)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 3, status
assert cache.get("k") == 1 and cache.get_or_load("mine", lambda: 3) == 3, "the parent's connection has suffered"
cache.close()
"""


def test_a_child_that_python_was_not_told_of_never_uses_its_parents_connections(redis_server: Server) -> None:
    """Each use is refused with the setting that is missing, and the parent goes on."""
    _run(BEHIND, redis_server.url)


POOL = """
import multiprocessing, os, sys
from hotset import Cache
from tests.integrations.processes.program import until
cache = Cache("memory://", sys.argv[1], ttl="1h", namespace="shop")
def near(key): return bool(found := cache.lookup(key)) and found.tier == "process"
def hold(keys):
    for key in keys:
        cache.get_or_load(key, lambda: os.getpid())
    until(lambda: near(keys[0]))
    return os.getpid()
def lose(keys):
    until(lambda: cache.get(keys[0]) is None)
    return os.getpid(), cache.status().store.linked
if __name__ == "__main__":
    hold(["k"])
    with multiprocessing.get_context(sys.argv[2]).Pool(1) as pool:
        child = pool.apply(hold, [["k", "j"]])
        assert child != os.getpid() and cache.get("k") == os.getpid() and cache.get("j") == child
        cache.delete("k")
        assert pool.apply(lose, [["k"]]) == (child, True)
    cache.close()
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_shares_loads_and_hears_endings(
    redis_server: Server, how: str, tmp_path: Path
) -> None:
    """A cache at module level, used by the parent before: the child has a link of its own."""
    program = tmp_path / "program.py"
    program.write_text(POOL)
    done = subprocess.run(
        [sys.executable, str(program), redis_server.url, how],
        capture_output=True, text=True, timeout=40, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
