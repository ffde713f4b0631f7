"""AsyncCache, the async face. Like the sync one: a hit is a plain engine call, the rest awaits the core."""

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
from hotset.ports.abreast import in_thread, tasks
from hotset.ports.aio import AioPorts
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from contextlib import AbstractContextManager
    from os import PathLike
    from types import TracebackType
    from typing import Self, Unpack

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
    from hotset.family import AsyncFamily
    from hotset.options import Age, Duration, OptionArgs

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
C = TypeVar("C", bound=type)


@final
class AsyncCache(Face):
    """The async face of a cache; see `Cache`, whose members it has with the same signatures.

    Sync loaders run in a bounded pool of threads. A caller that is cancelled leaves its load to those who still wait
    for it; with the last of them an async load is cancelled.
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
        self._ports = AioPorts()

    @classmethod
    def _over(cls, space: Space) -> AsyncCache:
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
        """This face itself, so that code that has either face can ask for the async one."""
        return self

    # -- reading

    @overload
    async def get(
        self, key: str | bytes, default: None = None, *, max_age: Duration | None = None, type: type[T]
    ) -> T | None: ...
    @overload
    async def get(self, key: str | bytes, default: T, *, max_age: Age = None, type: type[T]) -> T: ...
    @overload
    async def get(self, key: str | bytes, default: Any = None, *, max_age: Age = None, type: None = None) -> Any: ...
    async def get(self, key: str | bytes, default: Any = None, *, max_age: Any = None, type: Any = None) -> Any:
        """Return the fresh value of `key`, else `default`. `type` names what the value is, for type checkers.

        `max_age`: nor one whose load, or write, began longer ago than that.
        """
        value = self._space.get(key, MISSING, max_age=max_age)
        return value if value is not MISSING else await find.get(self._ports, self._space, key, default, type, max_age)

    async def lookup(self, key: str | bytes) -> Hit[Any] | Miss:
        """Return a `Hit` with the value, its tier, age and tags, or a falsy `Miss` that says why."""
        return await self._lookup(key, None)

    async def _lookup(self, key: str | bytes, kind: Any) -> Hit[Any] | Miss:
        return await look.lookup(self._ports, self._space, key, kind)

    @overload
    async def get_or_load(
        self, key: str | bytes, loader: Callable[..., Awaitable[T]], **options: Unpack[OptionArgs]
    ) -> T: ...
    @overload
    async def get_or_load(self, key: str | bytes, loader: Callable[..., T], **options: Unpack[OptionArgs]) -> T: ...
    async def get_or_load(self, key: str | bytes, loader: Callable[..., Any], **options: Unpack[OptionArgs]) -> Any:
        """Return the fresh value of `key`, else what `loader` returns, sync or async, which is stored."""
        given = self._space.options.override(options)
        return await self._load(key, lambda: loader_of(loader, (key,)), given)

    async def _load(self, key: str | bytes, loader: Callable[[], Loader], options: Options) -> Any:
        value = self._space.hit(key, MISSING, max_age=options.max_age)
        if value is not MISSING:
            return value
        return await self._read(key, loader(), options)

    async def _read(self, key: str | bytes, loader: Loader, options: Options) -> Any:
        value, error = await read(self._ports, self._space, key, loader, options)
        if error is not None:
            raise error
        return value

    async def _told(self, key: str | bytes, loader: Loader, options: Options) -> Told:
        found = await told(self._ports, self._space, key, loader, options)
        if isinstance(found, BaseException):
            raise found
        return found

    async def _refresh(self, key: str | bytes, loader: Loader, options: Options) -> Any:
        value, error = await refresh(self._ports, self._space, key, loader, options)
        if error is not None:
            raise error
        return value

    async def get_many(self, keys: Iterable[str | bytes]) -> dict[str | bytes, Any]:
        """Return the fresh values among `keys`; those that have none are left out."""
        return await self._get_many(several(keys), None)

    async def _get_many(self, keys: Iterable[str | bytes], kind: Any) -> dict[Any, Any]:
        return await find.get_many(self._ports, self._space, keys, kind)

    async def get_or_load_many(
        self,
        keys: Iterable[str | bytes],
        loader: Callable[[list[Any]], Any],
        *,
        return_exceptions: bool = False,
        **options: Unpack[OptionArgs],
    ) -> dict[str | bytes, Any]:
        """Return the values of `keys`, the missing ones loaded with one call of `loader`, sync or async.

        See `Cache.get_or_load_many`.
        """
        loads = BatchLoader(loader)
        answers = await self._read_many(asked_for(keys), loads, self._space.options.override(options))
        return unpacked(answers, return_exceptions=return_exceptions)

    async def _read_many(self, keys: Keys, loader: BatchLoader, options: Options) -> dict[Any, Answer]:
        return await read_many(self._ports, self._space, keys, loader, options)

    async def _read_each(
        self, keys: Keys, options: Options, how: Callable[[Any], tuple[Loader, Options]]
    ) -> dict[Any, Answer]:
        return await read_each(self._ports, self._space, keys, options, how)

    # -- writing

    async def set(self, key: str | bytes, value: Any, **options: Unpack[OptionArgs]) -> bool:
        """Store a value; False: no tier took it, an event "not_stored" says why."""
        return await self._write(key, value, self._space.options.override(options))

    async def add(self, key: str | bytes, value: Any, **options: Unpack[OptionArgs]) -> bool:
        """Store a value unless a fresh one is there already; tell whether it was stored."""
        return await self._write(key, value, self._space.options.override(options), only_absent=True)

    async def _write(self, key: str | bytes, value: Any, options: Options, *, only_absent: bool = False) -> bool:
        return await change.write(self._ports, self._space, key, value, options, only_absent=only_absent)

    async def set_many(self, values: Values, **options: Unpack[OptionArgs]) -> bool:
        """Store several values; True when all were stored."""
        return await change.write_many(self._ports, self._space, values, self._space.options.override(options))

    async def touch(self, key: str | bytes, ttl: Duration) -> bool:
        """Give a fresh entry a new life of `ttl` from now; False if there is none."""
        return await change.touch(self._ports, self._space, key, ttl)

    async def _alter(self, key: str | bytes, compute: Callable[[Any], Any]) -> Any:
        return await alter(self._ports, self._space, key, compute)

    # -- ending

    async def delete(
        self, *keys: str | bytes, tags: Iterable[str] = (), match: str | None = None, wait: str | None = None
    ) -> int:
        """End entries by key, by tag, by pattern: gone, and loads in flight for them are not stored any more."""
        return await change.delete(self._ports, self._space, keys, tags, match, wait)

    async def expire(
        self, *keys: str | bytes, tags: Iterable[str] = (), match: str | None = None, wait: str | None = None
    ) -> int:
        """End entries as `delete` does, but keep those with a stale window as a fallback for a source that fails."""
        return await change.expire(self._ports, self._space, keys, tags, match, wait)

    async def clear(self, wait: str | None = None) -> None:
        """End all entries of this namespace in one step, whatever their number; its children stay."""
        await change.clear(self._ports, self._space, wait)

    # -- families, children

    @overload
    def family(self, template: str, type: type[T], **options: Unpack[OptionArgs]) -> AsyncFamily[T]: ...
    @overload
    def family(self, template: str, type: None = None, **options: Unpack[OptionArgs]) -> AsyncFamily[Any]: ...
    def family(self, template: str, type: Any = None, **options: Unpack[OptionArgs]) -> AsyncFamily[Any]:
        """Return the keys of one shape: `users = aio.family("user:{id}", User)`, then `await users.get(7)`."""
        from hotset.family import AsyncFamily
        from hotset.shape import shape

        return AsyncFamily(self, shape(template, self._space.meets(type), self._space.options, options))

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

    def child(self, name: str, **options: Unpack[OptionArgs]) -> AsyncCache:
        """Return a namespace within this one, with its own `clear` and tags; the capacity is shared."""
        return AsyncCache._over(self._space.child(name, self._space.options.default(options)))

    # -- a cold start

    async def warm(
        self, keys: Iterable[str | bytes], loader: Callable[..., Any], **settings: Unpack[WarmArgs]
    ) -> Warmed:
        """Fill what is not fresh of `keys`, several batches at once as tasks of this loop; see `Cache.warm`."""
        speed, options = pace(**settings)
        return await self._warm(keys, many_of(self._space, BatchLoader(loader), options), speed)

    async def _warm(self, keys: Iterable[Any], source: Source, speed: Pace) -> Warmed:
        return await warm(self._ports, self._space, keys, source, speed, tasks)

    async def save(self, path: str | PathLike[str]) -> int:
        """Save what the process tier holds fresh, in a thread; see `Cache.save`."""
        return await in_thread(lambda: saved.save(self._space, path))

    async def restore(self, path: str | PathLike[str]) -> int:
        """Take in what `save` has written and is still alive, in a thread; see `Cache.restore`."""
        return await in_thread(lambda: run_sync(saved.restore(SYNC, self._space, path)))

    # -- around it

    async def explain(self, key: str | bytes) -> Explanation:
        """Return where a key is, how old, with which tags, and why a read of it missed or would miss."""
        return await look.explain(self._ports, self._space, key)

    async def scan(self, match: str = "*", limit: int = 1_000) -> list[str]:
        """Return up to `limit` keys that a `get` would answer now and that match, for people and tools."""
        return await look.scan(self._ports, self._space, match, limit)

    async def close(self) -> None:
        """Let go of all entries and workers. The cache opens again with its next use."""
        await self._ports.drain(self._space.pool)
        await change.close(self._space)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return state.describe(self._space, "AsyncCache")
