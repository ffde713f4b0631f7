"""A shop that several processes serve, in WSGI and in ASGI; its cache is used before any fork.

/price?item=3    reads a price through the cache
/change?item=3   changes it at the source and ends the entry
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import redis

from hotset import Cache
from tests.integrations.processes.program import until

SERVER = os.environ["SHOP_SERVER"]
"""Database 0 is the store, 3 the source."""
HEARTBEAT = 0.5

source = redis.Redis.from_url(f"{SERVER}/3")
cache = Cache("memory://", f"{SERVER}/0", namespace="shop", ttl="1h", heartbeat=HEARTBEAT, lease_timeout="1s")


@cache.cached("price:{item}")
def price(item: int) -> int:
    """What the source says."""
    return int(source.get(f"version:{item}") or 0)


def near(item: int) -> bool:
    """Whether a price is kept near, on a link that is alive."""
    price(item)
    found = cache.lookup(price.key(item))
    return bool(found) and found.tier == "process"  # type: ignore[union-attr]


def serve(path: str, query: str) -> bytes:
    """Answer a request."""
    item, began = int(parse_qs(query)["item"][0]), time.monotonic()
    if path == "/change":
        version = int(source.incr(f"version:{item}"))
        price.delete(item)
        return json.dumps([os.getpid(), version, time.monotonic()]).encode()
    return json.dumps([os.getpid(), price(item), began]).encode()


if os.environ.get("SHOP_PRELOAD"):  # what `gunicorn --preload` runs in the master
    until(lambda: near(0))


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The shop for WSGI."""
    body = serve(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Awaitable[Any]]
) -> None:
    """The shop for ASGI; it reads through the async face."""
    if scope["type"] != "http":
        return
    item, began = int(parse_qs(scope["query_string"].decode())["item"][0]), time.monotonic()
    if scope["path"] == "/change":
        body = serve("/change", f"item={item}")
    else:
        got = await cache.aio.get_or_load(price.key(item), lambda: int(source.get(f"version:{item}") or 0))
        body = json.dumps([os.getpid(), got, began]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
