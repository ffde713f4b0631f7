"""Tests of a cached service: no server, no waiting, nothing left for the next test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import weather
from weather import Forecast, Weather

from hotset import NotFound
from hotset.testing import Isolated


class Api:
    """Stands for the API: it knows one city, and can be down."""

    def __init__(self) -> None:
        self.degrees: dict[str, int] = {"Oslo": 3}
        self.down = False

    def __call__(self, city: str) -> int | None:
        if self.down:
            raise ConnectionError("the API is down")
        return self.degrees.get(city)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def service(api: Api) -> Weather:
    return Weather(api)


@pytest.fixture(autouse=True)
def seen(isolated: Callable[..., Isolated]) -> Isolated:
    """The cache of the application, empty in each test, with a clock of its own and without its Redis."""
    return isolated(weather.cache, strict=True)


def test_the_api_is_asked_once_in_ten_minutes(service: Weather, api: Api, seen: Isolated) -> None:
    assert service.forecast("Oslo") == Forecast("Oslo", 3)
    api.degrees["Oslo"] = 9
    assert service.forecast("Oslo").degrees == 3
    seen.assert_loaded("forecast:Oslo", times=1)
    seen.advance("10m")
    assert service.forecast("Oslo").degrees == 9


def test_a_city_that_is_not_there_is_remembered_for_a_minute(service: Weather, api: Api, seen: Isolated) -> None:
    with pytest.raises(NotFound):
        service.forecast("Atlantis")
    api.degrees["Atlantis"] = 20
    with pytest.raises(NotFound):
        service.forecast("Atlantis")
    seen.advance("1m")
    assert service.forecast("Atlantis").degrees == 20


def test_an_old_forecast_is_better_than_none(service: Weather, api: Api, seen: Isolated) -> None:
    service.forecast("Oslo")
    api.down = True
    seen.advance("30m")
    assert service.forecast("Oslo").degrees == 3
    seen.advance("1h")
    with pytest.raises(ConnectionError):
        service.forecast("Oslo")


def test_a_corrected_forecast_is_asked_for_again(service: Weather, api: Api) -> None:
    service.forecast("Oslo")
    api.degrees["Oslo"] = -7
    service.corrected("Oslo")
    assert service.forecast("Oslo").degrees == -7


def test_without_the_cache_each_call_asks(service: Weather, api: Api, seen: Isolated) -> None:
    with weather.cache.disabled():
        service.forecast("Oslo")
        api.degrees["Oslo"] = 4
        assert service.forecast("Oslo").degrees == 4
    seen.assert_loaded("forecast:Oslo", times=2)
    assert "forecast:Oslo" not in weather.cache
