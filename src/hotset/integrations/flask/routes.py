"""The cached views of one extension, and the check that they are what the apps route to."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from flask import request_started

from hotset.errors import ConfigError
from hotset.integrations.flask.view import View, async_function, function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask

    from hotset.cache import Cache
    from hotset.http.control import CacheControl
    from hotset.options import OptionArgs


class Views:
    """The cached views of one extension, and the check that they are what the apps route to."""

    def __init__(self, current: Callable[[], Cache]) -> None:
        self._current = current
        self._inner: WeakSet[Callable[..., Any]] = WeakSet()
        self._outer: WeakSet[Callable[..., Any]] = WeakSet()
        self.functions: WeakSet[Callable[..., Any]] = WeakSet()
        """Cached functions, which are no views."""

    def decorator(
        self,
        template: str | None,
        query: Iterable[str] | None,
        vary: Iterable[str],
        control: CacheControl | None,
        options: OptionArgs,
    ) -> Any:
        """Return the decorator of a view."""
        if callable(template):
            raise ConfigError("@cache.view() is written with parentheses")

        def decorate(inner: Callable[..., Any]) -> Any:
            view = View(self._current, inner, template, query, vary, control, options)
            made: Any = async_function(view) if inspect.iscoroutinefunction(inner) else function(view)
            made.tag, made.delete, made.expire = view.tag, view.delete, view.expire
            self._inner.add(inner)
            self._outer.add(made)
            return made

        return decorate

    def watch(self, app: Flask) -> None:
        """Check the routes of an app at its first request, when all are there."""

        def check(app: Flask, **_: Any) -> None:
            self._check(app)
            request_started.disconnect(check, app)

        request_started.connect(check, app, weak=False)

    def _check(self, app: Flask) -> None:
        for rule in app.url_map.iter_rules():
            routed = app.view_functions.get(rule.endpoint)
            if routed in self._inner:
                raise ConfigError(
                    f"the route {rule.rule} leads past the cache: write @app.get(…) above @cache.view(…), so that it "
                    "routes to the cached view"
                )
            if routed in self.functions:
                raise ConfigError(
                    f"the route {rule.rule} leads to a cached function, whose key knows nothing of the query: write "
                    "@cache.view(…) in place of @cache.cached(…)"
                )
            beyond = sorted((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"})
            if routed in self._outer and beyond:
                raise ConfigError(
                    f"the route {rule.rule} takes {', '.join(beyond)}: @cache.view is for GET; write another view "
                    "for it"
                )
