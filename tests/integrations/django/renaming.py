"""A user who is renamed, in the source and behind the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset import Cache


def name_of(pk: int) -> str:
    """Read the source."""
    from tests.integrations.django.shop.models import User

    return User.objects.get(pk=pk).name


def user(cache: Cache, name: str = "old") -> tuple[int, Callable[[], str]]:
    """Return a user's key, and what reads its name through the cache, which has it."""
    from tests.integrations.django.shop.models import User

    pk = User.objects.create(name=name).pk
    read = lambda: cache.get_or_load(f"user:{pk}", lambda: name_of(pk), tags=["users"])  # noqa: E731
    assert read() == name
    assert cache.get(f"user:{pk}") == name
    return pk, read


def rename(pk: int, name: str) -> None:
    """Change the source."""
    from tests.integrations.django.shop.models import User

    User.objects.filter(pk=pk).update(name=name)


def elsewhere(call: Callable[[], Any]) -> Any:
    """Return what a call returns in another thread, which has a connection of its own; that is closed then."""
    from django.db import connections

    def work() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(20)
