"""What a client by TLS trusts is read once, not for each connection: reading the system's authorities takes long."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from hotset.errors import StoreUnavailable
from tests.services.callers import CALLERS, PATIENCE, Reach, reaching

THREADS = 8


@pytest.fixture(params=CALLERS)
def reach(request: pytest.FixtureRequest) -> Iterator[Reach]:
    """Makes clients of one kind."""
    yield from reaching(request.param)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one each time that authorities are read."""
    made: list[str] = []
    genuine = ssl.create_default_context

    def counting(*given: Any, **named: Any) -> ssl.SSLContext:
        made.append("read")
        return genuine(*given, **named)

    monkeypatch.setattr(ssl, "create_default_context", counting)
    return made


def test_clients_that_dial_at_once_read_it_once(own_server: Any, read: list[str]) -> None:
    """Threads and loops that connect together wait for one reading, and for none of their own."""
    server = own_server(tls=True)
    together = threading.Barrier(THREADS * len(CALLERS))
    answers: list[Any] = []

    def work(kind: Any) -> None:
        for reach in reaching(kind):
            caller = reach(server.url, ca_file=server.ca_file)
            together.wait(PATIENCE)
            answers.extend(caller.run(("ECHO", "a")))

    threads = [threading.Thread(target=work, args=(kind,)) for kind in CALLERS for _ in range(THREADS)]
    read.clear()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [b"a"] * len(threads)
    assert read == ["read"]


def test_a_file_that_was_changed_is_read_again(reach: Reach, own_server: Any, tmp_path: Path) -> None:
    """Certificates are renewed in place while a program runs: the next connection goes by what is there now."""
    server = own_server(tls=True)
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))  # a stranger's
    caller = reach(server.url, ca_file=trusted)
    with pytest.raises(StoreUnavailable, match="ca_file"):
        caller.run(("PING",))
    trusted.write_bytes(server.ca_file.read_bytes())
    assert caller.run(("ECHO", "a")) == [b"a"]
