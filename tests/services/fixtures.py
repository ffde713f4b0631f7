"""The fixtures of real servers, for every folder of tests: `tests/conftest.py` makes this module a plugin.

    store_server    a server of each kind in turn, empty and as after its start
    own_server      makes servers of the test's own, to kill, pause, fill or configure
    proxy           a network before `store_server` that can be cut and stalled
    patient         has a store that takes its time, as on a busy machine, not count as one that is away
    redis_server, valkey_server     the shared server of one kind, as `store_server` gives it

A server that this machine does not have skips its tests, and the run's end says so; under CI it fails them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pytest

from tests.services import installed
from tests.services.installed import KINDS, Kind

if TYPE_CHECKING:  # loaded by the fixtures, so that a run without servers does not pay for them
    from tests.services.proxy import Proxy
    from tests.services.servers import Server

PATIENCE = 10.0
"""Seconds that a store may take where a test is `patient`; nothing waits for them to pass."""

ONE_KIND = ("redis", pytest.param("valkey", marks=pytest.mark.soak))
"""For `parametrize`, where a row does not stand on the server: Redis in each run, Valkey too in the long one."""

LEFT_OUT = "left out: no {} on this machine"


class OwnServer(Protocol):
    """Makes servers that end with the test: `own_server("valkey", config={"maxmemory": "4mb"})`."""

    def __call__(self, kind: Kind = "redis", **options: Any) -> Server:
        """A started server; the options are those of `Server`."""


def need(kind: Kind) -> None:
    """Skip the test if there is no such server here; fail it if nothing may be left out."""
    if installed.program(kind) is None:
        leave_out(f"{kind} server")


def leave_out(thing: str) -> NoReturn:
    """Skip the test for want of a thing that `installed.REMEDY` names; fail it if nothing may be left out."""
    reason = LEFT_OUT.format(thing)
    if installed.nothing_may_be_left_out():
        pytest.fail(f"{reason}, and CI is set: {installed.REMEDY[thing]}", pytrace=False)
    pytest.skip(reason)


def suite_of(project: str, part: str) -> Path:
    """The folder of a project's source distribution with its tests, of the version that is installed here."""
    from tests.services import fetched

    try:
        return fetched.source(project, part)
    except fetched.NotFetched:
        leave_out(f"test suite of {project}")


def _shared(kind: Kind) -> Iterator[Server]:
    need(kind)
    from tests.services.servers import Server

    with Server(kind) as server:
        yield server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Server]:
    """The Redis server that the run's tests share. It is as the last test left it: stopped, full, of other settings."""
    yield from _shared("redis")


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Server]:
    """The Valkey server that the run's tests share. It is as the last test left it."""
    yield from _shared("valkey")


@pytest.fixture
def redis_server(shared_redis: Server) -> Server:
    """The shared Redis server: running, empty, with its first settings and nobody connected."""
    shared_redis.reset()
    return shared_redis


@pytest.fixture
def valkey_server(shared_valkey: Server) -> Server:
    """The shared Valkey server: running, empty, with its first settings and nobody connected."""
    shared_valkey.reset()
    return shared_valkey


@pytest.fixture(params=KINDS)
def store_server(request: pytest.FixtureRequest) -> Server:
    """A shared server, one kind after the other: running, empty, with its first settings and nobody connected."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A function that starts servers for this test alone; they are gone when it ends."""
    from tests.services.servers import Server

    servers: list[Server] = []

    def own_server(kind: Kind = "redis", **options: Any) -> Server:
        need(kind)
        server = Server(kind, **options)
        servers.append(server)
        return server.start()

    yield own_server
    for server in reversed(servers):
        server.close()


@pytest.fixture
def proxy(store_server: Server) -> Iterator[Proxy]:
    """A proxy before `store_server`. For one before another server: `with Proxy(server) as proxy`."""
    from tests.services.proxy import Proxy

    with Proxy(store_server) as proxy:
        yield proxy


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may take its time: on a busy machine a test that is not about slow stores sees none that is away."""
    from hotset.core.store import Store

    monkeypatch.setattr(Store.reach, "__defaults__", (PATIENCE,))
    monkeypatch.setattr("hotset.core.change.DEADLINE", PATIENCE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say loudly what was left out, after everything else that a run says."""
    yield
    skipped = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    for thing, remedy in installed.REMEDY.items():
        count = sum(LEFT_OUT.format(thing) in reason for reason in skipped)
        if count:
            terminalreporter.section("LEFT OUT", sep="!", red=True, bold=True)
            terminalreporter.line(f"Tests not run: {count}. There is no {thing} here: {remedy}.", red=True)
