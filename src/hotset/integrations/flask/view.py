"""A cached view: how a request becomes a key, and what ends its pages."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar
from urllib.parse import quote, urlencode

from flask import request

from hotset.cache import Cache
from hotset.errors import ConfigError
from hotset.integrations.flask.visit import Visit, answer, answer_async
from hotset.options import attended
from hotset.shape import check_kind, shape_of, takes_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Request, Response

    from hotset.http.control import CacheControl
    from hotset.options import OptionArgs

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")


class CachedView(Protocol, Generic[P]):
    """A cached view, and what ends its pages; arguments are the view's."""

    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Answer a request, with a `Response`; of an `async def`, to be awaited."""
        ...

    def __get__(self: CachedView[Concatenate[S, Q]], instance: S | None, owner: type | None = None) -> CachedView[Q]:
        """Leave out the instance: no page depends on it."""
        ...

    def tag(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the tag that all pages of these arguments carry, whatever their query and host."""
        ...

    def delete(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """End all pages of these arguments; see `Cache.delete`."""
        ...

    def expire(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Make all pages of these arguments stale; see `Cache.expire`."""
        ...


class View:
    """One cached view: how a request becomes a key, and what ends its pages."""

    def __init__(
        self,
        current: Callable[[], Cache],
        function: Callable[..., Any],
        template: str | None,
        query: Iterable[str] | None,
        vary: Iterable[str],
        control: CacheControl | None,
        options: OptionArgs,
    ) -> None:
        check_kind(function)
        attended(options, "a view")
        is_method = takes_instance(function)
        self._shape = shape_of(function, template, Cache("null://"), options, is_method=is_method)
        self._instance = (None,) if is_method else ()  # each request has one of its own, which no page depends on
        if self._shape.tags.of_result:
            raise ConfigError(
                f"tags of the view {function.__name__}: fields are the view's arguments; for what it has found write "
                'hotset.loading().tags = ["…"] inside it'
            )
        self._options: dict[str, Any] = {**options, "tags": self._shape.options.tags}
        self._current = current
        self.function = function
        self.control = control
        self.query = None if query is None else _names(query, "query", 'query=["page"]')
        self.varies = tuple(sorted(name.title() for name in _names(vary, "vary", 'vary=["Accept-Language"]')))

    def tag(self, *args: Any, **kwargs: Any) -> str:
        """Return the tag that all pages of these arguments carry."""
        return self._shape.key(self._shape.bind((*self._instance, *args), kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> int:
        """End all pages of these arguments."""
        return self._current().delete(tags=[self.tag(*args, **kwargs)])

    def expire(self, *args: Any, **kwargs: Any) -> int:
        """Make all pages of these arguments stale."""
        return self._current().expire(tags=[self.tag(*args, **kwargs)])

    def visit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Visit:
        """Return what answers the current request."""
        values = self._shape.bind(args, kwargs)
        tag = self._shape.key(values)
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # its documented way
        tags = (*self._options["tags"], *self._shape.tags.before(values), tag)
        cache = self._current()
        options = cache._space.options.override({**self._options, "tags": tags})
        return Visit(self, cache, asked, f"{tag} {self._url(asked)}", options)

    def _url(self, asked: Request) -> str:
        """Return what of a request is part of the key: the headers named, then the url, in which no space stands."""
        pairs = [each for each in asked.args.items(multi=True) if self.query is None or each[0] in self.query]
        pairs.sort(key=lambda pair: pair[0])  # the order of equal names may mean something
        headers = "".join(f"{name}={quote(asked.headers.get(name, ''), safe='')} " for name in self.varies)
        return f"{headers}{asked.base_url}{'?' if pairs else ''}{urlencode(pairs)}"


def function(view: View) -> Callable[..., Any]:
    """Return the function that Flask is to route to."""

    @functools.wraps(view.function)
    def cached(*args: Any, **kwargs: Any) -> Response:
        return answer(view, args, kwargs)

    return cached


def async_function(view: View) -> Callable[..., Any]:
    """Return the `async def` that Flask is to route to."""

    @functools.wraps(view.function)
    async def cached(*args: Any, **kwargs: Any) -> Response:
        return await answer_async(view, args, kwargs)

    return cached


def _names(given: Iterable[str], what: str, example: str) -> frozenset[str]:
    if isinstance(given, str):
        raise ConfigError(f"{what}: a list of names such as {example}; not the one text {given!r}")
    return frozenset(given)
