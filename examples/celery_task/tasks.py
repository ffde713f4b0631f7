"""A Celery task over a cached function: one load for all workers, and what the web process ends, none serves again."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress

from celery import Celery

from hotset import Cache
from hotset.integrations.celery import close_with_worker

cache = Cache.from_env()
close_with_worker(cache)

REDIS = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
DATABASE = os.environ.get("DATABASE", "reports.db")
app = Celery("tasks", broker=REDIS, backend=REDIS)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)


@cache.cached("total:{account}", ttl="10m")
def load_total(account: int) -> int:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db:
        row = db.execute("SELECT total FROM account WHERE id = ?", [account]).fetchone()
    return row[0] if row else 0


@app.task
def report(account: int) -> dict[str, int]:
    """What the web process asks a worker for."""
    return {"account": account, "total": load_total(account), "worker": os.getpid()}


def pay(account: int, total: int) -> None:
    """What the web process does by itself: write, then end what every worker may hold."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        db.execute("REPLACE INTO account VALUES (?, ?)", [account, total])
    load_total.delete(account)


with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
    with suppress(sqlite3.OperationalError):  # another worker does it at this moment
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, total INTEGER)")
