"""The classic service while its server is away, is killed, hangs, or lets nobody in; and in forked children."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hotset import service as module
from hotset.core import plain
from hotset.service import CachingService
from tests.services.classic import PATIENCE, Serve, serve, until_connected
from tests.services.fixtures import ONE_KIND

__all__ = ["serve"]  # the fixture

EACH = pytest.mark.parametrize("kind", ONE_KIND)


def took(call: Callable[[], object], times: int = 1) -> float:
    """How long it takes, in seconds."""
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - begun


def in_child(check: Callable[[], bool]) -> None:
    """Run a check in a forked child, and assert that it held."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0


@EACH
def test_it_starts_without_a_server_and_works_within_two_seconds_of_its_start(
    serve: Serve, own_server: Any, kind: Any
) -> None:
    """No call raises meanwhile, and each says that it did nothing."""
    server = own_server(kind)
    server.kill()
    service = serve(server)
    deadline = time.monotonic() + 1.5  # long enough for the prober to have come to its longest pause
    while time.monotonic() < deadline:
        assert service.set("k", 1) is False
        assert service.get("k") is None
        assert service.delete("k") is False
        assert service.invalidate_all("k*") == 0
        status = service.get_status()
        assert (status["connected"], status["latency_ms"], status["server"]) == (False, None, None)
        assert "Error 111" in status["error"]
    server.start()
    until_connected(service, 2.0)
    assert (service.set("k", 1), service.get("k")) == (True, 1)


@EACH
def test_a_killed_server_is_found_again_and_said_so(
    serve: Serve, own_server: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it goes, one when it is back, whatever is asked meanwhile."""
    caplog.set_level(logging.INFO, "hotset.service")
    server = own_server(kind)
    service = serve(server)
    assert service.set("k", 1)
    server.kill()
    for _ in range(100):
        assert service.get("k") is None
    server.start()
    until_connected(service)
    assert service.set("k", 2)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


@EACH
def test_a_restart_that_no_call_fell_into_costs_no_answer(
    serve: Serve, own_server: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The first call after it is answered, over a new connection, which is said."""
    caplog.set_level(logging.INFO, "hotset.service")
    server = own_server(kind)
    service = serve(server)
    assert service.set("k", 1)
    server.snapshot()
    server.kill()
    server.start()
    assert service.get("k") == 1
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]


@EACH
def test_a_server_that_hangs_costs_a_bounded_delay_once(serve: Serve, own_server: Any, kind: Any) -> None:
    """250 ms for the first call, microseconds for the others; it goes on when the server does."""
    server = own_server(kind)
    service = serve(server)
    assert service.set("k", 1)
    server.pause()
    assert 0.2 < took(lambda: service.get("k")) < 0.5
    assert took(lambda: service.get("k"), 1_000) < 0.1
    assert took(service.get_status) < 0.05
    server.resume()
    until_connected(service)
    assert service.get("k") == 1


def test_the_status_of_a_server_that_hangs_comes_in_time(serve: Serve, own_server: Any) -> None:
    """Within 250 ms, over an open connection and while one is opened; the best of three, on a busy machine."""
    server = own_server()
    for met in True, False:
        waited = []
        for _ in range(3):
            service = serve(server)
            if met:
                assert service.get_status()["connected"]
            server.pause()
            waited.append(took(service.get_status))
            server.resume()
        assert 0.1 < min(waited) < 0.25


@EACH
@pytest.mark.parametrize("how", ["delete", "invalidate_all", "set", "set what is no JSON"])
def test_what_was_ended_while_the_server_hung_is_not_read_again(
    serve: Serve, own_server: Any, kind: Any, how: str
) -> None:
    """The ending is pending, and delivered before anything is read; other keys are as they were."""
    server = own_server(kind)
    service = serve(server, CACHE_KEY_PREFIX="app:")
    assert service.set("k", "old")
    assert service.set("other", 1)
    server.pause()
    assert service.get("other") is None  # it waits in vain; what comes now is not sent at all
    ends: dict[str, Callable[[], object]] = {
        "delete": lambda: service.delete("k"),
        "invalidate_all": lambda: service.invalidate_all("k*"),
        "set": lambda: service.set("k", "new"),
        "set what is no JSON": lambda: service.set("k", {(1, 2): 3}),
    }
    assert not ends[how]()
    assert service.get_status()["pending"] == 1
    server.resume()
    deadline = time.monotonic() + PATIENCE
    while service.get("other") is None:  # the first read that is answered at all
        assert time.monotonic() < deadline
    assert service.get("k") is None
    assert server.cli("EXISTS", "app:k") == 0
    assert service.get_status()["pending"] == 0


