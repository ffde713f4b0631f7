"""A service that asks a slow API, with a cache before it: what the tests beside it are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hotset import Cache, NotFound

cache = Cache("memory://", "redis://localhost:6379/0", namespace="weather", ttl="10m")


@dataclass(frozen=True)
class Forecast:
    city: str
    degrees: int


class Weather:
    """Forecasts by city, asked for at most once in ten minutes; for an hour more if the API fails."""

    def __init__(self, ask: Callable[[str], int | None]) -> None:
        self._ask = ask

    @cache.cached("forecast:{city}", negative_ttl="1m", stale_if_error="1h")
    def forecast(self, city: str) -> Forecast:
        degrees = self._ask(city)
        if degrees is None:
            raise NotFound(f"no city {city!r}")
        return Forecast(city, degrees)

    def corrected(self, city: str) -> None:
        """The API has told us that a forecast was wrong."""
        self.forecast.expire(city)
