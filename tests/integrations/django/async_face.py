"""A backend whose sync methods are its async ones, run to their end: Django's tests of the former test the latter."""

from __future__ import annotations

from copy import copy
from typing import Any

from asgiref.sync import async_to_sync

from hotset.integrations.django import HotsetCache

NAMES = (
    *("add", "get", "set", "touch", "delete", "get_many", "get_or_set", "has_key", "incr", "decr", "set_many"),
    *("delete_many", "clear", "incr_version", "decr_version", "close"),
)


class AsyncFace(HotsetCache):
    """The async half of the backend, behind the names of the other half."""

    def __contains__(self, key: Any) -> bool:
        return bool(async_to_sync(self.ahas_key)(key))


def _through(name: str) -> Any:
    def method(self: AsyncFace, *args: Any, **kwargs: Any) -> Any:
        plain = copy(self)
        plain.__class__ = HotsetCache  # since Django 6.1 what it inherits goes to a sync method that was replaced
        return async_to_sync(getattr(plain, f"a{name}"))(*args, **kwargs)

    return method


for _name in NAMES:
    setattr(AsyncFace, _name, _through(_name))
