"""Where a cache is switched off: in the contexts (threads, tasks) inside a `disabled()` block, and only there."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotset.engine.memory import MemoryEngine

_off: ContextVar[tuple[MemoryEngine, ...]] = ContextVar("hotset_off", default=())


def is_off(engine: MemoryEngine) -> bool:
    """Tell whether this context reads past the cache."""
    return bool(engine.off_here) and any(each is engine for each in _off.get())


class Off:
    """A context manager, sync and async, inside which this context reads past the cache. It may be nested."""

    __slots__ = ("_engine", "_tokens")

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._tokens: list[object] = []

    def __enter__(self) -> None:
        self._engine.scope(+1)
        self._tokens.append(_off.set((*_off.get(), self._engine)))

    def __exit__(self, *_: object) -> None:
        _off.reset(self._tokens.pop())  # type: ignore[arg-type]
        self._engine.scope(-1)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()
