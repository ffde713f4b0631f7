"""Cache, the sync face. A hit is the engine's own `get`; whatever else is asked runs the core's one coroutine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final, overload

from hotset.config.environment import from_environment
from hotset.core import change, find, look, saved, state
from hotset.core.alter import alter
from hotset.core.compare import read, read_each, read_many, refresh
from hotset.core.load import BatchLoader, loader_of
from hotset.core.many import asked_for, several, unpacked
from hotset.core.sources import many_of
from hotset.core.space import open_space, settle
from hotset.core.told import told
from hotset.core.warm import pace, warm
from hotset.entry.lookup import MISSING
from hotset.face import Face
from hotset.options import Options
from hotset.ports.abreast import threads
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from contextlib import AbstractContextManager
    from os import PathLike
    from types import TracebackType
    from typing import Self, Unpack

    from hotset.aio import AsyncCache
    from hotset.cached import AsyncCached, Cached, Decorator
    from hotset.config.tiers import Tier
    from hotset.core.batch import Keys
    from hotset.core.change import Values
    from hotset.core.load import Loader
    from hotset.core.read import Answer
    from hotset.core.sources import Source
    from hotset.core.space import Space
    from hotset.core.told import Told
    from hotset.core.warm import Pace, WarmArgs, Warmed
    from hotset.entry.lookup import Explanation, Hit, Miss
    from hotset.family import Family
    from hotset.options import Age, Duration, OptionArgs

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
C = TypeVar("C", bound=type)
L = TypeVar("L", bound="Loader")


@final
class Cache(Face):
    """A cache: `Cache()` holds up to 100,000 values of this process, each for 5 minutes.

    Safe to share between threads, and with the tasks of any event loop through `aio`. Nothing is opened and no thread
    started at construction.

    Examples:
        >>> cache = Cache(ttl="10m")
        >>> cache.get_or_load("user:7", lambda: {"name": "Ada"})
        {'name': 'Ada'}
        >>> cache.delete("user:7")
        1
    """

    def __init__(  # noqa: PLR0913  each is a keyword with a name of its own
        self,
        *tiers: str | Tier,
        namespace: str = "",
        around_load: Callable[[], AbstractContextManager[Any]] | None = None,
        codec: str = "msgpack",
        signing_keys: Iterable[str | bytes] = (),
        heartbeat: Duration = 1.0,
        blind_ttl: Duration = 5.0,
        hold_off: Duration = 0,
        mode: str = "on",
        share: float = 1.0,
        verify: float = 0.0,
        strict: bool = False,
        refresh_concurrency: int = 8,
        **options: Unpack[OptionArgs],
    ) -> None:
        times, rollout = (heartbeat, blind_ttl, hold_off), (mode, share, verify)
        settings = settle(around_load, codec, signing_keys, times, rollout, strict, refresh_concurrency)
        self._open(open_space(tiers, namespace, Options().default(options), settings))

    def _open(self, space: Space) -> None:
        self._space = space
        self._aio: AsyncCache | None = None
        self.get = space.get  # type: ignore[method-assign]  # the hit path is the engine's own, without a frame between
        space.go_on(lambda *asked: run_sync(find.get(SYNC, space, *asked)))

    @classmethod
    def _over(cls, space: Space) -> Cache:
        face = cls.__new__(cls)
        face._open(space)
        return face

    @classmethod
    def from_env(cls) -> Self:
        """Return a cache as the environment describes it: `HOTSET_TIERS`, `HOTSET_NAMESPACE`, `HOTSET_TTL` …."""
        tiers, settings = from_environment()
        return cls(*tiers, **settings)  # type: ignore[arg-type]

    @property
    def aio(self) -> AsyncCache:
        """The async face of this cache: the same entries, the same loads in flight."""
        if self._aio is None:
            from hotset.aio import AsyncCache

            self._aio = AsyncCache._over(self._space)
        return self._aio

    # -- reading

    @overload
    def get(
        self, key: str | bytes, default: None = None, *, max_age: Duration | None = None, type: type[T]
    ) -> T | None: ...
    @overload
    def get(self, key: str | bytes, default: T, *, max_age: Age = None, type: type[T]) -> T: ...
    @overload
    def get(self, key: str | bytes, default: Any = None, *, max_age: Age = None, type: None = None) -> Any: ...
    def get(self, key: str | bytes, default: Any = None, *, max_age: Any = None, type: Any = None) -> Any:
        """Return the fresh value of `key`, else `default`. `type` names what the value is, for type checkers.

        `max_age`: nor one whose load, or write, began longer ago than that.
        """
        return self._space.get(key, default, max_age=max_age, type=type)

    def lookup(self, key: str | bytes) -> Hit[Any] | Miss:
        """Return a `Hit` with the value, its tier, age and tags, or a falsy `Miss` that says why.

        A stale entry is a `Hit` with `stale=True`, though `get` would not answer with it.
        """
        return self._lookup(key, None)

    def _lookup(self, key: str | bytes, kind: Any) -> Hit[Any] | Miss:
        return run_sync(look.lookup(SYNC, self._space, key, kind))

    def get_or_load(self, key: str | bytes, loader: Callable[..., T], **options: Unpack[OptionArgs]) -> T:
        """Return the fresh value of `key`, else what `loader` returns, which is stored.

        The loader is called with the key if it requires an argument, else with none; once for all threads and tasks
        that ask at the time. What it raises is raised here, unwrapped, with a note that names the key.
        """
        given = self._space.options.override(options)
        return self._load(key, lambda: loader_of(loader, (key,)), given)  # type: ignore[no-any-return]

    def _load(self, key: str | bytes, loader: Callable[[], Loader], options: Options) -> Any:
        value = self._space.hit(key, MISSING, max_age=options.max_age)
        if value is not MISSING:
            return value
        return self._read(key, _sync(loader()), options)

    def _read(self, key: str | bytes, loader: Loader, options: Options) -> Any:
        value, error = run_sync(read(SYNC, self._space, key, loader, options))
        if error is not None:
            raise error
        return value

    def _told(self, key: str | bytes, loader: Loader, options: Options) -> Told:
        found = run_sync(told(SYNC, self._space, key, loader, options))
        if isinstance(found, BaseException):
            raise found
        return found

    def _refresh(self, key: str | bytes, loader: Loader, options: Options) -> Any:
        value, error = run_sync(refresh(SYNC, self._space, key, loader, options))
        if error is not None:
            raise error
        return value

    def get_many(self, keys: Iterable[str | bytes]) -> dict[str | bytes, Any]:
        """Return the fresh values among `keys`; those that have none are left out."""
        return self._get_many(several(keys), None)

    def _get_many(self, keys: Iterable[str | bytes], kind: Any) -> dict[Any, Any]:
        return run_sync(find.get_many(SYNC, self._space, keys, kind))

    def get_or_load_many(
        self,
        keys: Iterable[str | bytes],
        loader: Callable[[list[Any]], Mapping[Any, T]],
        *,
        return_exceptions: bool = False,
        **options: Unpack[OptionArgs],
    ) -> dict[str | bytes, T]:
        """Return the values of `keys`, in their order, the missing ones loaded with one call of `loader`.

        The loader gets the list of the missing keys that nobody loads yet and returns a mapping. A key that it leaves
        out is left out here, and remembered as not found where `negative_ttl` is set. A value that is an exception is
        the failure of that key alone. What it returns beside is kept, where the process tier is the only one and
        nothing has ended it since the load began.

        Raises:
            Exception: what the first key that failed has failed with, with a note that names all that did. The others
                were loaded and stored: `get_many` has them. With `return_exceptions` nothing is raised, and the
                exceptions stand in the places of values. A stale value that `stale_if_error` allows is an answer.
        """
        loads = BatchLoader(loader)
        answers = self._read_many(asked_for(keys), loads, self._space.options.override(options))
        return unpacked(answers, return_exceptions=return_exceptions)

    def _read_many(self, keys: Keys, loader: BatchLoader, options: Options) -> dict[Any, Answer]:
        return run_sync(read_many(SYNC, self._space, keys, _sync(loader), options))

    def _read_each(
        self, keys: Keys, options: Options, how: Callable[[Any], tuple[Loader, Options]]
    ) -> dict[Any, Answer]:
        return run_sync(read_each(SYNC, self._space, keys, options, how))

    # -- writing

    def set(self, key: str | bytes, value: Any, **options: Unpack[OptionArgs]) -> bool:
        """Store a value. A load of the key that is in flight is answered to those who wait, and not stored.

        False: no tier took it; an event "not_stored" says why.
        """
        return self._write(key, value, self._space.options.override(options))

    def add(self, key: str | bytes, value: Any, **options: Unpack[OptionArgs]) -> bool:
        """Store a value unless a fresh one is there already; tell whether it was stored.

        A remembered NotFound is no value: `add` replaces it.
        """
        return self._write(key, value, self._space.options.override(options), only_absent=True)

    def _write(self, key: str | bytes, value: Any, options: Options, *, only_absent: bool = False) -> bool:
        return run_sync(change.write(SYNC, self._space, key, value, options, only_absent=only_absent))

    def set_many(self, values: Values, **options: Unpack[OptionArgs]) -> bool:
        """Store several values; True when all were stored."""
        return run_sync(change.write_many(SYNC, self._space, values, self._space.options.override(options)))

    def touch(self, key: str | bytes, ttl: Duration) -> bool:
        """Give a fresh entry a new life of `ttl` from now; False if there is none."""
        return run_sync(change.touch(SYNC, self._space, key, ttl))

    def _alter(self, key: str | bytes, compute: Callable[[Any], Any]) -> Any:
        return run_sync(alter(SYNC, self._space, key, compute))

    # -- ending

    def delete(
        self, *keys: str | bytes, tags: Iterable[str] = (), match: str | None = None, wait: str | None = None
    ) -> int:
        """End entries by key, by tag, by pattern: gone, and loads in flight for them are not stored any more.

        Once it has returned no read that starts later gets a value whose load began before it. Returns how many
        entries and loads were found by key or pattern; what a tag hides is not counted.
        """
        return run_sync(change.delete(SYNC, self._space, keys, tags, match, wait))

    def expire(
        self, *keys: str | bytes, tags: Iterable[str] = (), match: str | None = None, wait: str | None = None
    ) -> int:
        """End entries as `delete` does, but keep those with a stale window as a fallback for a source that fails."""
        return run_sync(change.expire(SYNC, self._space, keys, tags, match, wait))

    def clear(self, wait: str | None = None) -> None:
        """End all entries of this namespace in one step, whatever their number; its children stay."""
        run_sync(change.clear(SYNC, self._space, wait))

    # -- families, children

    @overload
    def family(self, template: str, type: type[T], **options: Unpack[OptionArgs]) -> Family[T]: ...
    @overload
    def family(self, template: str, type: None = None, **options: Unpack[OptionArgs]) -> Family[Any]: ...
    def family(self, template: str, type: Any = None, **options: Unpack[OptionArgs]) -> Family[Any]:
        """Return the keys of one shape: `users = cache.family("user:{id}", User)`, then `users.get(7)`."""
        from hotset.family import Family
        from hotset.shape import shape

        return Family(self, shape(template, self._space.meets(type), self._space.options, options))

    @overload
    def cached(  # type: ignore[overload-overlap]  # what is awaited is the narrower of the two
        self, template: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncCached[P, R]: ...
    @overload
    def cached(self, template: Callable[P, R]) -> Cached[P, R]: ...
    @overload
    def cached(self, template: str | None = None, **options: Unpack[OptionArgs]) -> Decorator: ...
    def cached(self, template: Any = None, **options: Unpack[OptionArgs]) -> Any:
        """Decorator: `@cache.cached("user:{user_id}", ttl="10m")` over a function, a method or an `async def`.

        Without a template the key is made of the function's name and all its arguments.
        """
        from hotset.cached import Decorator

        if callable(template) or isinstance(template, property | staticmethod | classmethod):
            function: Any = template
            return Decorator(self, None, options)(function)
        return Decorator(self, template, options)

    def child(self, name: str, **options: Unpack[OptionArgs]) -> Cache:
        """Return a namespace within this one, with its own `clear` and tags; the capacity is shared."""
        return Cache._over(self._space.child(name, self._space.options.default(options)))

    # -- a cold start

    def warm(self, keys: Iterable[str | bytes], loader: Callable[..., Any], **settings: Unpack[WarmArgs]) -> Warmed:
        """Fill what is not fresh of `keys` through a loader of many, as `get_or_load_many` has it.

        `concurrency=8` batches of up to 100 at once, in threads; at most `rate=` keys a second; `progress=True` shows
        a line on a terminal, or is a function of (done, total). A batch that fails fails its keys only, and a second
        run goes on where one was broken off. Over a store one process warms at a time; who asks meanwhile returns.
        """
        speed, options = pace(**settings)
        return self._warm(keys, many_of(self._space, _sync(BatchLoader(loader)), options), speed)

    def _warm(self, keys: Iterable[Any], source: Source, speed: Pace) -> Warmed:
        return run_sync(warm(SYNC, self._space, keys, source, speed, threads))

    def save(self, path: str | PathLike[str]) -> int:
        """Save what the process tier holds fresh of this namespace and those within it; return how many entries."""
        return saved.save(self._space, path)

    def restore(self, path: str | PathLike[str]) -> int:
        """Take in what `save` has written, where there is room; return how many entries. No file: 0.

        Over a store each is checked before it is served; without one nothing comes back that may have ended since.
        CodecError for a file that is damaged, or of another namespace.
        """
        return run_sync(saved.restore(SYNC, self._space, path))

    # -- around it

    def explain(self, key: str | bytes) -> Explanation:
        """Return where a key is, how old, with which tags, and why a read of it missed or would miss."""
        return run_sync(look.explain(SYNC, self._space, key))

    def scan(self, match: str = "*", limit: int = 1_000) -> list[str]:
        """Return up to `limit` keys that a `get` would answer now and that match, for people and tools."""
        return run_sync(look.scan(SYNC, self._space, match, limit))

    def close(self) -> None:
        """Let go of all entries and workers. The cache opens again with its next use."""
        self._space.pool.drain()
        run_sync(change.close(self._space))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return state.describe(self._space, "Cache")


def _sync(loader: L) -> L:
    """Refuse, before it is called, what the sync face cannot call."""
    if loader.asynchronous:
        raise TypeError("the loader is async: await it through cache.aio, the async face of the same cache")
    return loader
