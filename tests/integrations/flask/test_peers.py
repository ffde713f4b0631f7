"""What users of Flask-Caching run into, and what happens here.

The stampede is in `test_views`, methods whose entries are not deleted in `test_functions`.
"""

from __future__ import annotations

import pickle
import time

import pytest
from flask import Flask, request

from hotset import Cache
from hotset.integrations.flask import Hotset
from tests.integrations.flask.conftest import MakeApp
from tests.services.servers import Server


def test_none_is_a_value(cache: Hotset, app: Flask) -> None:
    """A function that returns None is not run again each time (PEERS 3e.5)."""
    runs: list[int] = []

    @cache.cached("nothing")
    def nothing() -> None:
        runs.append(1)

    with app.app_context():
        assert [nothing() for _ in range(3)] == [None] * 3
    assert len(runs) == 1


def test_keys_tell_queries_apart_by_default(cache: Hotset, app: Flask) -> None:
    """Two searches are not one page because nobody wrote `query_string=True`."""

    @app.get("/search")
    @cache.view("search")
    def search() -> str:
        return request.args["q"]

    client = app.test_client()
    assert [client.get(f"/search?q={word}").text for word in ("cats", "dogs", "cats")] == ["cats", "dogs", "cats"]


def test_a_full_cache_stores_in_the_time_that_an_empty_one_takes() -> None:
    """Storing into a full table of 20,000 costs what it costs in one of 200: nothing is sorted or swept."""

    def seconds(capacity: int) -> float:
        cache = Cache(f"memory://?max_entries={capacity}")
        for n in range(capacity):
            cache.set(f"old:{n}", n)
        best = 1e9
        for turn in range(5):
            began = time.perf_counter()
            for n in range(200):
                cache.set(f"new:{turn}:{n}", n)
            best = min(best, time.perf_counter() - began)
        return best

    assert seconds(20_000) < 20 * seconds(200)  # sorting would take more than 100 times as long


def test_no_pickle_is_written_or_read(
    cache: Hotset, make_app: MakeApp, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page goes to Redis and comes back without it: bytes that a stranger wrote run no code (CVE-2021-33026)."""

    def refuse(*given: object, **how: object) -> None:
        raise AssertionError("pickle was asked")

    for name in ("dumps", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    app = make_app(HOTSET_TIERS=redis_server.url)
    runs: list[int] = []

    @app.get("/")
    @cache.view("page")
    def page() -> dict[str, int]:
        runs.append(1)
        return {"a": 1}

    client = app.test_client()
    assert [client.get("/").json for _ in range(2)] == [{"a": 1}] * 2
    assert len(runs) == 1
    for key in redis_server.cli("KEYS", "*"):
        if redis_server.cli("TYPE", key) == b"string":
            redis_server.cli("SET", key, b"cos\nsystem\n(S'exit 1'\ntR.")
    assert client.get("/").json == {"a": 1}
    assert len(runs) == 2
