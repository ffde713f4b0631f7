"""What a view reads of its request, besides the url that is its key: headers, cookies, the session."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from flask.globals import request_ctx
from werkzeug.datastructures import EnvironHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Request

_REMEMBERED: Final = (
    *("accept_charsets", "accept_encodings", "accept_languages", "accept_mimetypes", "access_route"),
    *("authorization", "cache_control", "cookies", "pragma", "user_agent"),
)
"""What a request reads of its headers once: forgotten before the view, so that it is seen to read them."""

_NO_MATTER: Final = frozenset(
    (
        *(
            "Host",
            "Content-Type",
            "Content-Length",
            "Transfer-Encoding",
        ),  # part of the key; of a body, and there is none
        *("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"),
    )
)
"""What makes a 304, 206 or 412 of a page, none of which is kept, and changes nothing else."""


class Watched(EnvironHeaders):
    """The headers of a request, and which of them were read."""

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ)
        self._plain = EnvironHeaders(environ)
        self._read: set[str] = set()

    @property
    def read(self) -> set[str]:
        """The names of those that were read and that a page may depend on; `*` is all of them."""
        return self._read - _NO_MATTER

    def __getitem__(self, key: Any, *more: Any, **how: Any) -> Any:
        self._read.add(str(key).title())
        return self._plain.__getitem__(key, *more, **how)

    def get(self, key: Any, *more: Any, **how: Any) -> Any:
        """Return a header."""
        self._read.add(str(key).title())
        return self._plain.get(key, *more, **how)

    def getlist(self, key: Any, *more: Any, **how: Any) -> Any:
        """Return the values of a header."""
        self._read.add(str(key).title())
        return self._plain.getlist(key, *more, **how)

    def __contains__(self, key: Any) -> bool:
        self._read.add(str(key).title())
        return key in self._plain

    def __iter__(self) -> Any:
        self._read.add("*")
        return iter(self._plain)


@contextmanager
def watched(request: Request, query: frozenset[str] | None) -> Iterator[Watched]:
    """Have a request tell what is read of it, and show only the parameters that `query` names, inside the block."""
    asked: Any = request  # what is put into its place below is declared as a property
    headers, args = request.headers, request.args
    seen = Watched(request.environ)
    for name in _REMEMBERED:
        request.__dict__.pop(name, None)
    asked.headers = seen
    whole = request.query_string
    if query is not None:
        kept = [(name, value) for name, value in args.items(multi=True) if name in query]
        asked.args = request.parameter_storage_class(kept)
        asked.query_string = urlencode(kept).encode()
        _forget(request)
    try:
        yield seen
    finally:
        asked.headers, asked.args, asked.query_string = headers, args, whole
        if query is not None:
            _forget(request)


def _forget(request: Request) -> None:
    """Have a request make anew what it makes once of its query."""
    for name in ("full_path", "url", "values"):
        request.__dict__.pop(name, None)


def session_touched() -> bool:
    """Tell whether the session has been read or written in this request. To ask is not to touch it."""
    context: Any = request_ctx
    session = getattr(context, "_session", None)  # since Flask 3.1.3 the public name counts as a reader
    return bool(getattr(context.session if session is None else session, "accessed", True))
