"""One run of a loader: what it is told, what it may decide, and how its result becomes an entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from hotset import options as option
from hotset.entry.entry import BURIED, NEGATIVE, NO_FACTS, Facts
from hotset.entry.lookup import MISSING
from hotset.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from hotset.core.space import Space
    from hotset.engine.flight import Work
    from hotset.entry.entry import Entry
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
        if not callable(function):
            raise ConfigError(f"loader: a callable, not {function!r}")
        self.function = function
        self.arguments = arguments
        self.asynchronous = asynchronous
        self.tags_of = tags_of


class BatchLoader(Loader):
    """A function from a list of items to a mapping; how each item becomes a key, and the tags of its arguments."""

    __slots__ = ("key_of", "tags_before")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key_of: Callable[[Any], Any] | None = None,
        tags_before: TagsOf | None = None,
        tags_of: TagsOf | None = None,
    ) -> None:
        super().__init__(function, (), asynchronous=is_async(function), tags_of=tags_of)
        self.key_of = key_of
        """None: an item is its key."""
        self.tags_before = tags_before


class Load:
    """The load at hand, from inside its loader: what it is for, and what the loader may decide about the entry."""

    __slots__ = ("_entry", "_etag", "_keys", "_skipped", "_stale", "_tags", "_ttl", "_unmodified", "_version", "_whole")

    def __init__(self, keys: tuple[str | bytes, ...], stale: Any = MISSING, entry: Entry | None = None) -> None:
        self._keys = keys
        self._stale = stale
        self._entry = entry
        self._ttl: float | None = None
        self._tags: tuple[str, ...] = ()
        self._version = 0
        self._etag: str | None = None
        self._skipped = False
        self._unmodified = False
        self._whole: Load | None = None

    def _one(self, what: str) -> None:
        """Refuse what is said of a whole batch and can only be true of one item."""

    def of(self, item: Any) -> Load:
        """Return what is known, and may be decided, of one item of a batch, by what the loader was called with.

        As in `loading().of(7).ttl = 30`. What is set there holds for that item, before what is set for all of them;
        its tags are added to theirs.

        Raises:
            LookupError: the loader loads one key, and `loading()` is its load.
        """
        raise LookupError(f"loading().of({item!r}): this loader loads one key, and loading() is its load")

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
        """The value that the load is to replace, stale or about to be, or None."""
        return None if self._stale is MISSING else self._stale

    @property
    def ttl(self) -> float | None:
        """How long what is loaded stays fresh, in seconds; None leaves it to the options. Takes any duration."""
        return self._ttl if self._ttl is not None or self._whole is None else self._whole.ttl

    @ttl.setter
    def ttl(self, value: option.Duration) -> None:
        self._ttl = option.seconds(value, "loading().ttl")

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags that what is loaded gets beside those of the options."""
        return self._tags if self._whole is None else (*self._whole.tags, *self._tags)

    @tags.setter
    def tags(self, names: Iterable[str]) -> None:
        self._tags = option.tags(names)

    @property
    def version(self) -> int:
        """The version of what is loaded, at its source: it replaces nothing that is newer. 0 for none.

        In a batch each item has its own: `loading().of(item).version`.
        """
        return self._version

    @version.setter
    def version(self, value: int) -> None:
        self._one("version")
        self._version = option.version(value, "loading().version")

    @property
    def etag(self) -> str | None:
        """The validator of what is loaded (RFC 9110, 8.8.3); until it is set, that of `stale`, to ask the source with.

        None: there is none. What is loaded without one is kept without one.
        """
        return self._etag or (self._entry.facts.etag if self._entry is not None else "") or None

    @etag.setter
    def etag(self, value: str) -> None:
        self._one("etag")
        if not isinstance(value, str) or not value:  # type: ignore[redundant-expr]  # callers may be untyped
            raise ConfigError(f"loading().etag: a text that is not empty, not {value!r}")
        self._etag = value

    @property
    def weight(self) -> NoReturn:
        """A `ConfigError`: entries have no weight in this version of hotset."""
        raise ConfigError("loading().weight: not built in this version of hotset; max_entries counts entries")

    @weight.setter
    def weight(self, _: object) -> None:
        self.weight  # noqa: B018  raises

    def not_modified(self) -> Any:
        """Keep `stale`, with its etag, version and tags, for another life, whatever the loader returns; return it.

        As in `return loading().not_modified()`, where the source has answered 304 or the like (RFC 9110, 13.1.2). A
        value that stands in a store is not sent there again.

        Raises:
            LookupError: there is no value to keep.
        """
        if self._stale is MISSING:
            raise LookupError("loading().not_modified(): there is no value to keep; ask the source without an etag")
        self._unmodified = True
        return self._stale

    def skip(self) -> None:
        """Answer what is loaded to all who wait, and do not store it."""
        self._skipped = True

    @property
    def skipped(self) -> bool:
        """Whether `skip` was called."""
        return self._skipped or (self._whole is not None and self._whole.skipped)

    @property
    def kept(self) -> Entry | None:
        """The entry whose value is kept, after `not_modified`."""
        return self._entry if self._unmodified else None

    def outcome(self, value: Any) -> Any:
        """Return what the load has for a value, where its loader returned `value`."""
        return self._stale if self._unmodified else value

    def facts(self, cost: float) -> Facts:
        """Return what is to be kept of it beside the value; `cost` in seconds."""
        kept = self._entry.facts if self._unmodified and self._entry is not None else NO_FACTS
        if kept is NO_FACTS and not (self._version or self._etag or cost):
            return NO_FACTS
        return Facts(self._version or kept.version, self._etag or kept.etag, kept.cost or cost)


