"""The fixtures of real servers, for every folder of tests: `tests/conftest.py` makes this module a plugin.

    store_server    a server of each kind in turn, empty and as after its start
    own_server      makes servers of the test's own, to kill, pause, fill or configure
    proxy           a network before `store_server` that can be cut and stalled
    redis_server, valkey_server     the shared servers themselves; `store_server` is what most tests want

A server that this machine does not have skips its tests, and the run's end says so; under CI it fails them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.services import installed
from tests.services.installed import KINDS, Kind

if TYPE_CHECKING:  # loaded by the fixtures, so that a run without servers does not pay for them
    from tests.services.proxy import Proxy
    from tests.services.servers import Server

LEFT_OUT = "left out: no {} server on this machine"


class OwnServer(Protocol):
    """Makes servers that end with the test: `own_server("valkey", config={"maxmemory": "4mb"})`."""

    def __call__(self, kind: Kind = "redis", **options: Any) -> Server:
        """A started server; the options are those of `Server`."""


def need(kind: Kind) -> None:
    """Skip the test if there is no such server here; fail it if nothing may be left out."""
    if installed.program(kind) is None:
        reason = LEFT_OUT.format(kind)
        if installed.nothing_may_be_left_out():
            pytest.fail(f"{reason}, and CI is set: {installed.REMEDY[kind]}", pytrace=False)
        pytest.skip(reason)


def _shared(kind: Kind) -> Iterator[Server]:
    need(kind)
    from tests.services.servers import Server

    with Server(kind) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The Redis server that the run's tests share. It is as the last test left it."""
    yield from _shared("redis")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """The Valkey server that the run's tests share. It is as the last test left it."""
    yield from _shared("valkey")


@pytest.fixture(params=KINDS)
def store_server(request: pytest.FixtureRequest) -> Server:
    """A shared server, one kind after the other: running, empty, with its first settings and nobody connected."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    server.reset()
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say loudly what was left out, after everything else that a run says."""
    yield
    skipped = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    for kind in KINDS:
        count = sum(LEFT_OUT.format(kind) in reason for reason in skipped)
        if count:
            terminalreporter.section("LEFT OUT", sep="!", red=True, bold=True)
            terminalreporter.line(
                f"Tests not run: {count}. There is no {kind} server here: {installed.REMEDY[kind]}.", red=True
            )
