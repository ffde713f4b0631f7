"""Django's own keys: they act at once, as in every Django cache, whatever transaction is open around them."""

from __future__ import annotations

import functools
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from hotset.engine.within import Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.aio import AsyncCache
    from hotset.cache import Cache


class AtOnce:
    """The operations of a face, performed as if no transaction were open; loaders still run inside of it."""

    def __init__(self, face: Cache | AsyncCache) -> None:
        self._face = face

    def __getattr__(self, name: str) -> Any:
        made = getattr(self._face, name)
        if callable(made):
            made = _awaited(made) if iscoroutinefunction(made) else _called(made)
        self.__dict__[name] = made
        return made

    def get_or_load(self, name: Any, load: Callable[[], Any], **options: Any) -> Any:
        """As `Cache.get_or_load`, or to be awaited."""
        return (_load if iscoroutinefunction(self._face.get_or_load) else _load_here)(self._face, name, load, options)


def _called(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def at_once(*args: Any, **kwargs: Any) -> Any:
        with Outside():
            return operation(*args, **kwargs)

    return at_once


def _awaited(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    async def at_once(*args: Any, **kwargs: Any) -> Any:
        with Outside():
            return await operation(*args, **kwargs)

    return at_once


def _load_here(face: Any, name: Any, load: Callable[[], Any], options: dict[str, Any]) -> Any:
    with Outside() as outside:
        return face.get_or_load(name, _inside(outside, load), **options)


async def _load(face: Any, name: Any, load: Callable[[], Any], options: dict[str, Any]) -> Any:
    with Outside() as outside:
        return await face.get_or_load(name, _inside(outside, load), **options)


def _inside(outside: Outside, load: Callable[[], Any]) -> Callable[[], Any]:
    """Return a loader that takes part in what its caller takes part in."""
    if iscoroutinefunction(load):

        async def loaded() -> Any:
            with outside.back():
                return await load()

        return loaded

    def loaded_here() -> Any:
        with outside.back():
            return load()

    return loaded_here
