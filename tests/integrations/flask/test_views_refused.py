"""What of a view is never kept, never shared, or refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask, Response, after_this_request, request, send_file, session, stream_with_context
from werkzeug.exceptions import NotFound as Missing

from hotset import ConfigError
from hotset.integrations.flask import Hotset


def with_cookie() -> Response:
    """An answer that sets a cookie."""
    response = Response("text")
    response.set_cookie("who", "ada")
    return response


def says(control: str) -> Callable[[], Response]:
    """An answer with this Cache-Control."""
    return lambda: Response("text", headers={"Cache-Control": control})


UNKEPT: dict[str, tuple[Callable[[], Any], str]] = {
    "cookie": (with_cookie, "it sets a cookie"),
    "stream": (lambda: Response(iter(["a", "b"])), "it streams"),
    "file": (lambda: send_file(BytesIO(b"text"), "text/plain"), "it streams"),
    "error": (lambda: ("text", 404), "its status is 404"),
    "failure": (lambda: ("text", 500), "its status is 500"),
    "redirect": (lambda: ("text", 302), "its status is 302"),
    "partial": (lambda: ("text", 206), "its status is 206"),
    "no-store": (says("no-store"), "it says no-store"),
    "private": (says("private"), "it says private"),
    "no-cache": (says("no-cache"), "it says no-cache"),
    "vary": (lambda: ("text", {"Vary": "Accept-Language"}), "it varies by Accept-Language"),
    "session": (lambda: f"{session.get('who')}", "it touches the session"),
    "asks-the-session": (lambda: str("who" in session), "it touches the session"),
    "cookies": (lambda: f"{request.cookies.get('who')}", "it varies by Cookie"),
    "header": (lambda: request.headers.get("X-Who", ""), "it varies by X-Who"),
    "has-header": (lambda: str("X-Who" in request.headers), "it varies by X-Who"),
    "all-headers": (lambda: str(list(request.headers)), r"it varies by \*"),
    "language": (lambda: str(request.accept_languages.best), "it varies by Accept-Language"),
}


@pytest.mark.parametrize("case", UNKEPT)
def test_an_answer_that_may_be_one_client_s_is_not_kept(cache: Hotset, app: Flask, case: str) -> None:
    """Each request runs the view, and Cache-Status says why."""
    make, why = UNKEPT[case]
    runs: list[int] = []

    @app.get("/")
    @cache.view("page")
    def page() -> Any:
        runs.append(1)
        return make()

    client = app.test_client()
    for _ in range(2):
        assert f'detail="{why}"'.replace("\\", "") in client.get("/").headers["Cache-Status"]
    assert len(runs) == 2
    assert cache_of(app).scan() == []


def cache_of(app: Flask) -> Any:
    """The cache of an app."""
    return app.extensions["hotset"]


def test_a_header_that_is_named_is_part_of_the_key(cache: Hotset, app: Flask) -> None:
    """What `vary` names may be read: each of its values has a page, and the answer says Vary."""
    runs: list[str] = []

    @app.get("/")
    @cache.view("page", vary=["accept-language"])
    def page() -> str:
        language = request.accept_languages.best_match(["de", "en"]) or "en"
        runs.append(language)
        return language

    client = app.test_client()
    for _ in range(2):
        for language in ("de", "en"):
            response = client.get("/", headers={"Accept-Language": language})
            assert (response.text, response.headers["Vary"]) == (language, "Accept-Language")
    assert runs == ["de", "en"]


@pytest.mark.parametrize("how", ["authorization", "body", "session"])
def test_a_request_that_says_who_it_is_goes_past_the_cache(cache: Hotset, app: Flask, how: str) -> None:
    """It is neither answered with a page that is kept, nor is its own answer kept."""
    runs: list[int] = []

    @app.before_request
    def know_the_user() -> None:
        if "X-Known" in request.headers:
            session.get("user")

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        runs.append(1)
        return str(len(runs))

    client = app.test_client()
    ways: dict[str, dict[str, Any]] = {
        "authorization": {"headers": {"Authorization": "Bearer x"}},
        "body": {"data": b"{}"},
        "session": {"headers": {"X-Known": "1"}},
    }
    given = ways[how]
    assert [client.get("/", **given).text, client.get("/").text] == ["1", "2"]
    past = client.get("/", **given)
    assert past.text == "3"
    assert past.headers["Cache-Status"].startswith("hotset; fwd=bypass")
    assert client.get("/").text == "2"


@pytest.mark.parametrize("kind", ["cookie", "abort", "error"])
def test_what_one_client_gets_is_not_shared_with_those_who_waited(cache: Hotset, app: Flask, kind: str) -> None:
    """Ten ask at once; each gets its own cookie, refusal or failure, not that of whoever was first."""
    together = threading.Barrier(10)
    runs = threading.Semaphore(0)
    first = threading.Lock()
    others = threading.Event()

    @app.get("/")
    @cache.view("page")
    def page() -> Any:
        runs.release()
        if first.acquire(blocking=False):
            others.wait(10)
        who = request.headers["X-Who"]
        if kind == "abort":
            raise Missing(description=who)
        if kind == "error":
            raise RuntimeError(who)
        response = Response("text")
        response.set_cookie("who", who)
        return response

    @app.errorhandler(RuntimeError)
    def failed(error: RuntimeError) -> tuple[str, int]:
        return str(error), 500

    def ask(who: int) -> str:
        together.wait(10)
        response = app.test_client().get("/", headers={"X-Who": f"client-{who}"})
        return response.headers["Set-Cookie"] if kind == "cookie" else response.text

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, who) for who in range(10)]
        assert runs.acquire(timeout=10)
        others.set()
        for who, answer in enumerate(answers):
            assert f"client-{who}" in answer.result(10)


def test_what_runs_after_this_request_is_no_part_of_the_page(cache: Hotset, app: Flask) -> None:
    """A cookie that is set behind the view's back stays with the request that set it."""

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        @after_this_request
        def add_cookie(response: Response) -> Response:
            response.set_cookie("who", "ada")
            return response

        return "text"

    client = app.test_client()
    assert "Set-Cookie" in client.get("/").headers
    assert "Set-Cookie" not in client.get("/").headers


