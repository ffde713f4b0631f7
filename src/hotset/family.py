"""Families: keys of one shape. Every operation is the face's, on the key that the arguments make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hotset.core.load import BatchLoader, Loader, loader_of
from hotset.core.many import several, unpacked
from hotset.errors import KeyRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.entry.lookup import Hit, Miss
    from hotset.options import Options
    from hotset.shape import Shape

T = TypeVar("T")


class Keys:
    """What the sync and the async family share: from arguments to keys, options and loaders."""

    def __init__(self, face: Any, shape: Shape, bound: tuple[Any, ...] = ()) -> None:
        self._face = face
        self._shape = shape
        self._bound = bound

    def key(self, *args: Any, **kwargs: Any) -> str:
        """Return the key of these arguments."""
        return self._shape.key(self._shape.bind((*self._bound, *args), kwargs))

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any], last: str) -> tuple[str, Any, Options]:
        """Return key, the last positional argument (a value, a ttl, a loader) and the options of a call."""
        if not args:
            raise TypeError(f"{last} is missing: it comes last, after the arguments that make the key")
        *given, value = args
        mine = {name: kwargs.pop(name) for name in list(kwargs) if name in self._shape.names}
        values = self._shape.bind((*self._bound, *given), mine)
        key = self._shape.key(values)
        options = self._shape.options.override(kwargs)
        if last == "value":
            made = (*self._shape.tags.before(values), *self._shape.tags.after(values, value))
        else:
            made, value = self._shape.tags.before(values), (value, values)
        return key, value, options.override({"tags": made}) if made else options

    def _loader(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Loader:
        arguments = tuple(values.values())[len(self._bound) :]
        return loader_of(function, arguments, lambda result: self._shape.tags.after(values, result))

    def _items(self, items: Iterable[Any]) -> dict[Any, str]:
        """Return the key of each item of a many call."""
        keys: dict[Any, str] = {}
        for item in several(items):
            try:
                keys.setdefault(item, self._key_of(item))  # 1 and True are one item
            except TypeError as error:
                raise KeyRejected(f"{item!r} is no item of this family: {error}") from error
        return keys

    def _key_of(self, item: Any) -> str:
        return self._shape.key(self._shape.item(item, self._bound))

    def _batch(self, function: Callable[..., Any]) -> BatchLoader:
        shape = self._shape

        def tags_before(item: Any) -> tuple[str, ...]:
            return shape.tags.before(shape.item(item, self._bound))

        def tags_of(item: Any, result: Any) -> tuple[str, ...]:
            arguments = shape.item(item, self._bound)
            return (*shape.tags.before(arguments), *shape.tags.after(arguments, result))

        return BatchLoader(function, key_of=self._key_of, tags_before=tags_before, tags_of=tags_of)

    def __repr__(self) -> str:
        made = self._shape.template.text if self._shape.template is not None else "its arguments"
        return f"<{type(self).__name__} of {made!r}>"


class Family(Keys, Generic[T]):
    """Keys of one shape in a cache. Arguments come as in the template, or by name; options by name."""

    _face: Cache

    def get(self, *args: Any, default: Any = None, **kwargs: Any) -> T | None:
        """Return the fresh value for these arguments, else `default`."""
        return self._face.get(self.key(*args, **kwargs), default, type=self._shape.kind)  # type: ignore[no-any-return]

    def lookup(self, *args: Any, **kwargs: Any) -> Hit[T] | Miss:
        """Return a `Hit`, or a falsy `Miss`; see `Cache.lookup`."""
        return self._face._lookup(self.key(*args, **kwargs), self._shape.kind)

    def set(self, *args: Any, **kwargs: Any) -> bool:
        """Store a value: `users.set(7, user, ttl="1h")`."""
        key, value, options = self._split(args, kwargs, "value")
        return self._face._write(key, value, options)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Store a value unless a fresh one is there already: `users.add(7, user)`."""
        key, value, options = self._split(args, kwargs, "value")
        return self._face._write(key, value, options, only_absent=True)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        """Give a fresh entry a new life: `users.touch(7, "10m")`."""
        key, (ttl, _), _ = self._split(args, kwargs, "ttl")
        return self._face.touch(key, ttl)

    def get_or_load(self, *args: Any, **kwargs: Any) -> T:
        """Return the fresh value, else what the loader, the last argument, returns: `users.get_or_load(7, load)`.

        The loader is called with the family's arguments if it requires any, else with none.
        """
        key, (function, values), options = self._split(args, kwargs, "loader")
        return self._face._load(key, lambda: self._loader(function, values), options)  # type: ignore[no-any-return]

    def get_many(self, items: Iterable[Any]) -> dict[Any, T]:
        """Return the fresh values among `items`: single arguments, or tuples of several."""
        keys = self._items(items)
        found = self._face._get_many(keys.values(), self._shape.kind)
        return {item: found[key] for item, key in keys.items() if key in found}

    def set_many(self, values: Mapping[Any, T], **options: Any) -> bool:
        """Store a value for each item."""
        return all([self.set(*_spread(item), value, **options) for item, value in values.items()])  # noqa: C419  each is stored, whatever the others gave

    def get_or_load_many(
        self,
        items: Iterable[Any],
        loader: Callable[[list[Any]], Mapping[Any, T]],
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> dict[Any, T]:
        """Return the values of `items`, the missing ones loaded with one call; see `Cache.get_or_load_many`.

        The loader gets items, and returns them with their values.
        """
        mine = self._shape.options.override(options)
        answers = self._face._read_many(self._items(items), self._batch(loader), mine)
        return unpacked(answers, return_exceptions=return_exceptions)

    def delete(self, *args: Any, **kwargs: Any) -> int:
        """End the entry of these arguments; see `Cache.delete`."""
        return self._face.delete(self.key(*args, **kwargs))

    def expire(self, *args: Any, **kwargs: Any) -> int:
        """Make the entry of these arguments stale; see `Cache.expire`."""
        return self._face.expire(self.key(*args, **kwargs))


class AsyncFamily(Keys, Generic[T]):
    """Keys of one shape in a cache, from the async face; see `Family`."""

    _face: AsyncCache

    async def get(self, *args: Any, default: Any = None, **kwargs: Any) -> T | None:
        """Return the fresh value for these arguments, else `default`."""
        return await self._face.get(self.key(*args, **kwargs), default, type=self._shape.kind)  # type: ignore[no-any-return]

    async def lookup(self, *args: Any, **kwargs: Any) -> Hit[T] | Miss:
        """Return a `Hit`, or a falsy `Miss`; see `Cache.lookup`."""
        return await self._face._lookup(self.key(*args, **kwargs), self._shape.kind)

    async def set(self, *args: Any, **kwargs: Any) -> bool:
        """Store a value: `await users.set(7, user, ttl="1h")`."""
        key, value, options = self._split(args, kwargs, "value")
        return await self._face._write(key, value, options)

    async def add(self, *args: Any, **kwargs: Any) -> bool:
        """Store a value unless a fresh one is there already."""
        key, value, options = self._split(args, kwargs, "value")
        return await self._face._write(key, value, options, only_absent=True)

    async def touch(self, *args: Any, **kwargs: Any) -> bool:
        """Give a fresh entry a new life: `await users.touch(7, "10m")`."""
        key, (ttl, _), _ = self._split(args, kwargs, "ttl")
        return await self._face.touch(key, ttl)

    async def get_or_load(self, *args: Any, **kwargs: Any) -> T:
        """Return the fresh value, else what the loader, the last argument, returns."""
        key, (function, values), options = self._split(args, kwargs, "loader")
        return await self._face._load(key, lambda: self._loader(function, values), options)  # type: ignore[no-any-return]

    async def get_many(self, items: Iterable[Any]) -> dict[Any, T]:
        """Return the fresh values among `items`: single arguments, or tuples of several."""
        keys = self._items(items)
        found = await self._face._get_many(keys.values(), self._shape.kind)
        return {item: found[key] for item, key in keys.items() if key in found}

    async def set_many(self, values: Mapping[Any, T], **options: Any) -> bool:
        """Store a value for each item."""
        return all([await self.set(*_spread(item), value, **options) for item, value in values.items()])

    async def get_or_load_many(
        self,
        items: Iterable[Any],
        loader: Callable[[list[Any]], Any],
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> dict[Any, T]:
        """Return the values of `items`, the missing ones loaded with one call; see `Cache.get_or_load_many`."""
        mine = self._shape.options.override(options)
        answers = await self._face._read_many(self._items(items), self._batch(loader), mine)
        return unpacked(answers, return_exceptions=return_exceptions)

    async def delete(self, *args: Any, **kwargs: Any) -> int:
        """End the entry of these arguments; see `Cache.delete`."""
        return await self._face.delete(self.key(*args, **kwargs))

    async def expire(self, *args: Any, **kwargs: Any) -> int:
        """Make the entry of these arguments stale; see `Cache.expire`."""
        return await self._face.expire(self.key(*args, **kwargs))


def _spread(item: Any) -> tuple[Any, ...]:
    return item if isinstance(item, tuple) else (item,)