def test_more_endings_than_are_kept_are_said_and_never_become_an_ending_of_all(
    serve: Serve, own_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest is forgotten, and what other programs keep in the database stays."""
    monkeypatch.setattr(plain, "MOST", 10)
    server = own_server()
    server.cli("SET", "foreign", "1")
    service = serve(server)
    for number in range(11):
        assert service.set(f"k{number}", number)
    server.pause()
    assert service.get("k0") is None  # it waits in vain; what comes now is not sent at all
    for number in range(11):
        assert service.delete(f"k{number}") is False
    assert service.get_status()["pending"] == 10
    assert [record.levelname for record in caplog.records if "pending" in record.getMessage()] == ["ERROR"]
    server.resume()
    until_connected(service)
    assert sorted(server.cli("KEYS", "*")) == [b"foreign", b"k0"]


@EACH
def test_a_wrong_password_is_no_exception_and_no_secret(
    serve: Serve, own_server: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither of the two passwords is in the log, the status or the repr; the status says what is wrong."""
    caplog.set_level(logging.DEBUG)
    server = own_server(kind, config={"requirepass": "right-Secret"})
    service = serve(server, REDIS_PASSWORD="wrong-Secret")
    assert (service.set("k", 1), service.get("k"), service.delete("k")) == (False, None, False)
    status = service.get_status()
    assert (status["connected"], "WRONGPASS" in status["error"]) == (False, True)
    assert "Secret" not in f"{caplog.text}{status}{service!r}"
    service = serve(server)
    assert (service.get("k"), "NOAUTH" in service.get_status()["error"]) == (None, True)
    service = serve(server, REDIS_PASSWORD="right-Secret")
    assert (service.set("k", 1), service.get("k")) == (True, 1)
    assert "Secret" not in f"{caplog.text}{service.get_status()}{service!r}"


@EACH
def test_a_server_that_is_full_refuses_and_keeps_no_older_value(
    serve: Serve, own_server: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """`set` is False and says so; reads go on."""
    server = own_server(kind)
    service = serve(server)
    assert service.set("k", "old")
    assert service.set("other", 1)
    server.cli("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    assert service.set("k", "new") is False
    assert "OOM" in caplog.text
    assert (service.get("k"), service.get("other")) == (None, 1)
    assert service.get_status()["connected"] is True


def test_threads_share_it_while_the_server_comes_and_goes(serve: Serve, own_server: Any) -> None:
    """Eight threads through two kills: no exception, and no value of another key."""
    server = own_server()
    service = serve(server)
    over, wrong, rounds = threading.Event(), [], [0] * 8

    def work(me: int) -> None:
        try:
            while not over.is_set():
                service.set(f"k{me}", me)
                if (found := service.get(f"k{me}")) not in {None, me}:
                    wrong.append(found)
                rounds[me] += 1
        except BaseException as error:
            wrong.append(error)
            raise

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            server.kill()
            assert service.get("k0") is None
            server.start()
            until_connected(service)
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert (wrong, min(rounds) > 0) == ([], True)


# ------------------------------------------------------------------------------------------------ forked children


pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@EACH
def test_a_forked_child_has_connections_of_its_own(serve: Serve, own_server: Any, kind: Any) -> None:
    """The one service is there, with what it was made from; parent and child ask at once and get their own answers."""
    server = own_server(kind)
    service = serve(server)
    assert service.set("parent", 1)
    assert service.set("child", 2)
    gate = threading.Event()

    def ask() -> None:
        gate.wait(PATIENCE)
        assert [service.get("parent") for _ in range(300)] == [1] * 300

    asking = threading.Thread(target=ask)
    asking.start()
    gate.set()
    in_child(lambda: CachingService() is service and [CachingService().get("child") for _ in range(300)] == [2] * 300)
    asking.join(PATIENCE)
    assert service.get("parent") == 1


@EACH
def test_a_child_forked_while_the_server_is_away_finds_it_again(serve: Serve, own_server: Any, kind: Any) -> None:
    """With a prober of its own, and what was ended before the fork is delivered there before it reads."""
    server = own_server(kind)
    service = serve(server)
    assert service.set("k", "old")
    assert service.set("other", 1)
    server.pause()
    assert service.get("other") is None  # as above
    assert service.delete("k") is False

    def comes_back() -> bool:
        pending = service.get_status()["pending"]
        server.resume()
        deadline = time.monotonic() + PATIENCE
        while service.get("other") is None and time.monotonic() < deadline:
            pass
        return (pending, service.get_status()["pending"], service.get("k")) == (1, 0, None)

    in_child(comes_back)


def test_a_child_forked_while_a_lock_is_held_is_not_held_up(serve: Serve, own_server: Any) -> None:
    """Another thread of the parent was constructing: nobody in the child ever releases its lock."""
    service = serve(own_server())
    with module._held.lock, service._plain._lock:
        in_child(lambda: not module._held.lock.locked() and service.set("k", 1) and service.get("k") == 1)


# ------------------------------------------------------------------------------------------------ its end


def test_a_process_ends_in_silence_while_the_server_is_away(own_server: Any) -> None:
    """Nobody closes a classic service; nothing is printed and nothing waits."""
    server = own_server()
    server.kill()
    script = "from hotset import CachingService; s = CachingService(); print(s.get('k'), s.delete('k'))"
    begun = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "REDIS_HOST": server.host, "REDIS_PORT": str(server.port)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    # Without a configured log, Python prints warnings: the one line is that Redis is away.
    assert (child.returncode, child.stdout) == (0, "None False\n")
    assert [line.partition(",")[0] for line in child.stderr.splitlines()] == ["Redis is away"]
    assert time.monotonic() - begun < PATIENCE