@pytest.mark.parametrize("wrap", [iter, stream_with_context], ids=["generator", "stream_with_context"])
def test_a_view_that_returns_a_stream_is_an_error(cache: Hotset, app: Flask, wrap: Callable[[Any], Any]) -> None:
    """Its second reader would get nothing; the message says what to return."""

    @app.get("/")
    @cache.view("page")
    def page() -> Iterator[str]:
        made: Iterator[str] = wrap(letter for letter in "ab")
        return made

    with pytest.raises(ConfigError, match=r"the view page returned a generator.*return the whole text"):
        app.test_client().get("/")


def test_a_view_that_is_a_generator_is_refused_where_it_is_decorated(cache: Hotset) -> None:
    """No request is needed to see it."""
    with pytest.raises(ConfigError, match="page is a generator"):

        @cache.view("page")
        def page() -> Iterator[str]:
            yield "text"


def test_a_cached_view_above_its_route_is_an_error(cache: Hotset, app: Flask) -> None:
    """Nothing would be cached, silently: the first request says so, for blueprints too."""

    @cache.view("page")
    @app.get("/")
    def page() -> str:
        return "text"

    for _ in range(2):
        with pytest.raises(ConfigError, match=r"the route / leads past the cache: write @app.get\(…\) above"):
            app.test_client().get("/")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cached_function_is_no_view(cache: Hotset, app: Flask, asynchronous: bool) -> None:
    """Its key would know nothing of the query, and every search would get the first one's answer."""

    def search() -> str:
        return request.args["q"]

    async def search_async() -> str:
        return request.args["q"]

    cached = cache.cached("search")
    app.get("/")(cached(search_async) if asynchronous else cached(search))
    with pytest.raises(ConfigError, match=r"the route / leads to a cached function.*write @cache.view\(…\)"):
        app.test_client().get("/?q=a")


def test_a_cached_view_that_takes_a_post_is_an_error(cache: Hotset, app: Flask) -> None:
    """A write answered from a cache would be lost."""

    @app.route("/", methods=["GET", "POST"])
    @cache.view("page")
    def page() -> str:
        return "text"

    with pytest.raises(ConfigError, match=r"the route / takes POST: @cache.view is for GET"):
        app.test_client().post("/")


@pytest.mark.parametrize(
    "how, message",
    [
        ({"template": "page:{nobody}"}, "unknown parameter"),
        ({"template": "page:{request.path}"}, "unknown parameter .*'request'"),
        ({"template": "page"}, "names no parameter of"),
        ({"template": "page:{n}", "ttl": -1}, "ttl"),
        ({"template": "page:{n}", "query": "page"}, "query: a list of names"),
        ({"template": "page:{n}", "vary": "Cookie"}, "vary: a list of names"),
        ({"template": "page:{n}", "tags": ["team:{result.team}"]}, r"hotset.loading\(\).tags"),
    ],
)
def test_what_is_wrong_with_a_view_shows_where_it_is_decorated(
    cache: Hotset, how: dict[str, Any], message: str
) -> None:
    """Not at the first request in production."""
    with pytest.raises(ConfigError, match=message):

        @cache.view(**how)
        def page(n: int) -> str:
            return str(n)


def test_view_needs_its_parentheses(cache: Hotset) -> None:
    """`@cache.view` without them says so."""
    with pytest.raises(ConfigError, match="parentheses"):

        @cache.view  # type: ignore[arg-type]
        def page() -> str:
            return "text"


@pytest.mark.parametrize("thing", ["request", "session"])
def test_a_request_or_session_in_a_key_is_refused(cache: Hotset, app: Flask, thing: str) -> None:
    """It stands for another object each time; the message says what to name instead."""
    from hotset import KeyRejected

    @cache.cached("user:{who}")
    def load(who: Any) -> int:
        return 1

    @app.get("/")
    def page() -> str:
        return str(load({"request": request, "session": session}[thing]))

    with pytest.raises(KeyRejected, match=r"a LocalProxy, which stands for a .*cannot be part of a key; name one of"):
        app.test_client().get("/")
