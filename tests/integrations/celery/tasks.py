# mypy: disable-error-code="import-untyped, untyped-decorator"
"""The tasks of a shop, as a user writes them: `celery -A tests.integrations.celery.tasks worker`."""

from __future__ import annotations

import os
import time
from typing import Any

import redis
from celery import Celery, Task

from hotset import Cache
from hotset.integrations.celery import close_with_worker

SERVER = os.environ["SHOP_SERVER"]
"""One server for everything: database 1 is the broker, 2 the results, 3 the source."""
STORE = os.environ["SHOP_STORE"]
"""Where the store is: there too, or behind a proxy."""
HEARTBEAT = 0.5
LEASE = 1.0

app = Celery("shop", broker=f"{SERVER}/1", backend=f"{SERVER}/2")
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": 3600},
    result_backend_transport_options={"retry_policy": {"max_retries": 3}},
)
source = redis.Redis.from_url(f"{SERVER}/3")

near = Cache("memory://", STORE, namespace="near", ttl="1h", heartbeat=HEARTBEAT, lease_timeout=LEASE)
store = Cache(STORE, namespace="store", ttl="1h", lease_timeout=LEASE)
close_with_worker(near, store)


@near.cached("price:{item}")
def near_price(item: int) -> int:
    """A price, with a copy near."""
    return _version(item)


@store.cached("price:{item}")
def store_price(item: int) -> int:
    """A price, asked of the store each time."""
    return _version(item)


def _version(item: int) -> int:
    return int(source.get(f"version:{item}") or 0)


@app.task
def read(items: list[int]) -> list[tuple[str, int, float, int]]:
    """Read prices in both ways, and say when each read began."""
    seen = []
    for item in items:
        for how, price in (("near", near_price), ("store", store_price)):
            began = time.monotonic()
            seen.append((how, item, began, price(item)))
    return seen


@app.task
@near.cached("report:{name}", tags=["reports"])
def report(name: str) -> int:
    """A slow report: it is begun, and made when the source lets it."""
    source.rpush(f"begun:{name}", os.getpid())
    source.blpop([f"go:{name}"])
    return int(source.get(f"version:{name}") or 0)


@app.task
def ask(name: str) -> int:
    """A task that needs the report."""
    source.rpush(f"asked:{name}", os.getpid())
    made: int = report(name)
    return made


@app.task
def end(name: str) -> int | None:
    """A task that ends a report; returns how many endings the store has not heard of."""
    near.delete(report.run.key(name))
    status = near.status().store
    return status.pending if status is not None else None


@app.task(bind=True)
@near.cached("bound:{name}")
def bound(self: Task[Any, Any], name: str) -> str:
    """A task bound to itself."""
    return f"{self.name} of {name}"


@app.task(autoretry_for=(ConnectionError,), max_retries=3, default_retry_delay=0)
@near.cached("flaky:{name}")
def flaky(name: str) -> int:
    """A task whose source fails twice."""
    tries = int(source.incr(f"tries:{name}"))
    if tries < 3:
        raise ConnectionError("the source is away")
    return tries


@app.task
@near.cached("handle:{name}")
def handle(name: str) -> object:
    """A task that returns what nobody can keep."""
    return object()


@app.task
@near.cached("sum:{numbers}")
def total(numbers: tuple[int, ...]) -> int:
    """A task whose argument is in the key."""
    return sum(numbers)


@near.cached("count:{name}")
def count(name: str) -> int:
    """How often this was loaded."""
    return int(source.incr(f"loads:{name}"))


@app.task
def who(name: str) -> tuple[int, int]:
    """Which process has read the count, and what it was."""
    return os.getpid(), count(name)
