"""Which leases a load takes, by what its caller has read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hotset import Cache
from hotset.core.far import Far
from hotset.core.lease import take
from hotset.ports.sync import SYNC, run_sync
from tests.services.servers import Server


@pytest.fixture
def far(store_server: Server) -> Iterator[Far]:
    """A namespace in the store."""
    with Cache(store_server.url, namespace="room") as cache:
        far = cache._space.far
        assert far is not None
        yield far


def test_a_placeholder_that_is_held_is_not_taken_from_its_holder(far: Far) -> None:
    """Who has read it has judged nothing dead, however its own flight came to an end meanwhile."""
    holder = run_sync(take(SYNC, far, {"k": run_sync(far.look(SYNC, "k", None, ()))}, (), 60.0))
    assert holder.bases == {"k": holder.id}
    standing = run_sync(far.look(SYNC, "k", None, ()))
    assert standing.busy
    assert run_sync(take(SYNC, far, {"k": standing}, (), 60.0)).bases == {}
    assert run_sync(far.look(SYNC, "k", None, ())).mark == holder.id


def test_a_new_tag_is_begun_before_the_load_that_carries_it(far: Far) -> None:
    """Its record, and the count that is the load's instant, are those of the packet that took the lease."""
    lease = run_sync(take(SYNC, far, {"k": run_sync(far.look(SYNC, "k", None, ["t"]))}, ["t"], 60.0))
    assert lease.bases == {"k": lease.id}
    assert lease.records == {"t": (lease.count, lease.count)}


def test_a_generation_that_changed_since_the_read_is_read_again(far: Far) -> None:
    """What was judged was of another one; and the lease that was left is in nobody's way."""
    standing = run_sync(far.look(SYNC, "k", None, ["t"]))
    old = replace(standing.epochs, generation=b"another.")
    standing.epochs = old
    assert run_sync(take(SYNC, far, {"k": standing}, ["t"], 60.0)).bases == {}
    again = run_sync(far.look(SYNC, "k", None, ["t"]))
    assert not again.busy
    assert run_sync(take(SYNC, far, {"k": again}, ["t"], 60.0)).bases
