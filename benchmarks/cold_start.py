"""Redis is flushed at peak: what the origin then has to bear, with hotset and with a cache-aside of one's own.

    python -m benchmarks.cold_start docs/assets/cold-start.svg

Several processes read over a Redis of their own, each with several threads; the keys are asked for as web traffic asks,
a few of them very often. In the middle Redis is emptied. Every load of the origin and every read is noted with its time
by each process, and drawn. Cache-aside is what most write by hand: GET, else load and SET.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from benchmarks.picture import Line, Panel, draw
from hotset import Cache

KEYS = 300
LOAD = 0.25
"""Seconds that the origin takes for one load."""
BUCKET = 0.1
"""Seconds of one point of the picture."""
KINDS = ("cache-aside", "hotset")


@dataclass(frozen=True)
class Scene:
    """How much traffic, and for how long."""

    processes: int = 4
    threads: int = 64
    reads: float = 10.0
    """Reads a second of each thread."""
    seconds: float = 6.0


@dataclass
class Seen:
    """What the processes have noted; seconds since the flush."""

    loads: list[tuple[float, str]] = field(default_factory=list)
    reads: list[tuple[float, bool]] = field(default_factory=list)
    """When a read was answered, and whether without a load of its own."""

    @property
    def after(self) -> list[tuple[float, str]]:
        """Loads after the flush."""
        return [each for each in self.loads if each[0] >= 0]

    @property
    def at_once(self) -> int:
        """The most loads that were under way at one time, after the flush."""
        steps = sorted(step for at, _ in self.after for step in ((at, 1), (at + LOAD, -1)))
        return max(itertools.accumulate(step for _, step in steps), default=0)

    @property
    def of_one_key(self) -> int:
        """The most loads of one key, after the flush."""
        return max(Counter(key for _, key in self.after).values(), default=0)


# -- one process


def work(kind: str, url: str, scene: Scene, number: int) -> None:
    """Read until the time is over, told when to start on the standard input; then say what was noted."""
    loads: list[tuple[float, str]] = []
    reads: list[tuple[float, bool]] = []

    def origin(key: str) -> str:
        loads.append((time.monotonic(), key))
        time.sleep(LOAD)
        return f"the value of {key}"

    read = readers(kind, url, origin)
    keys = [f"page:{rank}" for rank in range(KEYS)]
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(KEYS)))
    print("ready", flush=True)
    start = float(sys.stdin.readline())

    def run(seed: int) -> None:
        dice = random.Random(seed)
        due = start + dice.random() / scene.reads
        while due < start + scene.seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            key = keys[min(bisect.bisect(weights, dice.random() * weights[-1]), KEYS - 1)]
            mine = threading.get_ident()
            read.asked.discard(mine)
            read(key)
            reads.append((time.monotonic(), mine not in read.asked))
            due = max(due + 1 / scene.reads, time.monotonic())

    crew = [threading.Thread(target=run, args=(number * 1_000 + each,)) for each in range(scene.threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps([loads, reads]), flush=True)


class Reader:
    """Reads a key through a cache, and notes which threads have asked the origin."""

    def __init__(self, read: Callable[[str, Callable[[], str]], str], origin: Callable[[str], str]) -> None:
        self._read = read
        self._origin = origin
        self.asked: set[int] = set()

    def __call__(self, key: str) -> str:
        return self._read(key, lambda: self._load(key))

    def _load(self, key: str) -> str:
        self.asked.add(threading.get_ident())
        return self._origin(key)


def readers(kind: str, url: str, origin: Callable[[str], str]) -> Reader:
    """Return what reads a key: through hotset, or as most write it by hand."""
    if kind == "hotset":
        cache = Cache("memory://", url, namespace="scene", ttl="10m")
        return Reader(cache.get_or_load, origin)
    client: Any = redis.Redis.from_url(url, decode_responses=True)

    def by_hand(key: str, load: Callable[[], str]) -> str:
        found: str | None = client.get(key)
        if found is None:
            found = load()
            client.set(key, found, ex=600)
        return found

    return Reader(by_hand, origin)


# -- the scene


@contextmanager
def server() -> Iterator[str]:
    """Start a Redis for this scene alone, and give its url."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("cold_start: needs redis-server on this machine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()


