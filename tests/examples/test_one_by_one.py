"""What each example is there to show, beside that it is never stale."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from tests.examples.served import PATIENCE, Served
from tests.examples.test_checked import GUNICORN, UVICORN
from tests.services.servers import Server


@pytest.fixture
def serve(redis_server: Server) -> Iterator[Callable[..., Served]]:
    """A function that serves an example over an empty Redis until the test ends."""
    running: list[Served] = []

    def serve(example: str, command: str, **more: str) -> Served:
        served = Served(example, command, redis_server.url, **more)
        running.append(served)
        served.start()
        return served

    yield serve
    for served in running:
        served.__exit__(None, None, None)


def put(served: Served, path: str, told: object, **headers: str) -> None:
    """Change something."""
    assert served.request("PUT", path, json.dumps(told), **headers)[0] == 200


def get(served: Served, path: str, **headers: str) -> object:
    """Read something."""
    status, _, body = served.request("GET", path, **headers)
    assert status == 200, body
    return json.loads(body)


def test_a_saved_product_leaves_one_makers_list_and_joins_anothers(serve: Callable[..., Served]) -> None:
    """The repository ends what showed the old row, both lists included, and a missing product is a 404."""
    shop = serve("repository", GUNICORN)
    before = [get(shop, f"/makers/maker-{number}/products") for number in (1, 2)]
    put(shop, "/products/1", {"maker": "maker-2", "price": 9})
    after = [get(shop, f"/makers/maker-{number}/products") for number in (1, 2)]
    assert [len(each) for each in (*before, *after)] == [10, 10, 9, 11]  # type: ignore[arg-type]
    assert shop.request("GET", "/products/99")[0] == 404


def test_what_is_rolled_back_ends_nothing(serve: Callable[..., Served]) -> None:
    """A model's change ends its entries after the commit; a change that is taken back ends none."""
    shop = serve("django_signals", GUNICORN.replace("app:app", "shop.wsgi"), first="python prepare.py")
    put(shop, "/products/7", {"price": 5})
    kept = {"id": 7, "name": "product 7", "price": 5}
    assert get(shop, "/products/7") == kept
    assert get(shop, "/catalogue")["products"][6] == kept  # type: ignore[index]
    assert shop.request("PUT", "/products/7", '{"price": -1}')[0] == 422
    assert get(shop, "/products/7") == kept
    put(shop, "/products/7", {"price": 6})
    assert get(shop, "/catalogue")["products"][6] == {**kept, "price": 6}  # type: ignore[index]


def test_a_tenant_sees_its_own_and_leaves_alone(serve: Callable[..., Served]) -> None:
    """The same setting of two tenants is two entries, and one that leaves takes nothing of the other's."""
    app = serve("tenants", GUNICORN)
    for tenant, value in (("acme", 1), ("initech", 2)):
        put(app, "/settings/limit", {"value": value}, **{"X-Tenant": tenant})
        assert get(app, "/settings/limit", **{"X-Tenant": tenant}) == {"name": "limit", "value": value}
    assert app.request("DELETE", "/settings", **{"X-Tenant": "acme"})[0] == 200
    assert get(app, "/settings/limit", **{"X-Tenant": "acme"}) == {"name": "limit", "value": 0}
    assert get(app, "/settings/limit", **{"X-Tenant": "initech"}) == {"name": "limit", "value": 2}
    assert app.request("GET", "/settings/limit", **{"X-Tenant": "a:b"})[0] == 400


def test_a_changed_flag_reaches_the_browsers_of_every_worker(serve: Callable[..., Served]) -> None:
    """Browsers of two workers hear of a change that one worker makes, though none of them asks."""
    app = serve("feature_flags", UVICORN)
    put(app, "/flags/dark", {"percent": 5})
    with ExitStack() as open_ones:
        streams: dict[str, http.client.HTTPResponse] = {}
        deadline = time.monotonic() + PATIENCE
        while (
            len(streams) < 2
        ):  # the kernel deals connections out as it likes, and a worker may begin later than the other
            assert time.monotonic() < deadline
            browser = open_ones.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=PATIENCE))
            )
            browser.request("GET", "/flags/dark/changes")
            stream = browser.getresponse()
            if streams.setdefault(stream.headers["X-Worker"], stream) is not stream:
                browser.close()
        assert {_next(stream) for stream in streams.values()} == {5}
        put(app, "/flags/dark", {"percent": 50})
        assert {_next(stream) for stream in streams.values()} == {50}


def _next(stream: http.client.HTTPResponse) -> int:
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return int(json.loads(line[6:])["percent"])


def test_all_authors_of_a_page_are_one_query(serve: Callable[..., Served]) -> None:
    """Twenty books of twenty authors are one query, and the next page with the same authors is none."""
    app = serve("dataloader", "uvicorn --no-access-log --port {port} app:app")
    page = "/graphql?query={books(first:20){author{id}}}"
    first, second = get(app, page), get(app, page)
    assert first == second
    assert get(app, "/health") == {"asked": [20]}
