"""A program as `gunicorn --preload` runs one: a cache at module level, used before the fork, then in each worker.

python -m tests.chaos.preload <url> <busy|idle>; what is wrong is said on stderr, and the exit code is 1.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable

from hotset import Cache

url, how = sys.argv[1:]
cache = Cache("memory://", url, ttl="1h", namespace="app")
CHILDREN = 3
PATIENCE = 10.0


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for did not come true")
        time.sleep(0.001)  # between two looks; the condition decides, or the deadline


def near(key: str) -> bool:
    """Tell whether a key is answered from the process tier."""
    found = cache.lookup(key)
    return bool(found) and found.tier == "process"  # type: ignore[union-attr]


def linked() -> bool:
    """Tell whether this process hears of changes."""
    return cache.status().store.linked  # type: ignore[union-attr]


def work(name: str) -> None:
    """Use the cache in each way; leave a value under the name."""
    assert cache.get_or_load("before", lambda: "loaded again") == "before"
    assert cache.get_or_load(name, lambda: name) == name
    until(lambda: near(name))
    assert linked()

    async def in_a_loop() -> None:
        assert await cache.aio.get(name) == name
        assert await cache.aio.get_or_load(f"{name}:async", _loads) == 1

    asyncio.run(in_a_loop())
    asyncio.run(in_a_loop())


async def _loads() -> int:
    return 1


def worker(number: int, told: int, tell: int) -> None:
    """A child: works, then hears of an ending by its parent."""
    name = f"worker{number}"
    work(name)
    until(lambda: near("shared") or cache.get_or_load("shared", lambda: 1) != 1)
    os.write(tell, b".")
    assert os.read(told, 1) == b"."
    until(lambda: cache.get("shared") is None)
    cache.close()


def spawn(number: int) -> tuple[int, int]:
    """Fork a worker; return its id and what tells it that the parent has ended "shared"."""
    told, telling = os.pipe()
    child = os.fork()
    if child:
        os.close(told)
        return child, telling
    os.close(telling)
    try:
        worker(number, told, report)
    except BaseException:  # noqa: BLE001  a worker ends as a worker, whatever it was
        traceback.print_exc()
        os._exit(1)
    sys.exit(0)  # as a worker does: all that Python does at the end is done, and may warn


assert cache.get_or_load("before", lambda: "before") == "before"
assert cache.get_or_load("shared", lambda: 1) == 1
until(lambda: near("shared"))
asyncio.run(cache.aio.get("before"))
stop = threading.Event()


def busy() -> None:
    """Use the cache all the while, so that a fork may come at any moment."""
    turn = 0
    while not stop.is_set():
        turn += 1
        cache.get_or_load(f"busy:{turn % 100}", lambda: 1)
        if turn % 10 == 0:
            cache.delete(f"busy:{turn % 100}")


threads = [threading.Thread(target=busy) for _ in range(2 if how == "busy" else 0)]
for thread in threads:
    thread.start()
answers, report = os.pipe()
children = [spawn(number) for number in range(CHILDREN)]
stop.set()
for thread in threads:
    thread.join()
work("parent")
until(linked)
for _ in children:
    assert os.read(answers, 1) == b"."
for number in range(CHILDREN):
    name = f"worker{number}"
    assert cache.get(name) == name
cache.delete("shared")
failed = 0
for child, telling in children:
    os.write(telling, b".")
    failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
# The parent's own link still hears: no child has spoken on it, or closed what it polls.
assert cache.get_or_load("mine", lambda: 1) == 1
until(lambda: near("mine"))
with Cache(url, namespace="app") as other:
    other.delete("mine")
until(lambda: cache.get("mine") is None)
cache.close()
sys.exit(1 if failed else 0)
