"""Leases are held longer for as long as their loads run, however many begin meanwhile."""

import threading

import pytest

from hotset import Cache
from hotset.core.lease import Lease
from hotset.stores.protocol import Epochs
from tests.services.servers import Server

LONG = 5.0


def test_a_load_that_begins_while_others_are_held_longer_stops_none_of_them(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are renewed again and again, though one more was taken in the middle of renewing them."""
    renewed: dict[Lease, int] = {}
    often, over = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    renew = Lease.renew

    with Cache("memory://", redis_server.url, namespace="terms", lease_timeout=0.3) as cache:

        def load(key: str) -> None:
            loading = threading.Event()

            def loader() -> None:
                loading.set()
                over.wait(LONG)

            threads.append(threading.Thread(target=cache.get_or_load, args=(key, loader)))
            threads[-1].start()
            assert loading.wait(LONG)

        async def and_one_more(lease: Lease) -> None:
            if not renewed:
                another = Lease(lease.far, lease.seconds, Epochs(lease.generation, lease.count, lease.records))
                another.bases["other"] = b"12345678"
                lease.far.store.terms.hold(another)
            renewed[lease] = renewed.get(lease, 0) + 1
            if len(renewed) == 3 and min(renewed.values()) > 2:
                often.set()
            await renew(lease)

        monkeypatch.setattr(Lease, "renew", and_one_more)
        load("one")
        load("two")
        held = often.wait(LONG)
        over.set()
        for thread in threads:
            thread.join(LONG)
    assert held
