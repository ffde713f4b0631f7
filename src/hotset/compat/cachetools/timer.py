"""The timer of a `TTLCache`, as its `timer` shows it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from hotset.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Timer(threading.local):
    """A timer that stands still for a thread inside a `with` block of that thread. Other names are the timer's own."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._depth = 0
        self._time = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._time if self._depth else _number(self._timer())

    def __enter__(self) -> float:
        self._time = self()
        self._depth += 1
        return self._time

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_timer"], name)


def _number(time: object) -> float:
    if isinstance(time, int | float):
        return time
    raise ConfigError(f"timer: must return a number, as time.monotonic does, not the {type(time).__name__} {time!r}")
