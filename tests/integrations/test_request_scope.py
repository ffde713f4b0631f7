"""A request scope for each request: Starlette's and FastAPI's middleware."""

import threading
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from hotset import Cache
from hotset.integrations.fastapi import RequestScope

KEY = "user:7"


@pytest.fixture
def cache() -> Cache:
    """A cache with one value."""
    cache = Cache()
    cache.set(KEY, 1)
    return cache


def elsewhere(cache: Cache, value: int) -> None:
    """Write in a thread that is in no request."""
    thread = threading.Thread(target=lambda: cache.set(KEY, value))
    thread.start()
    thread.join()


def starlette(cache: Cache, *routes: Any) -> TestClient:
    """A client of an application with the middleware."""
    return TestClient(Starlette(routes=routes, middleware=[Middleware(RequestScope, cache=cache)]))


@pytest.mark.parametrize("asynchronous", [True, False])
def test_each_request_is_one(cache: Cache, asynchronous: bool) -> None:
    """An endpoint that is async, or one that Starlette runs in a thread."""

    def read(_: Any) -> JSONResponse:
        seen = [cache.get(KEY)]
        elsewhere(cache, seen[0] + 1)
        return JSONResponse([*seen, cache.get(KEY)])

    async def read_async(request: Any) -> JSONResponse:
        return read(request)

    client = starlette(cache, Route("/", read_async if asynchronous else read))
    assert [client.get("/").json() for _ in range(2)] == [[1, 1], [2, 2]]
    assert cache._space.engine.off_here == 0


def test_a_streamed_response_is_part_of_it(cache: Cache) -> None:
    """Until the last of it is sent."""

    def read(_: Any) -> StreamingResponse:
        def stream() -> Any:
            for _ in range(3):
                elsewhere(cache, int(cache.get(KEY)) + 1)
                yield f"{cache.get(KEY)} "

        return StreamingResponse(stream())

    assert starlette(cache, Route("/", read)).get("/").text == "1 1 1 "
    assert cache.get(KEY) == 2


def test_a_websocket_is_left_alone(cache: Cache) -> None:
    """It may last for days."""

    async def talk(socket: Any) -> None:
        await socket.accept()
        await socket.send_json(cache.get(KEY))
        elsewhere(cache, 2)
        await socket.send_json(cache.get(KEY))
        await socket.close()

    with starlette(cache, WebSocketRoute("/", talk)).websocket_connect("/") as socket:
        assert [socket.receive_json(), socket.receive_json()] == [1, 2]


def test_a_request_that_fails_ends_its_scope(cache: Cache) -> None:
    """As any other."""

    def fail(_: Any) -> None:
        cache.get(KEY)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        starlette(cache, Route("/", fail)).get("/")
    assert cache._space.engine.off_here == 0


def test_dependencies_of_fastapi_are_in_it(cache: Cache) -> None:
    """Sync ones run in threads, and all see the same object as the endpoint."""
    app = FastAPI()
    app.add_middleware(RequestScope, cache=cache)
    cache.delete(KEY)

    def load() -> dict[str, int]:
        return {"n": 1}

    def first() -> Any:
        found = cache.get_or_load(KEY, load)
        elsewhere(cache, 2)
        return found

    async def second() -> Any:
        return await cache.aio.get(KEY)

    @app.get("/")
    async def same(one: Annotated[Any, Depends(first)], two: Annotated[Any, Depends(second)]) -> bool:
        return one is two is cache.get(KEY)

    assert TestClient(app).get("/").json() is True