def fill(kind: str, url: str) -> None:
    """Have it full before the traffic comes: nobody's first load is to be seen."""
    keys = [f"page:{rank}" for rank in range(KEYS)]
    if kind == "hotset":
        with Cache(url, namespace="scene", ttl="10m") as cache:
            cache.warm(keys, lambda asked: {key: f"the value of {key}" for key in asked})
    else:
        client: Any = redis.Redis.from_url(url)
        client.mset({key: f"the value of {key}" for key in keys})


def play(kind: str, scene: Scene) -> Seen:
    """Play the scene once."""
    with server() as url:
        client: Any = redis.Redis.from_url(url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100))
        client.ping()
        fill(kind, url)
        command = [sys.executable, "-m", "benchmarks.cold_start", "--work", kind, url]
        numbers = [str(scene.processes), str(scene.threads), str(scene.reads), str(scene.seconds)]
        crew = [
            subprocess.Popen(
                [*command, *numbers, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for number in range(scene.processes)
        ]
        for each in crew:
            assert each.stdout is not None
            each.stdout.readline()
        start = time.monotonic() + 0.2
        for each in crew:
            assert each.stdin is not None
            each.stdin.write(f"{start}\n")
            each.stdin.flush()
        time.sleep(max(0.0, start + scene.seconds / 2 - time.monotonic()))
        flushed = time.monotonic()
        client.flushall()
        seen = Seen()
        for each in crew:
            loads, reads = json.loads(each.communicate()[0])
            seen.loads += [(at - flushed, key) for at, key in loads]
            seen.reads += [(at - flushed, hit) for at, hit in reads]
        return seen


def counted(times: list[float], scene: Scene) -> list[tuple[float, float]]:
    """Return how many of these fall into each part of a tenth of a second."""
    half = scene.seconds / 2
    counts = Counter(int((at + half) / BUCKET) for at in times)
    return [(round(part * BUCKET - half, 3), counts[part]) for part in range(int(scene.seconds / BUCKET))]


def picture(seen: dict[str, Seen], scene: Scene) -> str:
    """Draw what was seen."""
    loads = [Line(kind, counted([at for at, _ in each.loads], scene)) for kind, each in seen.items()]
    hits = [Line(kind, counted([at for at, hit in each.reads if hit], scene)) for kind, each in seen.items()]
    title = (
        f"{scene.processes} processes of {scene.threads} threads, {KEYS:,} keys, an origin of {LOAD * 1000:.0f} ms; "
        "Redis is flushed at 0 s"
    )
    return draw(
        title,
        [Panel(f"loads of the origin, per {BUCKET * 1000:.0f} ms", loads), Panel("reads answered without one", hits)],
    )


def main(out: Path | None, scene: Scene) -> dict[str, Seen]:
    """Play it both ways, say what was seen, and draw it."""
    seen = {kind: play(kind, scene) for kind in KINDS}
    print(f"{'':<14}{'loads after the flush':>24}{'of one key':>12}{'at once':>10}")
    for kind, each in seen.items():
        print(f"{kind:<14}{len(each.after):>24,}{each.of_one_key:>12,}{each.at_once:>10,}")
    if out is not None:
        out.write_text(picture(seen, scene), encoding="utf-8")
    return seen


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        kind, url, processes, threads, reads, seconds, number = sys.argv[2:]
        work(kind, url, Scene(int(processes), int(threads), float(reads), float(seconds)), int(number))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("out", type=Path, nargs="?", help="where the picture goes")
        main(parser.parse_args().out, Scene())
