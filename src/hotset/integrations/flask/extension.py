"""The extension: which app has which cache, and what is decorated for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, final, overload
from weakref import WeakKeyDictionary

from hotset.cache import Cache
from hotset.config.environment import from_settings
from hotset.errors import ConfigError, HotsetError
from hotset.integrations.flask.late import late
from hotset.integrations.flask.routes import Views
from hotset.integrations.jinja import add_fragments

try:
    from flask import current_app, has_app_context, request
    from flask.sessions import SessionMixin
except ImportError as missing:
    raise ImportError("hotset.integrations.flask needs Flask: pip install 'hotset[flask]'") from missing
if SessionMixin.accessed:  # then `"user" in session` leaves no trace, and the page of one client would be kept for all
    raise ImportError("hotset.integrations.flask needs Flask 3.1.3 or newer: pip install -U 'hotset[flask]'")

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Unpack

    from flask import Flask

    from hotset.cached import AsyncCached, Cached, Decorator
    from hotset.http.control import CacheControl
    from hotset.integrations.flask.view import CachedView
    from hotset.options import OptionArgs

P = ParamSpec("P")
R = TypeVar("R")


class NoAppContext(HotsetError, RuntimeError):
    """The cache of the current app was asked for where no app is current."""


class _Opened(NamedTuple):
    cache: Cache
    settings: tuple[Any, ...]


@final
class Hotset:
    """The caches of Flask apps, one each: `cache = Hotset()` at module level, `cache.init_app(app)` in a factory.

    Settings are those of the app's config: `HOTSET_TIERS`, `HOTSET_NAMESPACE`, `HOTSET_TTL` …, with the names and the
    words of the environment variables; `HOTSET_TIERS` may also be a list of tiers. `app.extensions["hotset"]` is the
    app's `Cache`. Nothing is opened and no thread started before the first use, so `--preload` is fine.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._opened: WeakKeyDictionary[Flask, _Opened] = WeakKeyDictionary()
        self._views = Views(lambda: self.current)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give an app its cache; `ConfigError` for a setting that is wrong, or unknown."""
        named = {name: value for name, value in app.config.items() if name.startswith("HOTSET_")}
        settings = from_settings(named, "setting in app.config")
        if "hotset" in app.extensions:
            self._check_same(app, settings)
            return
        tiers, keywords = settings
        cache = Cache(*tiers, **keywords)  # type: ignore[arg-type]
        self._opened[app] = _Opened(cache, settings)
        app.extensions["hotset"] = cache
        add_fragments(app.jinja_env, cache)
        self._views.watch(app)

    def scope_requests(self, app: Flask) -> None:
        """Have each request of an app be one `Cache.request()`: the same key is the same object until it is torn down.

        To be called after `init_app(app)`, before the app's own `before_request` functions.
        """
        opened = self._opened.get(app)
        if opened is None:
            raise ConfigError(f"scope_requests: app {app.name!r} has no cache yet: write `cache.init_app(app)` before")

        def begin() -> None:
            scope = request.environ["hotset.request"] = opened.cache.request()
            scope.__enter__()

        def end(_: BaseException | None) -> None:
            scope = request.environ.pop("hotset.request", None)
            if scope is not None:
                scope.__exit__()

        app.before_request(begin)
        app.teardown_request(end)

    def _check_same(self, app: Flask, settings: tuple[Any, ...]) -> None:
        opened = self._opened.get(app)
        if opened is None:
            raise ConfigError(
                f"app {app.name!r} has a cache already, from another Hotset(): make one, at module level, and import it"
            )
        if opened.settings != settings:
            raise ConfigError(
                f"app {app.name!r} has a cache already, with other settings: set HOTSET_… in app.config before "
                f"init_app(app), which is called once; then {opened.settings}, now {settings}"
            )

    @property
    def current(self) -> Cache:
        """The cache of the current app; `NoAppContext` where none is current."""
        return self._here()[1]

    def _here(self) -> tuple[Flask, Cache]:
        if not has_app_context():
            raise NoAppContext(
                "no app is current, and each has a cache of its own: write `with app.app_context(): …` around it"
            )
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  its documented way
        opened = self._opened.get(app)
        if opened is None:
            raise ConfigError(
                f"app {app.name!r} has no cache of this Hotset(): write `cache.init_app(app)` in its factory"
            )
        return app, opened.cache

    @overload
    def cached(  # type: ignore[overload-overlap]  # what is awaited is the narrower of the two
        self, template: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncCached[P, R]: ...
    @overload
    def cached(self, template: Callable[P, R]) -> Cached[P, R]: ...
    @overload
    def cached(self, template: str | None = None, **options: Unpack[OptionArgs]) -> Decorator: ...
    def cached(self, template: Any = None, **options: Unpack[OptionArgs]) -> Any:
        """Decorator: `Cache.cached` in the cache of whichever app is current when the function is called.

        So are its operations: `load_user.delete(7)` ends the entry of the current app. What is wrong shows where it is
        decorated.
        """
        if callable(template) or isinstance(template, property | staticmethod | classmethod):
            return self._cached(None, options, template)
        return lambda function: self._cached(template, options, function)

    def _cached(self, template: str | None, options: OptionArgs, function: Any) -> Any:
        made = late(self._here, template, options, function)
        self._views.functions.add(made)
        return made

    def view(
        self,
        template: str | None = None,
        *,
        query: Iterable[str] | None = None,
        vary: Iterable[str] = (),
        control: CacheControl | None = None,
        **options: Unpack[OptionArgs],
    ) -> Callable[[Callable[P, Any]], CachedView[P]]:
        """Decorator: what a GET view returns is kept; the route stands above it.

        A page is kept under its whole url: host, path, and all query parameters, in any order. `template`, over the
        view's arguments, names what ends all of them: `user_page.delete(7)`. Without one the name is made of the
        function's name and its arguments.

        `query` names the only parameters that matter: others are no part of the key, and the view does not see them,
        in `request.args` or in `request.url`. `vary` names request headers that the page depends on, as in
        `vary=["Accept-Language"]`.

        Clients may keep a page too, and ask each time whether it still holds (`Cache-Control: no-cache`; a 304 says
        that it does): no cache on the way can be told of a `delete`. With a `control` they need not ask: see
        `hotset.http.control.CacheControl`. What the view itself says in `Cache-Control` goes before both.

        Not kept, and shared with nobody: what sets a cookie, touches the session, reads a request header that `vary`
        does not name, streams, has a status other than 200, 203, 204, 300, 301 or 308, or says `no-store`, `no-cache`
        or `private`. Requests with a body or an `Authorization` header go past the cache. `Cache-Status` says what was
        done, and why.
        """
        return self._views.decorator(template, query, vary, control, options)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<Hotset of {len(self._opened)} apps>"
