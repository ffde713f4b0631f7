"""The web process: it asks workers for reports, and takes payments."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from tasks import pay, report

app = Flask(__name__)


@app.get("/accounts/<int:account>/report")
def show(account: int) -> Response:
    made = report.delay(account).get(timeout=20)
    response = jsonify(account=made["account"], total=made["total"])
    response.headers["X-Worker"] = str(made["worker"])
    return response


@app.put("/accounts/<int:account>")
def change(account: int) -> Response:
    total = int(request.get_json()["total"])
    pay(account, total)
    return jsonify(account=account, total=total)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
