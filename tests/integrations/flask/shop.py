"""A shop as gunicorn serves it: prices in files, which it reads slowly and writes itself; `SHOP` is the folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from flask import Flask, jsonify

from hotset.integrations.flask import Hotset

cache = Hotset()
SHOP = Path(os.environ["SHOP"])


@cache.cached("price:{item}", ttl="1h")
def price(item: str) -> int:
    """Read a price, and note that it was read."""
    with (SHOP / "reads").open("a") as reads:
        reads.write(f"{item} {os.getpid()}\n")
    return int((SHOP / item).read_text())


def create_app() -> Flask:
    """Return the shop; settings come as FLASK_HOTSET_… from the environment."""
    app = Flask(__name__)
    app.config.from_prefixed_env()
    cache.init_app(app)
    if "SHOP_WARM" in os.environ:  # a preloading master has used its connections before it forks
        with app.app_context():
            price("warm")

    @app.get("/price/<item>")
    def show(item: str) -> Any:
        return jsonify(price=price(item), pid=os.getpid(), parent=os.getppid())

    @app.get("/page/<item>")
    @cache.view("page:{item}", ttl="1h")
    def page(item: str) -> str:
        return f"{price(item)} by {os.getpid()}"

    @app.post("/price/<item>/<int:new>")
    def change(item: str, new: int) -> Any:
        draft = SHOP / f"{item}.{os.getpid()}"
        draft.write_text(str(new))
        draft.replace(SHOP / item)
        price.delete(item)
        page.delete(item)
        return jsonify(pid=os.getpid())

    @app.get("/threads")
    def threads() -> Any:
        return jsonify(names=sorted(thread.name for thread in threading.enumerate()), pid=os.getpid())

    return app
