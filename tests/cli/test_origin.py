"""The source: its profile query is right, and it behaves as a database that many threads ask."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hotset import NotFound
from hotset.cli import shop
from hotset.cli.origin import Origin, Profile

USERS = 60


def built(path: Path, *, users: int = USERS, seed: int = 7) -> Path:
    """A small shop."""
    assert list(shop.build(path, users=users, seed=seed, check=lambda: None))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a small shop."""
    return built(tmp_path / "shop.db")


@pytest.fixture
def origin(path: Path) -> Iterator[Origin]:
    """A small shop, open."""
    with Origin(path) as origin:
        yield origin


def naive(path: Path, user_id: int) -> Profile:
    """A user's profile, worked out in Python from whole tables."""
    with closing(sqlite3.connect(path)) as db:
        users = {row[0]: row for row in db.execute("SELECT id, name, email, city_id, revision FROM users")}
        cities = dict(db.execute("SELECT id, name FROM cities").fetchall())
        categories = dict(db.execute("SELECT id, name FROM categories").fetchall())
        products = {
            number: (price, of) for number, price, of in db.execute("SELECT id, price, category_id FROM products")
        }
        days = db.execute("SELECT user_id, placed FROM orders").fetchall()
        lines = db.execute("SELECT user_id, product_id, quantity FROM order_lines").fetchall()
    spent: dict[int, Counter[int]] = {user: Counter() for user in users}
    for user, number, quantity in lines:
        price, category = products[number]
        spent[user][category] += price * quantity
    mine = [day for user, day in days if user == user_id]
    best = min(spent[user_id], key=lambda category: (-spent[user_id][category], category), default=None)
    city = users[user_id][3]
    neighbours = [user for user in users if users[user][3] == city]
    totals = [spent[user].total() for user in neighbours]
    in_favourite = [spent[user][best] if best else 0 for user in neighbours]
    return Profile(
        user_id=user_id,
        name=users[user_id][1],
        email=users[user_id][2],
        city=cities[city],
        revision=users[user_id][4],
        orders=len(mine),
        last_order=max(mine, default=None),
        spent=spent[user_id].total(),
        favourite=categories[best] if best else None,
        rank_in_city=1 + sum(total > spent[user_id].total() for total in totals),
        rank_in_favourite=1 + sum(total > (spent[user_id][best] if best else 0) for total in in_favourite),
        users_in_city=len(neighbours),
    )


def test_the_profile_query_is_right_for_every_user(path: Path, origin: Origin) -> None:
    """The query's answers equal what Python works out from the tables, for users without an order too."""
    profiles = [origin.profile(user) for user in range(1, USERS + 1)]
    assert profiles == [naive(path, user) for user in range(1, USERS + 1)]
    assert any(not profile.orders for profile in profiles)


def test_the_revenue_of_all_categories_is_what_all_users_spent(origin: Origin) -> None:
    """Revenue by category adds up to the sum of what the profiles say was spent."""
    spent = sum(origin.profile(user).spent for user in range(1, USERS + 1))
    assert sum(origin.revenue().values()) == spent


def test_a_seed_makes_the_database(tmp_path: Path) -> None:
    """The same seed makes the same rows, another seed others."""

    def rows(name: str, seed: int) -> list[str]:
        with closing(sqlite3.connect(built(tmp_path / name, seed=seed))) as db:
            return list(db.iterdump())

    assert rows("a", 1) == rows("b", 1) != rows("c", 2)


def test_a_user_who_does_not_exist_is_not_found(origin: Origin) -> None:
    """The query for an unknown user raises NotFound and counts as a query."""
    with pytest.raises(NotFound, match="61"):
        origin.profile(USERS + 1)
    assert origin.queries == 1


def test_an_update_is_committed_when_it_returns(path: Path, origin: Origin) -> None:
    """After `rename` a connection of anybody else sees the new name and the raised revision."""
    assert origin.rename(3, "New Name") == 2
    assert (naive(path, 3).name, naive(path, 3).revision) == ("New Name", 2)


def test_a_broken_source_fails_for_all_and_is_whole_again(origin: Origin) -> None:
    """While it is broken every query raises the database's own error; afterwards answers are as before."""
    before = origin.profile(1)
    with origin.broken(), pytest.raises(sqlite3.OperationalError, match="order_lines"):
        origin.profile(1)
    assert origin.profile(1) == before


def test_every_thread_has_its_connection_and_its_queries_count(origin: Origin) -> None:
    """Queries of several threads at once are all counted, and all connections are closed at the end."""
    threads = [threading.Thread(target=lambda: [origin.profile(1) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert origin.queries == 100
    assert "connections=4" in repr(origin)
    origin.close()
    assert "connections=0" in repr(origin)


def test_building_ends_where_it_is_told_to(tmp_path: Path) -> None:
    """What `check` raises ends the building of the database."""

    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        list(shop.build(tmp_path / "shop.db", users=10, seed=1, check=check))
