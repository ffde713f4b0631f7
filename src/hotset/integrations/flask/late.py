"""Functions decorated before there is an app: one cached function an app, made at its first call there."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hotset.cache import Cache
from hotset.cached import OPERATIONS, Decorator

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from hotset.options import OptionArgs


class Late:
    """A cached function of whichever app is current; it has the operations of that app's."""

    def __init__(
        self, here: Callable[[], tuple[Flask, Cache]], template: str | None, options: OptionArgs, function: Any
    ) -> None:
        self._here = here
        self._given = template, options, function
        self._made: WeakKeyDictionary[Flask, Any] = WeakKeyDictionary()
        self._batch: Callable[..., Any] | None = None
        self.anywhere = self._decorate(Cache("null://"))
        """The function in a cache that keeps nothing: it knows the keys, and refuses what cannot be cached."""
        self._is_static = isinstance(function, staticmethod | classmethod)
        functools.update_wrapper(self, getattr(function, "__func__", function))

    def _decorate(self, cache: Cache) -> Any:
        template, options, function = self._given
        return Decorator(cache, template, options)(function)

    def here(self) -> Any:
        """Return the cached function of the current app."""
        app, cache = self._here()
        made = self._made.get(app)
        if made is None:
            made = self._decorate(cache)
            if self._batch is not None:
                made.batch(self._batch)
            made = self._made.setdefault(app, made)
        return made

    def batch(self, function: Any) -> Any:
        """Decorator: register a function from a list of arguments to a mapping, for `many`, in all apps."""
        self.anywhere.batch(function)
        self._batch = function
        for made in list(self._made.values()):
            made.batch(function)
        return function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the cached result in the current app, calling the function if there is none."""
        return self.here()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS:
            raise AttributeError(name)
        return self.anywhere.key if name == "key" else getattr(self.here(), name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None and not self._is_static:
            return self
        return self.here().__get__(instance, owner)

    def __reduce__(self) -> str:
        return str(self.__qualname__)  # pickled by name, as functions are


def late(here: Callable[[], tuple[Flask, Cache]], template: str | None, options: OptionArgs, function: Any) -> Any:
    """Return a function that is cached in the app that calls it; of an `async def`, a real one."""
    made = Late(here, template, options, function)
    return _async_function(made, function) if inspect.iscoroutinefunction(made.anywhere) else made


def _async_function(made: Late, function: Any) -> Any:
    @functools.wraps(function)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        return await made.here()(*args, **kwargs)

    def operation(name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: getattr(made, name)(*args, **kwargs)  # noqa: PLW0108  no app is current yet

    for name in OPERATIONS:
        setattr(cached, name, operation(name))
    return cached
