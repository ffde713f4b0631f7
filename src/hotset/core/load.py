"""One run of a loader: what it is told, what it may decide, and how its result becomes an entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from hotset import options as option
from hotset.entry.lookup import MISSING
from hotset.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from hotset.core.space import Space
    from hotset.engine.flight import Work
    from hotset.ports.base import Outcome, Ports

TagsOf: TypeAlias = Callable[..., tuple[str, ...]]
"""Returns the tags that a value brings with it, called with the value; of a batch, with the item and its value."""


class Loader:
    """A function that reads the source, the arguments it gets, and what is known of it beforehand."""

    __slots__ = ("arguments", "asynchronous", "function", "tags_of")

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        asynchronous: bool = False,
        tags_of: TagsOf | None = None,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.asynchronous = asynchronous
        self.tags_of = tags_of


class _Later:
    """An attribute of `Load` that a later version builds."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, load: object, owner: type | None = None) -> NoReturn:
        raise self._error()

    def __set__(self, load: object, value: object) -> NoReturn:
        raise self._error()

    def _error(self) -> ConfigError:
        return ConfigError(
            f"loading().{self._name}: not built in this version of hotset; valid are ttl, tags and skip()"
        )


class Load:
    """The load at hand, from inside its loader: what it is for, and what the loader may decide about the entry."""

    __slots__ = ("_keys", "_skipped", "_stale", "_tags", "_ttl")

    weight = _Later()
    version = _Later()
    etag = _Later()
    not_modified = _Later()

    def __init__(self, keys: tuple[str | bytes, ...], stale: Any) -> None:
        self._keys = keys
        self._stale = stale
        self._ttl: float | None = None
        self._tags: tuple[str, ...] = ()
        self._skipped = False

    @property
    def key(self) -> str | bytes:
        """The key that is loaded; a batch has `keys`."""
        if len(self._keys) != 1:
            raise LookupError(f"this loader loads {len(self._keys)} keys at once: see loading().keys")
        return self._keys[0]

    @property
    def keys(self) -> tuple[str | bytes, ...]:
        """The keys that are loaded: one, or those of a batch."""
        return self._keys

    @property
    def stale(self) -> Any:
        """The stale value that the load is to replace, or None."""
        return None if self._stale is MISSING else self._stale

    @property
    def ttl(self) -> float | None:
        """How long what is loaded stays fresh, in seconds; None leaves it to the options. Takes any duration."""
        return self._ttl

    @ttl.setter
    def ttl(self, value: option.Duration) -> None:
        self._ttl = option.seconds(value, "loading().ttl")

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags that what is loaded gets beside those of the options."""
        return self._tags

    @tags.setter
    def tags(self, names: Iterable[str]) -> None:
        self._tags = option.tags(names)

    def skip(self) -> None:
        """Answer what is loaded to all who wait, and do not store it."""
        self._skipped = True

    @property
    def skipped(self) -> bool:
        """Whether `skip` was called."""
        return self._skipped


_loading: ContextVar[Load | None] = ContextVar("hotset_loading", default=None)


def loading() -> Load:
    """Return the load at hand. To be called inside a loader, or in what it calls; elsewhere a `LookupError`."""
    load = _loading.get()
    if load is None:
        raise LookupError("hotset.loading() gives the load at hand: there is none outside a loader")
    return load


@contextmanager
def loading_apart(key: str | bytes) -> Iterator[None]:
    """Have `loading()` answer inside the block, in what runs past the cache: what it decides there is not kept."""
    token = _loading.set(Load((key,), MISSING))
    try:
        yield
    finally:
        _loading.reset(token)


async def run(ports: Ports, space: Space, work: Work, loader: Loader, load: Load) -> Outcome:
    """Run a loader within all that surrounds it, and return its value or what it raised."""
    counts, clock = space.table.counts, space.engine.clock
    work.began = clock()
    token = _loading.set(load)
    try:
        try:
            with space.settings.around_load():
                value, error = await ports.call(work, loader.function, loader.arguments)
                if error is not None:
                    raise error  # noqa: TRY301  what surrounds the load is to see how it ended
        except Exception as failed:  # noqa: BLE001  it is handed to everybody who waits
            value, error = None, failed
    finally:
        _loading.reset(token)
        counts.load_seconds += clock() - work.began
    if error is None or isinstance(error, NotFound):
        counts.loads += 1
    else:
        counts.load_errors += 1
    return value, error


def is_async(function: object) -> bool:
    """Tell whether a loader is an `async def`, or an object whose call is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def loader_of(function: Callable[..., Any], arguments: tuple[Any, ...], tags_of: TagsOf | None = None) -> Loader:
    """Return a caller's own function as a loader: it gets the arguments if it requires any, else none."""
    given = arguments if takes_argument(function) else ()
    return Loader(function, given, asynchronous=is_async(function), tags_of=tags_of)


def takes_argument(function: Callable[..., Any]) -> bool:
    """Tell whether a loader requires an argument: the key, or those of its family."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return False
    return any(
        each.default is each.empty and each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
        for each in parameters
    )
