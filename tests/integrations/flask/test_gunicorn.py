"""Under gunicorn, forked from a master that has loaded the app, over Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from hotset.integrations.flask import Hotset
from tests.chaos.fleet import until
from tests.services.fixtures import OwnServer
from tests.services.ports import free_port
from tests.services.servers import Server

ROOT = Path(__file__).parents[3]


class Gunicorn:
    """A gunicorn that serves `shop.py`."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        """Return status, body and headers of an answer; each request has a connection of its own, for any worker."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def json(self, path: str, method: str = "GET") -> Any:
        """Return what an answer holds; it is a 200."""
        status, body, _ = self.ask(path, method)
        assert status == 200, body
        return json.loads(body)

    def workers(self, number: int) -> set[int]:
        """Return the ids of all workers, once each has answered."""
        seen: set[int] = set()

        def all_seen() -> bool:
            seen.add(self.json("/threads")["pid"])
            return len(seen) == number

        until(all_seen)
        return seen


@contextmanager
def gunicorn(shop: Path, tiers: str, workers: int = 2, **environment: str) -> Iterator[Gunicorn]:
    """A gunicorn with `--preload` and so many workers, gone at the end."""
    port = free_port()
    log = (shop / "log").open("a")
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--preload", "-w", str(workers), "-b", f"127.0.0.1:{port}"),
            *("--log-level", "warning", "tests.integrations.flask.shop:create_app()"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "SHOP": str(shop),
            "FLASK_HOTSET_TIERS": tiers,
            "FLASK_HOTSET_NAMESPACE": "shop",
            **environment,
        },
        stdout=log,
        stderr=log,
    )
    served = Gunicorn(port)

    def answers() -> bool:
        assert program.poll() is None, (shop / "log").read_text()
        try:
            return served.ask("/threads")[0] == 200
        except OSError:
            return False

    try:
        until(answers)
        yield served
    finally:
        program.send_signal(signal.SIGTERM)
        try:
            assert program.wait(20) == 0, (shop / "log").read_text()
        finally:
            program.kill()
            log.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop that sells three things."""
    for item in ("tea", "milk", "warm"):
        (tmp_path / item).write_text("1")
    (tmp_path / "reads").touch()
    return tmp_path


def reads(shop: Path, item: str) -> int:
    """How often the source was read for an item."""
    return [line.split()[0] for line in (shop / "reads").read_text().splitlines()].count(item)


def test_four_preloaded_workers_share_what_one_has_loaded(shop: Path, redis_server: Server) -> None:
    """One read of the source for all, function and page; the master had used its connections before the fork."""
    with gunicorn(shop, f"memory:// {redis_server.url}", workers=4, SHOP_WARM="1") as served:
        workers = served.workers(4)
        met: set[int] = set()

        def all_met() -> bool:
            met.add(served.json("/price/tea")["pid"])
            assert served.json("/price/warm")["price"] == 1
            return met == workers

        until(all_met)
        pages = {served.ask("/page/tea")[1] for _ in range(20)}
        assert len(pages) == 1
        assert (reads(shop, "tea"), reads(shop, "warm")) == (1, 1)


def test_what_one_worker_writes_no_other_serves_stale(shop: Path, redis_server: Server) -> None:
    """A thousand reads checked while one price changes a hundred times, over Redis alone: none is older."""
    with gunicorn(shop, redis_server.url) as served:
        served.workers(2)
        readers: set[int] = set()
        writers: set[int] = set()
        for version in range(2, 102):
            writers.add(served.json(f"/price/tea/{version}", "POST")["pid"])
            for _ in range(5):
                seen = served.json("/price/tea")
                readers.add(seen["pid"])
                assert seen["price"] == version
                assert served.ask("/page/tea")[1].split()[0] == str(version)
        assert len(readers) == len(writers) == 2
        assert reads(shop, "tea") <= 200  # one for each change, and seldom a second: hits are hits


def test_copies_near_hear_of_a_write_elsewhere(shop: Path, redis_server: Server) -> None:
    """With a process tier too, a copy in another worker lags by a message, within a heartbeat (1 s)."""
    with gunicorn(shop, f"memory:// {redis_server.url}") as served:
        workers = served.workers(2)
        for version in range(2, 22):
            served.json(f"/price/tea/{version}", "POST")
            written = time.monotonic()
            current: set[int] = set()
            while current != workers:
                began = time.monotonic()
                seen = served.json("/price/tea")
                if seen["price"] == version:
                    current.add(seen["pid"])
                else:
                    assert began - written < 1.0


@pytest.mark.parametrize("blind_ttl", [0, 0.05])
def test_a_stopped_redis_stops_no_page(shop: Path, own_server: OwnServer, blind_ttl: float) -> None:
    """Every answer is a 200, before, while Redis is away, and when it is back.

    What another worker wrote meanwhile shows within `blind_ttl`; a page that was made of such a copy lives as long
    again. With 0 no page is older than the prices that all workers show.
    """
    server = own_server()
    with gunicorn(shop, f"memory:// {server.url}", FLASK_HOTSET_BLIND_TTL=str(blind_ttl)) as served:
        served.workers(2)
        for state, new in (("up", 2), ("away", 3), ("back", 4)):
            if state == "away":
                server.stop()
            elif state == "back":
                server.start()
            served.json(f"/price/tea/{new}", "POST")

            def right(new: int = new) -> bool:
                return all(served.json("/price/tea")["price"] == new for _ in range(20))

            until(right)
            shown = time.monotonic()
            for _ in range(20):
                began = time.monotonic()
                status, body, _ = served.ask("/page/tea")
                assert status == 200
                assert body.split()[0] == str(new) or began - shown < 2 * blind_ttl, (state, began - shown)


def _connections(server: Server) -> int:
    """How many a server has, but for the one that asks."""
    return len(server.cli("CLIENT", "LIST").splitlines()) - 1


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_nothing_is_left_after_close(own_server: OwnServer) -> None:
    """An app that has used Redis from requests, in threads and loops, leaves no thread, no connection when closed."""
    server = own_server("redis")  # nobody else's connections come and go there
    cache = Hotset()

    @cache.cached("n:{n}")
    def load(n: int) -> int:
        return n

    @cache.cached("a:{n}")
    async def fetch(n: int) -> int:
        return n

    app = Flask("closing")
    app.config["HOTSET_TIERS"] = f"memory:// {server.url}"
    threads = _threads()
    cache.init_app(app)
    assert (_threads() - threads, _connections(server)) == (set(), 0)  # nothing is opened before it is used

    @app.get("/<int:n>")
    async def page(n: int) -> str:
        return f"{load(n)} {await fetch(n)}"

    for n in range(5):
        assert app.test_client().get(f"/{n}").text == f"{n} {n}"
    assert _connections(server) > 0
    assert "hotset" in {thread.name for thread in _threads()}  # or since before: all caches of a process have one
    app.extensions["hotset"].close()
    until(lambda: (_threads() - threads, _connections(server)) == (set(), 0))
