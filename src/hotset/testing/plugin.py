"""The pytest plugin: `isolated(cache)` for the length of a test, and caches that are isolated in every test."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotset.testing.record import Isolated

_INI = "hotset_isolated"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say in `pytest --help` what there is."""
    parser.addini(
        _INI,
        'hotset: caches that every test starts with empty and on a fake clock, as in "shop.caches:cache"; '
        "the fixture isolated(cache) does it for one test and returns what happened",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have a fixture for every test only where a project asks for it."""
    named = config.getini(_INI)
    if named:
        config.pluginmanager.register(_Everywhere(named), "hotset-isolated")


@pytest.fixture
def isolated() -> Iterator[Callable[..., Isolated]]:
    """Return a function that empties a cache for this test, on a fake clock, and returns what happened to it.

    No server is needed: a cache over Redis does without it. `strict=True` checks every value, as a store would.

    Examples:
        def test_a_user_is_loaded_again_after_ten_minutes(isolated):
            shop = isolated(app.cache)
            app.load_user(7)
            shop.advance("10m")
            app.load_user(7)
            shop.assert_loaded("user:7", times=2)
    """
    with _caches() as stack:

        def isolate(cache: Any, clock: Any = None, *, strict: bool = False) -> Isolated:
            from hotset.testing.isolation import isolated as within  # pytest starts without hotset

            return stack.enter_context(within(cache, clock, strict=strict))

        yield isolate


@contextmanager
def _caches() -> Iterator[ExitStack]:
    """Hold what is isolated; at the end a value that was changed is said in one line, without the way to it."""
    try:
        with ExitStack() as stack:
            yield stack
    except ValueError as error:  # a CodecError, whose room need not be loaded for a test that changed nothing
        pytest.fail(str(error), pytrace=False)


class _Everywhere:
    """The caches that the project has named, isolated in every test."""

    def __init__(self, named: list[str]) -> None:
        self._named = named

    @pytest.fixture(autouse=True)
    def _hotset_isolated(self) -> Iterator[None]:
        from hotset.testing.isolation import isolated as within

        with _caches() as stack:
            for name in self._named:
                stack.enter_context(within(_found(name)))
            yield


def _found(name: str) -> Any:
    """Return the cache of a name such as "shop.caches:cache"."""
    from hotset.aio import AsyncCache
    from hotset.cache import Cache

    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f'{_INI}: no cache is called {name!r}, as in "shop.caches:cache": {error}') from error
    if not isinstance(found, Cache | AsyncCache):
        raise pytest.UsageError(f"{_INI}: {name!r} is no cache, but {found!r}")
    return found
