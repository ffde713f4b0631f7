"""A clock that stands still until it is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotset.options import seconds

if TYPE_CHECKING:
    from hotset.options import Duration


class FakeClock:
    """Returns seconds when called; they only pass by `advance`, and never go back.

    Examples:
        >>> clock = FakeClock()
        >>> clock.advance("5m")
        >>> clock()
        1300.0
    """

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start

    def __call__(self) -> float:
        """Return the seconds of this clock."""
        return self._now

    def advance(self, duration: Duration) -> None:
        """Let time pass: seconds, a timedelta, or text such as "5m". Zero and less are a `ConfigError`."""
        self._now += seconds(duration, "advance")

    def __repr__(self) -> str:
        return f"FakeClock({self._now})"
