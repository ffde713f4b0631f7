"""What type checkers see: `make check` runs mypy and pyright over this file; as a test it also runs."""

from __future__ import annotations

from typing import assert_type

from hotset import Cache, Hit, Miss, Warmed


class User:
    """A value."""

    def __init__(self, name: str) -> None:
        self.name = name


cache = Cache()
users = cache.family("user:{id}", User)


@cache.cached("load:{user_id}", ttl="10m", tags=["users", "name:{result.name}"])
def load_user(user_id: int, greeting: str = "") -> User:
    """Load a user."""
    return User(f"{greeting}{user_id}")


@cache.cached
def double(number: int) -> int:
    """Double it."""
    return 2 * number


@cache.cached("fetch:{user_id}")
async def fetch_user(user_id: int) -> User:
    """Load a user, awaited."""
    return User(str(user_id))


class Repository:
    """Methods."""

    @cache.cached("repo:{user_id}")
    def load(self, user_id: int) -> User:
        """Load a user."""
        return User(str(user_id))

    @cache.cached("repo-fetch:{user_id}")
    async def fetch(self, user_id: int) -> User:
        """Load a user, awaited."""
        return User(str(user_id))


async def awaited(repository: Repository) -> None:
    """The async face."""
    assert_type(await fetch_user(7), User)
    assert_type(await fetch_user.get(7), User | None)
    assert_type(await fetch_user.refresh(7), User)
    assert_type(await fetch_user.delete(7), int)
    assert_type(await fetch_user.warm([7], concurrency=2), Warmed)
    assert_type(fetch_user.key(7), str)
    assert_type(await repository.fetch(7), User)
    assert_type(await cache.aio.get_or_load("k", lambda: 7), int)
    assert_type(await cache.aio.family("user:{id}", User).get(7), User | None)


def test_the_types_of_the_face_are_what_they_say() -> None:
    """Each call gives at run time what it gives to a type checker."""
    assert_type(cache.get("k", type=User), User | None)
    assert_type(cache.get_or_load("k", lambda: User("x")), User)
    assert_type(cache.set("k", 1, ttl="10m"), bool)
    assert_type(users.get(7), User | None)
    assert_type(load_user(7, greeting="hello"), User)
    assert_type(load_user.get(7), User | None)
    assert_type(load_user.many([1, 2]), dict[int, User])
    assert_type(load_user.warm([1, 2], rate=1_000, progress=False), Warmed)
    assert_type(cache.warm(["k"], lambda keys: dict.fromkeys(keys, 1), ttl="10m", progress=False), Warmed)
    assert_type(load_user.key(7), str)
    assert_type(load_user.delete(7), int)
    assert_type(load_user.refresh(7), User)
    assert_type(double(4), int)
    assert_type(Repository().load(7), User)
    assert_type(Repository().load.delete(7), int)
    found = load_user.lookup(7)
    assert_type(found, Hit[User] | Miss)
    cache.close()
