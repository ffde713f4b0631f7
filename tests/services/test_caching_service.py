"""The classic service over real servers: what stands in Redis, what comes back, and which keys an ending takes."""

from __future__ import annotations

import copy
import datetime as dt
import json
import logging
import math
import pickle
import sys
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotset import service as module
from hotset.errors import ConfigError, KeyRejected
from hotset.service import CachingService
from tests.services.classic import PATIENCE, Serve, serve

__all__ = ["serve"]  # the fixture

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Awkward:
    """A value that not even `str` can say."""

    def __str__(self) -> str:
        """Fail."""
        raise LookupError("no words for it")


def circle() -> list[Any]:
    """A list that holds itself."""
    inner: list[Any] = []
    inner.append(inner)
    return inner


# ------------------------------------------------------------------------------------------------ one in a process


def test_there_is_one_in_a_process(serve: Serve, store_server: Any) -> None:
    """However it is made, copied or unpickled."""
    service = serve(store_server)
    assert CachingService() is service
    assert copy.copy(service) is copy.deepcopy(service) is pickle.loads(pickle.dumps(service)) is service


def test_twenty_threads_that_construct_at_once_get_one(serve: Serve, store_server: Any) -> None:
    """In 50 rounds, with threads that change as often as the interpreter lets them."""
    serve(store_server)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            module._held.service = None
            gate = threading.Barrier(20)
            got: list[CachingService] = []

            def construct(gate: threading.Barrier = gate, got: list[CachingService] = got) -> None:
                gate.wait(PATIENCE)
                got.append(CachingService())

            threads = [threading.Thread(target=construct) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert len(got) == 20
            assert len({id(service) for service in got}) == 1
    finally:
        sys.setswitchinterval(interval)


def test_the_environment_is_read_when_the_first_is_made(
    serve: Serve, store_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes there later changes nothing."""
    service = serve(store_server, REDIS_DB="3", CACHE_KEY_PREFIX="app:", CACHE_DEFAULT_TTL_SECONDS="77.5")
    monkeypatch.setenv("CACHE_KEY_PREFIX", "other:")
    assert CachingService().set("k", 1)
    with store_server.wire() as wire:
        wire.ask("SELECT", 3)
        assert (wire.ask("GET", "app:k"), wire.ask("TTL", "app:k")) == (b"1", 78)
    status = service.get_status()
    assert (status["db"], status["prefix"], status["default_ttl_seconds"]) == (3, "app:", 78)


@pytest.mark.parametrize(
    "variable, text",
    [
        *(("REDIS_PORT", text) for text in ("0", "65536", "six", "-1", "6379/1", "1" * 5000)),
        *(("REDIS_DB", text) for text in ("-1", "one", "1.5")),
        *(("REDIS_HOST", text) for text in ("redis://h", "a/b", "a b", "h?x=1", "h#1", "[::1]", "::zz")),
        *(("CACHE_DEFAULT_TTL_SECONDS", text) for text in ("0", "-5", "10m", "nan", "True")),
        ("CACHE_KEY_PREFIX", "\udc80"),
        ("REDIS_PASSWORD", "\udc80"),
    ],
)
def test_a_wrong_setting_is_named(serve: Serve, variable: str, text: str) -> None:
    """At the first construction, and again at the next: no half a service is kept."""
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"^{variable}: "):
            serve(**{variable: text})
    assert module._held.service is None


def test_a_password_in_the_wrong_place_is_not_shown(serve: Serve) -> None:
    """Who puts a url where the host belongs reads of it, and nobody of the password."""
    with pytest.raises(ConfigError) as raised:
        serve(REDIS_HOST="redis://:secret@cache.internal")
    assert "secret" not in str(raised.value)


def test_variables_that_are_empty_are_as_if_not_set(serve: Serve) -> None:
    """As a compose file leaves them."""
    service = serve(**dict.fromkeys(("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD"), ""))
    assert "Redis('redis://localhost:6379/0')" in repr(service)


# ------------------------------------------------------------------------------------------------ what stands there


@pytest.mark.parametrize(
    "value, stored",
    [
        (0, b"0"),
        ("", b'""'),
        ([], b"[]"),
        (False, b"false"),
        (None, b"null"),
        ({"name": "Zoë", "tags": ("a", 1)}, b'{"name": "Zo\\u00eb", "tags": ["a", 1]}'),
        ({7: 1.5}, b'{"7": 1.5}'),
        (dt.datetime(2024, 5, 1, 12, 30, tzinfo=dt.UTC), b'"2024-05-01 12:30:00+00:00"'),
        ("\ud800", b'"\\ud800"'),
    ],
)
def test_the_bytes_in_redis_are_json_under_the_very_key(
    serve: Serve, store_server: Any, value: object, stored: bytes
) -> None:
    """What `json.dumps(value, default=str)` says, and nothing else in the database."""
    service = serve(store_server)
    assert service.set("user:7", value) is True
    assert store_server.cli("GET", "user:7") == stored == json.dumps(value, default=str).encode()
    assert store_server.cli("KEYS", "*") == [b"user:7"]
    assert service.get("user:7") == json.loads(stored)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON, key=st.text(min_size=1).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_what_json_knows_comes_back_as_it_was(serve: Serve, redis_server: Any, value: Any, key: str) -> None:
    """Any value under any key, of the same type."""
    service = module._held.service or serve(redis_server)
    assert service.set(key, value)
    back = service.get(key)
    assert (back, type(back)) == (value, type(value))
    assert service.delete(key) is True


def test_other_programs_write_and_the_service_reads(serve: Serve, store_server: Any) -> None:
    """JSON as others lay it out, and a counter; what is no JSON is a miss."""
    service = serve(store_server)
    store_server.cli("SET", "k", ' {"a":[1,null,"Zo\xc3\xab"]}\n'.encode("latin-1"))
    assert service.get("k") == {"a": [1, None, "Zoë"]}
    store_server.cli("INCRBY", "n", 5)
    assert service.get("n") == 5
    for bytes_ in (b"", b"no json", b"\xff\xfe", b"{", b"[" * 200_000, b"9" * 5_000, b"\x80\x04K\x01."):
        store_server.cli("SET", "k", bytes_)
        assert service.get("k") is None


def test_a_key_of_another_type_is_a_miss_and_can_be_taken_over(
    serve: Serve, store_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A list under the key answers None, is replaced by `set` and removed by `delete`; the service stays connected."""
    service = serve(store_server)
    store_server.cli("LPUSH", "k", 1)
    store_server.cli("LPUSH", "l", 1)
    assert service.get("k") is None
    assert service.get_status()["connected"] is True
    assert (service.set("k", 2), service.get("k")) == (True, 2)
    assert (service.delete("l"), service.delete("l")) == (True, False)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_json_cannot_hold_is_not_stored_and_ends_what_was_there(
    serve: Serve, store_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A circle, a NaN (which other languages could not read), keys that are tuples, a `__str__` that raises."""
    service = serve(store_server)
    for value in circle(), math.nan, {"a": -math.inf}, {(1, 2): 3}, Awkward(), 10**5_000:
        assert service.set("k", "old") is True
        caplog.clear()
        assert service.set("k", value) is False
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert service.get("k") is None
        assert store_server.cli("EXISTS", "k") == 0


@pytest.mark.parametrize("ttl, seconds", [(None, 60), (10, 10), (0.2, 1), (1.0, 1), (1.01, 2), (math.inf, 10**11)])
def test_a_ttl_is_whole_seconds_rounded_up(serve: Serve, store_server: Any, ttl: float | None, seconds: int) -> None:
    """At least one, and SET with EX in one command; the longest is one that Redis can count."""
    service = serve(store_server, CACHE_DEFAULT_TTL_SECONDS="60")
    service.get_status()  # connected
    with store_server.monitor() as seen:
        assert service.set("k", 1, ttl)
    assert [one.words for one in seen.asked] == [(b"SET", b"k", b"1", b"EX", str(seconds).encode())]


def test_an_expired_value_is_gone(serve: Serve, store_server: Any) -> None:
    """A second after it was set for one."""
    service = serve(store_server)
    assert service.set("k", 1, 1)
    begun = time.monotonic()
    while service.get("k") is not None:
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.01)
    assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("ttl", [0, -1, math.nan, "10m", True, [1], None.__class__])
def test_a_ttl_that_is_none_is_refused(serve: Serve, store_server: Any, ttl: Any) -> None:
    """The error names it, and nothing is written."""
    service = serve(store_server)
    with pytest.raises(ConfigError, match=r"^ttl_seconds: "):
        service.set("k", 1, ttl)
    assert store_server.cli("DBSIZE") == 0


@pytest.mark.parametrize("key", [None, 7, b"k", ["k"], {}, "", "\ud800"])
def test_a_key_that_is_none_is_refused(serve: Serve, key: Any) -> None:
    """By every method, whether Redis is there or not."""
    service = serve(REDIS_PORT="1")
    for call in service.get, service.delete, service.invalidate_all, lambda key: service.set(key, 1):
        with pytest.raises(KeyRejected):
            call(key)


# ------------------------------------------------------------------------------------------------ endings


def test_invalidate_all_ends_what_matches_after_the_prefix(serve: Serve, store_server: Any) -> None:
    """The prefix is taken literally, however much it looks like a pattern, and nothing outside it is touched."""
    prefix = r"a[b]*?\^-:"
    service = serve(store_server, CACHE_KEY_PREFIX=prefix)
    foreign = [b"ab:user:1", b"a[b]:user:1", rb"a[b]xy\^-:user:1", b"user:1", b"x" + prefix.encode() + b"user:1"]
    for theirs in foreign:
        store_server.cli("SET", theirs, "1")
    for key in "user:1", "user:2", "user:10", "user:*", "team:1":
        service.set(key, 1)
    assert service.invalidate_all("user:?") == 3
    assert service.invalidate_all(r"user:\*") == 0
    assert (service.get("user:10"), service.get("team:1")) == (1, 1)
    assert service.invalidate_all() == 2
    assert service.invalidate_all() == 0
    assert sorted(store_server.cli("KEYS", "*")) == sorted(foreign)


def test_all_without_a_prefix_is_warned_of(serve: Serve, store_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It takes what others wrote; a pattern, or a prefix, takes less and says nothing."""
    store_server.cli("SET", "foreign", "1")
    assert serve(store_server, CACHE_KEY_PREFIX="app:").invalidate_all() == 0
    service = serve(store_server)
    assert service.invalidate_all("f?*n") == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    store_server.cli("SET", "foreign", "1")
    assert service.invalidate_all("**") == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "whoever wrote it" in caplog.text


def test_100_000_keys_end_while_the_server_answers_others(serve: Serve, store_server: Any) -> None:
    """Page by page: no command of them all, none that takes long, and another client's PING is answered meanwhile."""
    service = serve(store_server, CACHE_KEY_PREFIX="app:")
    store_server.cli("DEBUG", "POPULATE", 100_000, "app:k", 50)
    store_server.cli("DEBUG", "POPULATE", 1_000, "other", 50)
    store_server.cli("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 10_000)
    store_server.cli("SLOWLOG", "RESET")
    over, waits = threading.Event(), [0.0]

    def ping() -> None:
        with store_server.wire() as wire:
            while not over.is_set():
                begun = time.monotonic()
                wire.ask("PING")
                waits.append(time.monotonic() - begun)

    other = threading.Thread(target=ping)
    other.start()
    try:
        assert service.invalidate_all("k:*") == 100_000
    finally:
        over.set()
        other.join(PATIENCE)
    took = [(entry[2], entry[3][0].upper(), len(entry[3])) for entry in store_server.cli("SLOWLOG", "GET", -1)]
    ours = [one for one in took if one[1] in {b"SCAN", b"UNLINK"}]
    assert {name for _, name, _ in took} <= {
        b"SCAN",
        b"UNLINK",
        b"PING",
        b"HELLO",
        b"CLIENT",
        b"INFO",
        b"TIME",
        b"SLOWLOG",
    }
    assert len(ours) > 150
    assert max(micros for micros, *_ in ours) < 50_000  # a page takes some 500; the machine may be busy elsewhere
    assert len(waits) > 10  # how many there is time for is the machine's affair
    assert max(waits) < 0.25
    assert store_server.cli("DBSIZE") == 1_000


# ------------------------------------------------------------------------------------------------ what it says


def test_connect_is_said_at_info_and_hits_and_misses_at_debug(
    serve: Serve, store_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for the connection, once for each read."""
    caplog.set_level(logging.DEBUG, "hotset.service")
    service = serve(store_server)
    service.get("k")
    service.set("k", 0)
    service.get("k")
    said = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "hotset.service"]
    version = ".".join(map(str, store_server.version))
    assert said == [
        ("INFO", f"connected to 127.0.0.1:{store_server.port} ({store_server.kind} {version})"),
        ("DEBUG", "miss 'k'"),
        ("DEBUG", "hit 'k'"),
    ]


def test_the_status_says_how_it_goes(serve: Serve, store_server: Any) -> None:
    """Connected, where, and how long an answer takes."""
    status = serve(store_server, REDIS_DB="2").get_status()
    latency = status.pop("latency_ms")
    assert 0 < latency < 250
    assert status == {
        "host": "127.0.0.1",
        "port": store_server.port,
        "db": 2,
        "prefix": "",
        "default_ttl_seconds": 300,
        "connected": True,
        "error": None,
        "server": f"{store_server.kind} {'.'.join(map(str, store_server.version))}",
        "pending": 0,
    }
    json.dumps(status)


def test_a_process_with_caches_switched_off_asks_nothing(serve: Serve, store_server: Any) -> None:
    """HOTSET_DISABLE holds for it as for every cache, and the status says so."""
    service = serve(store_server, HOTSET_DISABLE="1")
    with store_server.monitor() as seen:
        assert (service.set("k", 1), service.get("k"), service.delete("k")) == (False, None, False)
        assert service.invalidate_all("k*") == 0
    assert seen.asked == []
    status = service.get_status()
    assert (status["connected"], "HOTSET_DISABLE" in status["error"]) == (False, True)
