"""The demo's database: a shop's users, orders and products in SQLite, the same for the same seed."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from itertools import islice, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# As a team would have it: normalised, clustered by user, so that one user's orders lie together. What an order was
# worth is not stored, and so it can't be wrong; it is added up when asked for.
_SCHEMA = """
    CREATE TABLE cities     (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE products   (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL,
                             category_id INTEGER NOT NULL REFERENCES categories);
    CREATE TABLE users      (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL,
                             city_id INTEGER NOT NULL REFERENCES cities, revision INTEGER NOT NULL DEFAULT 1);
    CREATE TABLE orders     (user_id INTEGER NOT NULL REFERENCES users, number INTEGER NOT NULL, placed TEXT NOT NULL,
                             PRIMARY KEY (user_id, number)) WITHOUT ROWID;
    CREATE TABLE order_lines(user_id INTEGER NOT NULL, number INTEGER NOT NULL, line INTEGER NOT NULL,
                             product_id INTEGER NOT NULL REFERENCES products, quantity INTEGER NOT NULL,
                             PRIMARY KEY (user_id, number, line)) WITHOUT ROWID;
"""

# The rank among a city's users costs in proportion to the city: some 1.6 ms on the machine this was written on.
_USERS_A_CITY = 450
_PRODUCTS = 2000

_GIVEN = "Ada Ben Cleo Dan Eve Finn Gia Hugo Ida Jon Kira Leo Mia Nils Ora Paul Quin Rosa Sam Tess Udo Vera Will Yara"
_FAMILY = (
    "Adler Baker Cole Diaz Evans Frank Gray Hahn Ito Jones Kim Lopez Mori Novak Olsen Patel Quist Rossi Silva Tran"
)
_CITY = (
    "Ash Birch Cedar Elm Fox Glen Hazel Ivy Lake Maple North Oak Rose Stone West",
    "bridge bury field ford ham ton",
)
_CATEGORIES = "books coffee fashion games garden kitchen music outdoor paper pets sport tea tools toys travel wine"
_DAYS = [f"2025-{month:02}-{day:02}" for month, day in product(range(1, 13), range(1, 29))]

# Between two chunks a signal is looked at; 20,000 rows take some 20 ms.
_CHUNK = 20_000


def build(path: Path, *, users: int, seed: int, check: Callable[[], None]) -> Iterator[str]:
    """Build the database, yielding the name of each step before it is done.

    Args:
        path: where; the file must not exist.
        users: how many users; orders and lines follow from it (about 3.7 and 8.4 a user).
        seed: the same number makes the same rows.
        check: called often; what it raises ends the building.
    """
    dice = random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        # Nothing here outlives a crash anyway, so that nothing is written twice or waited for.
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA} BEGIN")

        def fill(table: str, rows: Iterable[tuple[Any, ...]]) -> None:
            rows = iter(rows)
            while chunk := list(islice(rows, _CHUNK)):
                check()
                marks = ", ".join("?" * len(chunk[0]))
                db.executemany(f"INSERT INTO {table} VALUES ({marks})", chunk)  # noqa: S608  our own names

        yield "users"
        categories = _CATEGORIES.split()
        cities = max(1, users // _USERS_A_CITY)
        fill("categories", enumerate(categories, 1))
        fill("products", _products(dice, len(categories)))
        fill("cities", ((city, _city(city)) for city in range(1, cities + 1)))
        fill("users", _users(dice, users, cities))
        yield "orders"
        counts = dice.choices(range(9), (1, 2, 3, 4, 4, 3, 2, 1, 1), k=users)
        orders = [(user, number) for user, count in enumerate(counts, 1) for number in range(1, count + 1)]
        fill("orders", ((*order, day) for order, day in zip(orders, dice.choices(_DAYS, k=len(orders)), strict=True)))
        yield "order lines"
        fill("order_lines", _order_lines(dice, orders))
        yield "indexes"
        # In the end WAL: from here on readers and a writer at the same time, as in production.
        for statement in (
            "CREATE INDEX users_by_city ON users (city_id)",
            "ANALYZE",
            "COMMIT",
            "PRAGMA journal_mode = WAL",
        ):
            check()
            db.execute(statement)


def _products(dice: random.Random, categories: int) -> Iterator[tuple[int, str, int, int]]:
    for number in range(1, _PRODUCTS + 1):
        yield number, f"Product {number}", dice.randrange(199, 19_999, 100), dice.randint(1, categories)


def _city(number: int) -> str:
    names = ["".join(parts) for parts in product(*(part.split() for part in _CITY))]
    again, place = divmod(number - 1, len(names))
    return f"{names[place]} {again + 1}" if again else names[place]


def _users(dice: random.Random, users: int, cities: int) -> Iterator[tuple[int, str, str, int, int]]:
    names = [f"{given} {family}" for given, family in product(_GIVEN.split(), _FAMILY.split())]
    # Cities differ: the largest has three times the users of the smallest.
    homes = dice.choices(range(1, cities + 1), [1 + 2 * dice.random() for _ in range(cities)], k=users)
    for user, (name, home) in enumerate(zip(dice.choices(names, k=users), homes, strict=True), 1):
        yield user, name, f"{name.replace(' ', '.').lower()}.{user}@example.org", home, 1


def _order_lines(dice: random.Random, orders: list[tuple[int, int]]) -> Iterator[tuple[int, int, int, int, int]]:
    sizes = dice.choices(range(1, 6), (4, 4, 2, 1, 1), k=len(orders))
    total = sum(sizes)
    # A few products sell well, most hardly at all.
    sold = iter(dice.choices(range(1, _PRODUCTS + 1), [1 / (10 + rank) for rank in range(_PRODUCTS)], k=total))
    quantities = iter(dice.choices((1, 2, 3), (6, 2, 1), k=total))
    for (user, number), size in zip(orders, sizes, strict=True):
        for line in range(1, size + 1):
            yield user, number, line, next(sold), next(quantities)
