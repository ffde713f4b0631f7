"""A repository class: methods that read through the cache, and a write that ends what it changes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from flask import Flask, Response, jsonify, request

from hotset import Cache, NotFound

cache = Cache.from_env()


@dataclass(frozen=True)
class Product:
    id: int
    maker: str
    price: int


class Products:
    """The only place that knows both the table and the cache."""

    def __init__(self, path: str) -> None:
        self._path = path

    @cache.cached("product:{product_id}", ttl="10m", negative_ttl="30s")
    def get(self, product_id: int) -> Product:
        with self._database() as db:
            row = db.execute("SELECT id, maker, price FROM product WHERE id = ?", [product_id]).fetchone()
        if row is None:
            raise NotFound(f"no product {product_id}")
        return Product(*row)

    @cache.cached("products:of:{maker}", ttl="10m", tags=["maker:{maker}"])
    def of_maker(self, maker: str) -> list[Product]:
        with self._database() as db:
            rows = db.execute("SELECT id, maker, price FROM product WHERE maker = ? ORDER BY id", [maker])
            return [Product(*row) for row in rows]

    def save(self, product: Product) -> None:
        """Write the row, and end, once it is committed, all that showed the old one: the product, both lists."""
        with self._database() as db:
            before = db.execute("SELECT maker FROM product WHERE id = ?", [product.id]).fetchone()
            db.execute("REPLACE INTO product VALUES (?, ?, ?)", [product.id, product.maker, product.price])
        self.get.delete(product.id)
        cache.delete(tags=[f"maker:{maker}" for maker in {product.maker, *(before or ())}])

    def create(self) -> None:
        with self._database() as db:
            with suppress(sqlite3.OperationalError):  # another worker does it at this moment
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY, maker TEXT, price INTEGER)")
            db.executemany(
                "INSERT OR IGNORE INTO product VALUES (?, ?, 0)",
                [(number, f"maker-{number % 3}") for number in range(1, 31)],
            )

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10)
        try:
            with db:  # commits, or rolls back what an exception has interrupted
                yield db
        finally:
            db.close()


products = Products(os.environ.get("DATABASE", "shop.db"))
products.create()
app = Flask(__name__)


@app.get("/products/<int:product_id>")
def show(product_id: int) -> Response:
    return jsonify(products.get(product_id))


@app.get("/makers/<maker>/products")
def of_maker(maker: str) -> Response:
    return jsonify(products.of_maker(maker))


@app.put("/products/<int:product_id>")
def change(product_id: int) -> Response:
    product = Product(product_id, **request.get_json())
    products.save(product)
    return jsonify(product)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.errorhandler(NotFound)
def not_found(error: NotFound) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 404


@app.after_request
def name_the_worker(response: Response) -> Response:
    response.headers["X-Worker"] = str(os.getpid())
    return response
