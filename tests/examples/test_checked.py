"""Each example that serves: by its real server over a real Redis, read and written at once, a worker killed halfway."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.examples.checked import Checker
from tests.examples.served import Served
from tests.services.servers import Server

GUNICORN = "gunicorn --preload -w 4 --threads 2 -b 127.0.0.1:{port} app:app"
READS = int(os.environ.get("HOTSET_CHECKED_READS", "2000"))
UVICORN = "uvicorn --workers 2 --no-access-log --port {port} app:app"


@dataclass(frozen=True)
class Example:
    """How one example is served, read and written."""

    command: str
    things: int
    read: Callable[[int], str]
    version: Callable[[Any], int]
    write: Callable[[int, int], tuple[str, str, Any]]
    headers: dict[str, str] = field(default_factory=dict)
    first: str = ""
    beside: str = ""
    share: float = 1.0
    """Of the reads of a run: what is slow to ask is asked less often."""


EXAMPLES = {
    "repository": Example(
        GUNICORN, 30, "/products/{}".format, lambda told: int(told["price"]),
        lambda number, version: ("PUT", f"/products/{number}", {"maker": f"maker-{number % 3}", "price": version}),
    ),
    "tenants": Example(
        GUNICORN, 30, "/settings/{}".format, lambda told: int(told["value"]),
        lambda number, version: ("PUT", f"/settings/{number}", {"value": version}), {"X-Tenant": "acme"},
    ),
    "feature_flags": Example(
        UVICORN, 30, "/flags/{}".format, lambda told: int(told["percent"]),
        lambda number, version: ("PUT", f"/flags/{number}", {"percent": version}),
    ),
    "fastapi_dependency": Example(
        UVICORN, 30, "/users/{}".format, lambda told: int(told["score"]),
        lambda number, version: ("PUT", f"/users/{number}", {"score": version}),
    ),
    "django_signals": Example(
        GUNICORN.replace("app:app", "shop.wsgi"), 30, "/products/{}".format, lambda told: int(told["price"]),
        lambda number, version: ("PUT", f"/products/{number}", {"price": version}), first="python prepare.py",
    ),
    "celery_task": Example(
        "gunicorn -w 2 --threads 4 -b 127.0.0.1:{port} web:app", 30, "/accounts/{}/report".format,
        lambda told: int(told["total"]),
        lambda number, version: ("PUT", f"/accounts/{number}", {"total": version}),
        beside="celery -A tasks worker --pool prefork -c 4 -l WARNING", share=0.2,
    ),
    "dataloader": Example(
        UVICORN, 20, lambda number: f"/graphql?query={{books(first:{(number - 2) % 20 + 1}){{author{{id%20sold}}}}}}",
        lambda told: int(told["data"]["books"][-1]["author"]["sold"]),
        lambda number, version: ("PUT", f"/authors/{number}", {"sold": version}), share=0.2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_read_after_a_write_gets_what_was_there_before(
    name: str, redis_server: Server, record_property: Callable[[str, object], None]
) -> None:
    """A write through one worker is what every other worker answers with, with one worker killed in the middle."""
    example = EXAMPLES[name]
    reads = int(READS * example.share)
    with Served(name, example.command, redis_server.url, first=example.first, beside=example.beside) as served:
        checker = Checker(
            served, things=example.things, headers=example.headers, read=example.read,
            version=lambda body: example.version(json.loads(body)), write=example.write,
        )  # fmt: skip
        report = checker.run(reads)
    record_property("report", str(report))
    assert report.violations == []
    assert report.reads >= reads
    assert report.writes > reads / 100
    assert len(report.workers) > 1
