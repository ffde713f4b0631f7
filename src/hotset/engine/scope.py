"""Where a cache is switched off: in the contexts (threads, tasks) inside a `disabled()` block, and only there."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from hotset.engine.within import within

if TYPE_CHECKING:
    from hotset.engine.memory import MemoryEngine

_off: ContextVar[tuple[MemoryEngine, ...]] = ContextVar("hotset_off", default=())


def why_off(engine: MemoryEngine) -> str:
    """Return why this context reads past the cache: "disabled", "transaction", or "" when it does not."""
    if not engine.off_here:
        return ""
    for each in _off.get():
        if each is engine:
            return "disabled"
    return "transaction" if any(each.changed for each in within(engine)) else ""


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
