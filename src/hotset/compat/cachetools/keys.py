"""Keys made of a call's arguments: equal for calls with equal arguments, as in `cachetools.keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["hashkey", "methodkey", "typedkey", "typedmethodkey"]


class _Named:
    """Stands between the arguments by place and those by name; pickled by reference, so it stays itself."""


_NAMED: Final = (_Named,)


def hashkey(*args: Hashable, **kwargs: Hashable) -> tuple[Any, ...]:
    """Return a key for these arguments."""
    return args + _NAMED + tuple(sorted(kwargs.items())) if kwargs else args


def methodkey(self: object, /, *args: Hashable, **kwargs: Hashable) -> tuple[Any, ...]:  # noqa: ARG001  it is no part of it
    """Return a key for the arguments of a method, without the instance."""
    return hashkey(*args, **kwargs)


def typedkey(*args: Hashable, **kwargs: Hashable) -> tuple[Any, ...]:
    """Return a key for these arguments and their types: 3 and 3.0 make different ones."""
    key = hashkey(*args, **kwargs) + tuple(type(value) for _, value in sorted(kwargs.items()))
    return key + tuple(map(type, args))


def typedmethodkey(self: object, /, *args: Hashable, **kwargs: Hashable) -> tuple[Any, ...]:  # noqa: ARG001  as above
    """Return a key for the arguments of a method and their types, without the instance."""
    return typedkey(*args, **kwargs)
