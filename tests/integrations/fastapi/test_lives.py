"""An application that lives many times over a real Redis, and what it leaves: nothing."""

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hotset import Cache
from hotset.integrations.fastapi import cached, lifespan
from tests.integrations.fastapi.served import until
from tests.services.servers import Server


def connections(server: Server) -> int:
    """How many the server has, but for the one that asks."""
    return len(server.cli("CLIENT", "LIST").splitlines()) - 1


@pytest.mark.parametrize("asynchronous", [True, False])
def test_nothing_is_left_after_each_life(own_server: Callable[[str], Server], asynchronous: bool) -> None:
    """Three lives of one cache: each serves, reads what is in Redis, and leaves no thread, connection or task."""
    server = own_server("redis")  # nobody else's connections come and go there
    cache = Cache("memory://", server.url, namespace="lives")
    loads: list[int] = []
    loops: list[asyncio.AbstractEventLoop] = []
    app = FastAPI(lifespan=lifespan(cache))

    def load(number: int) -> int:
        loads.append(number)
        return number

    async def load_async(number: int) -> int:
        return load(number)

    async def note_loop() -> None:
        loops.append(asyncio.get_running_loop())

    app.get("/{number}")(cached(cache, "n:{number}")(load_async if asynchronous else load))
    app.get("/loop/now")(note_loop)
    before_threads = set(threading.enumerate())
    for life in range(3):
        with TestClient(app) as client:
            client.get("/loop/now")
            assert [client.get("/7").json() for _ in range(3)] == [7] * 3
            assert client.get(f"/{life}").json() == life
            assert {each.name for each in threading.enumerate()} >= {"hotset"}
        gc.collect()
        until(lambda: set(threading.enumerate()) <= before_threads)  # AnyIO tells its own to end, and waits for none
        until(lambda: connections(server) == 0)
        assert loops[life].is_closed()
    assert loads == [7, 0, 1, 2]


def test_a_blip_of_redis_is_no_error(own_server: Callable[[str], Server]) -> None:
    """Elsewhere an exception of the store is the answer (long2ice/fastapi-cache PR 108); here it is a load."""
    server = own_server("redis")
    with Cache(server.url, namespace="blip") as cache:
        app = FastAPI()
        app.get("/{number}")(cached(cache, "n:{number}")(lambda_free))
        client = TestClient(app)
        assert client.get("/1").status_code == 200
        server.kill()
        assert [client.get(f"/{number}").status_code for number in (1, 2, 1)] == [200] * 3


def lambda_free(number: int) -> int:
    """The number."""
    return number
