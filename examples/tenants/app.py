"""Tenants: each has a namespace of its own within one cache, which it can neither see past nor fill for others."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress

from flask import Flask, Response, g, jsonify, request

from hotset import Cache, Family

cache = Cache.from_env()
DATABASE = os.environ.get("DATABASE", "tenants.db")
app = Flask(__name__)


def settings() -> Family[int]:
    """The settings of the tenant whose request this is: the same key is another entry for every tenant."""
    return cache.child(f"tenant:{g.tenant}").family("setting:{name}", int, ttl="10m")


def load(name: str) -> int:
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db:
        row = db.execute("SELECT value FROM setting WHERE tenant = ? AND name = ?", [g.tenant, name]).fetchone()
    return row[0] if row else 0


@app.before_request
def know_the_tenant() -> tuple[dict[str, str], int] | None:
    if request.path == "/health":
        return None
    g.tenant = request.headers.get("X-Tenant", "")
    return None if g.tenant.isalnum() else ({"error": "X-Tenant: letters and digits"}, 400)


@app.get("/settings/<name>")
def show(name: str) -> Response:
    return jsonify(name=name, value=settings().get_or_load(name, load))


@app.put("/settings/<name>")
def change(name: str) -> Response:
    value = int(request.get_json()["value"])
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        db.execute("REPLACE INTO setting VALUES (?, ?, ?)", [g.tenant, name, value])
    settings().delete(name)
    return jsonify(name=name, value=value)


@app.delete("/settings")
def leave() -> Response:
    """The tenant goes: its rows, and with one step whatever was cached for it. The others keep all of theirs."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
        db.execute("DELETE FROM setting WHERE tenant = ?", [g.tenant])
    cache.child(f"tenant:{g.tenant}").clear()
    return jsonify(left=g.tenant)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.after_request
def name_the_worker(response: Response) -> Response:
    response.headers["X-Worker"] = str(os.getpid())
    return response


with closing(sqlite3.connect(DATABASE, timeout=10)) as db, db:
    with suppress(sqlite3.OperationalError):  # another worker does it at this moment
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS setting (tenant TEXT, name TEXT, value INTEGER, PRIMARY KEY (tenant, name))")
