"""Async views and functions: Flask runs each request in a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, abort

from hotset.integrations.flask import Hotset
from hotset.testing import isolated
from tests.integrations.flask.conftest import MakeApp
from tests.services.servers import Server


def test_an_async_view_is_cached(cache: Hotset, app: Flask) -> None:
    """It stays an `async def`, which Flask runs; a hit runs none of it."""
    runs: list[int] = []

    @app.get("/<int:n>")
    @cache.view("page:{n}")
    async def page(n: int) -> str:
        await asyncio.sleep(0)
        runs.append(n)
        return str(len(runs))

    client = app.test_client()
    assert [client.get(url).text for url in ("/1", "/1", "/2", "/1")] == ["1", "1", "2", "1"]
    with app.app_context():
        page.delete(1)
    assert client.get("/1").text == "3"
    assert client.head("/1").headers["Content-Length"] == "1"


@pytest.mark.parametrize("kind", ["cookie", "abort", "failure", "authorization"])
def test_what_is_one_client_s_is_not_kept_of_an_async_view(cache: Hotset, app: Flask, kind: str) -> None:
    """As of a plain one: each request runs it, and gets its own."""
    runs: list[int] = []

    @app.get("/")
    @cache.view("page")
    async def page() -> Any:
        await asyncio.sleep(0)
        runs.append(1)
        if kind == "abort":
            abort(404, str(len(runs)))
        response = Response(str(len(runs)), 503 if kind == "failure" else 200)
        if kind == "cookie":
            response.set_cookie("run", str(len(runs)))
        return response

    client = app.test_client()
    headers = {"Authorization": "Bearer x"} if kind == "authorization" else {}
    answers = [client.get("/", headers=headers) for _ in range(2)]
    assert len(runs) == 2
    assert ["1" in answers[0].text, "2" in answers[1].text] == [True, True]


def test_a_stale_page_stands_in_for_an_async_view_that_fails(cache: Hotset, app: Flask) -> None:
    """Within `stale_if_error`, as for a plain one."""
    failing: list[int] = []

    @app.get("/")
    @cache.view("page", ttl="1m", stale_if_error="1h")
    async def page() -> Any:
        return ("broken", 503) if failing else "fine"

    client = app.test_client()
    with isolated(app.extensions["hotset"]) as clock:
        client.get("/")
        clock.advance("2m")
        failing.append(1)
        assert client.get("/").text == "fine"


def test_loops_share_one_load(cache: Hotset, app: Flask) -> None:
    """Requests in loops and threads of their own wait for the load that one of them makes."""
    runs: list[int] = []
    loops: set[asyncio.AbstractEventLoop] = set()
    together = threading.Barrier(8)

    @cache.cached("slow")
    async def slow() -> int:
        runs.append(1)
        while len(loops) < 8:
            await asyncio.sleep(0.001)
        return len(runs)

    @app.get("/")
    async def page() -> str:
        loops.add(asyncio.get_running_loop())
        return str(await slow())

    def ask() -> str:
        together.wait(10)
        return app.test_client().get("/").text

    with ThreadPoolExecutor(8) as pool:
        assert {answer.result(20) for answer in [pool.submit(ask) for _ in range(8)]} == {"1"}
    assert len(runs) == 1


def test_over_a_store_many_loops_one_after_another_leave_nothing(
    cache: Hotset, make_app: MakeApp, redis_server: Server
) -> None:
    """A hundred requests, each in a loop of its own, over Redis: answers are right, connections do not pile up."""
    app = make_app(HOTSET_TIERS=f"memory:// {redis_server.url}", HOTSET_NAMESPACE="shop")

    @cache.cached("n:{n}")
    async def load(n: int) -> int:
        return n * 10

    @app.get("/<int:n>")
    async def page(n: int) -> str:
        first = await load(n)
        await load.delete(n)
        return f"{first} {await load(n)} {load.key(n)}"

    client = app.test_client()
    for n in range(100):
        assert client.get(f"/{n}").text == f"{n * 10} {n * 10} n:{n}"
    assert int(redis_server.info("clients")["connected_clients"]) < 10