class Loads(Load):
    """The load of a batch: what holds for all its items, and for each of them."""

    __slots__ = ("_each", "_given")

    def __init__(self, given: Mapping[Any, tuple[str | bytes, Entry | None]]) -> None:
        super().__init__(tuple(key for key, _ in given.values()))
        self._given = given
        self._each: dict[Any, Load] = {}

    def of(self, item: Any) -> Load:
        """Return what is known, and may be decided, of one item; of what the loader was not asked for, nothing is."""
        if item not in self._each:
            key, stale = self._given.get(item, (None, None))
            self._each[item] = each = Load(()) if key is None else load_of(key, stale)
            each._whole = self  # noqa: SLF001  its own class
        return self._each[item]

    def decided(self, item: Any) -> Load:
        """Return what was decided for an item."""
        return self._each.get(item, self)

    def _one(self, what: str) -> None:
        raise ConfigError(f"loading().{what}: of one item, and this loader loads several: loading().of(item).{what}")


def load_of(key: str | bytes, stale: Entry | None) -> Load:
    """Return the load of one key that is to replace `stale`."""
    if stale is None:
        return Load((key,))
    value = stale.value  # before the flags: it may leave its slot at any time, and has none then
    return Load((key,)) if stale.flags & (BURIED | NEGATIVE) else Load((key,), value, stale)


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
    token = _loading.set(Load((key,)))
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
            around = space.settings.around_load
            if around is nullcontext:
                value, error = await ports.call(work, loader.function, loader.arguments)
            else:
                with around():
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
    return load.outcome(value), error


def is_async(function: object) -> bool:
    """Tell whether a loader is an `async def`, or an object whose call is one."""
    if type(function) is FunctionType and not function.__dict__:  # plain: its code says it
        return function.__code__.co_flags & CO_COROUTINE != 0
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def loader_of(function: Callable[..., Any], arguments: tuple[Any, ...], tags_of: TagsOf | None = None) -> Loader:
    """Return a caller's own function as a loader: it gets the arguments if it requires any, else none."""
    given = arguments if takes_argument(function) else ()
    return Loader(function, given, asynchronous=is_async(function), tags_of=tags_of)


def takes_argument(function: Callable[..., Any]) -> bool:
    """Tell whether a loader requires an argument: the key, or those of its family."""
    if type(function) is FunctionType and not function.__dict__:  # plain: its code says it
        return function.__code__.co_argcount > len(function.__defaults__ or ())
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have none
        return False
    return any(
        each.default is each.empty and each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}
        for each in parameters
    )
