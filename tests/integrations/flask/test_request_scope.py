"""A request scope for each request of an app."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask

from hotset import ConfigError
from hotset.integrations.flask import Hotset
from tests.integrations.flask.conftest import MakeApp


@pytest.mark.parametrize("asynchronous", [True, False])
def test_each_request_is_one(cache: Hotset, make_app: MakeApp, asynchronous: bool) -> None:
    """Others are seen by the next request; a request within a request is part of it, and ends nothing."""
    app = make_app()
    cache.scope_requests(app)
    own = app.extensions["hotset"]
    own.set("k", 1)

    def read() -> list[int]:
        seen = [own.get("k")]
        thread = threading.Thread(target=own.set, args=("k", seen[0] + 1))
        thread.start()
        thread.join()
        inner = app.test_client().get("/inner").json
        return [*seen, inner, own.get("k")]

    async def read_async() -> list[int]:
        return read()

    app.add_url_rule("/", view_func=read_async if asynchronous else read)
    app.add_url_rule("/inner", endpoint="inner", view_func=lambda: [own.get("k")])
    client: Any = app.test_client()
    assert [client.get("/").json for _ in range(2)] == [[1, [1], 1], [2, [2], 2]]
    assert own._space.engine.off_here == 0


def test_a_request_that_fails_or_never_began_ends_its_scope(cache: Hotset, make_app: MakeApp) -> None:
    """Also where another function has answered before."""
    app = make_app()
    answers = iter(["early", None])
    app.before_request(lambda: next(answers))
    cache.scope_requests(app)

    def fail() -> str:
        raise ZeroDivisionError

    app.add_url_rule("/", view_func=fail)
    app.testing = False
    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 500]
    assert app.extensions["hotset"]._space.engine.off_here == 0


def test_an_app_without_a_cache_is_refused(cache: Hotset) -> None:
    """It says what to write before."""
    with pytest.raises(ConfigError, match=r"init_app\(app\)"):
        cache.scope_requests(Flask("none"))
