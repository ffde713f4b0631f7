"""What keys are warmed from, a loader of many or a loader for each; and what becomes of each key."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from hotset.core.compare import read, read_many
from hotset.core.load import BatchLoader, Loader
from hotset.entry.names import name_of
from hotset.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from hotset.core.batch import Keys
    from hotset.core.read import Answer
    from hotset.core.space import Space
    from hotset.options import Options
    from hotset.ports.base import Ports

    Fates: TypeAlias = Mapping[Hashable, str]
    """What became of each item: "loaded", "skipped" (others loaded it), "absent" or "failed"."""

L = TypeVar("L", bound=Loader)

_BATCH: Final = 100
"""Keys of one call of a loader of many: as many as a query takes with ease in its `IN (…)`."""


class Source(Protocol):
    """Where values come from."""

    @property
    def what(self) -> str:
        """What it is called, the same in every process."""
        ...

    @property
    def size(self) -> int:
        """Items of one batch."""
        ...

    @property
    def options(self) -> Options:
        """What holds for all that it loads."""
        ...

    def keys_of(self, items: list[Any], /) -> Keys:
        """Return the key of each item, of those given twice once. Raises KeyRejected."""
        ...

    async def load(self, ports: Ports, space: Space, keys: Keys) -> tuple[Fates, BaseException | None]:
        """Read these through the cache; return what became of each, and an error where one failed."""
        ...


@dataclass(frozen=True, slots=True)
class Many:
    """A loader of many."""

    what: str
    options: Options
    loader: BatchLoader
    keys_of: Callable[[list[Any]], Keys]
    size: int = _BATCH

    async def load(self, ports: Ports, space: Space, keys: Keys) -> tuple[Fates, BaseException | None]:
        """As `Source.load`: one call of the loader, for those that nobody else loads."""
        runs = _Runs()
        answers = await read_many(ports, space, keys, runs.of(self.loader, lambda items, *_: items), self.options)
        fates = {item: runs.fate(item, answers.get(item)) for item in keys}
        errors = (answers[item][1] for item, fate in fates.items() if fate == "failed" and item in answers)
        return fates, runs.error or next(errors, None)


@dataclass(frozen=True, slots=True)
class Each:
    """A loader for each item."""

    what: str
    options: Options
    make: Callable[[Any], tuple[Loader, Options]]
    """Returns the loader and the options of an item."""
    keys_of: Callable[[list[Any]], Keys]
    size: int = 1

    async def load(self, ports: Ports, space: Space, keys: Keys) -> tuple[Fates, BaseException | None]:
        """As `Source.load`: a call for each."""
        fates: dict[Hashable, str] = {}
        first: BaseException | None = None
        for item, key in keys.items():
            loader, options = self.make(item)
            runs = _Runs()
            answer = await read(ports, space, key, runs.of(loader, lambda *_, item=item: (item,)), options)
            fates[item] = runs.fate(item, answer)
            if fates[item] == "failed":
                first = first or runs.error or answer[1]
        return fates, first


def many_of(space: Space, loader: BatchLoader, options: Mapping[str, object]) -> Many:
    """Return a caller's own loader of many, for plain keys."""
    return Many(called(loader.function), space.options.override(options), loader, plain_keys)


def plain_keys(items: list[Any]) -> Keys:
    """Return keys that are their own items."""
    for key in items:
        name_of(key)  # refused before a dict finds that it has no hash
    return {key: key for key in items}


def called(function: Any) -> str:
    """Return what a loader is called, the same in every process that runs the same code."""
    plain = function
    while hasattr(plain, "func"):  # functools.partial, whose own name is everybody's
        plain = plain.func
    plain = plain if hasattr(plain, "__qualname__") else type(plain)
    return f"{plain.__module__}.{plain.__qualname__}"


class _Runs:
    """What a loader was asked for while something was read, and what it raised."""

    __slots__ = ("_asked", "_failed", "error")

    def __init__(self) -> None:
        self._asked: set[Hashable] = set()
        self._failed: set[Hashable] = set()
        self.error: BaseException | None = None

    def of(self, loader: L, items_of: Callable[..., Iterable[Hashable]]) -> L:
        """Return the loader, watched; `items_of` says what its arguments ask for."""
        function = loader.function

        def call(*arguments: Any) -> Any:
            self._asked.update(items_of(*arguments))
            try:
                return function(*arguments)
            except Exception as error:
                self._raised(error, items_of(*arguments))
                raise

        async def call_async(*arguments: Any) -> Any:
            self._asked.update(items_of(*arguments))
            try:
                return await function(*arguments)
            except Exception as error:
                self._raised(error, items_of(*arguments))
                raise

        watched = copy(loader)
        watched.function = call_async if loader.asynchronous else call
        return watched

    def fate(self, item: Hashable, answer: Answer | None) -> str:
        """Return what became of an item. A stale value that stands in for a failed load does not count as loaded."""
        error = answer[1] if answer is not None else None
        if item in self._failed or not (error is None or isinstance(error, NotFound)):
            return "failed"
        if answer is None or error is not None:
            return "absent"
        return "loaded" if item in self._asked else "skipped"

    def _raised(self, error: Exception, items: Iterable[Hashable]) -> None:
        if not isinstance(error, NotFound):
            self._failed.update(items)
            self.error = error
