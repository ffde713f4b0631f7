"""Cached views: what is kept, under which key, and what ends it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, g, jsonify, render_template_string, request
from flask.views import MethodView

import hotset
from hotset.integrations.flask import Hotset
from hotset.testing import isolated
from tests.integrations.flask.conftest import MakeApp


def status(response: Any) -> str:
    """What was done with a response."""
    return str(response.headers["Cache-Status"])


def kept(response: Any) -> bool:
    """Whether it came from the cache."""
    return status(response).startswith("hotset; hit")


@pytest.mark.parametrize(
    "returned, body, code",
    [
        ("text", b"text", 200),
        ({"a": 1}, b'{"a":1}\n', 200),
        ([1, 2], b"[1,2]\n", 200),
        (("text", 203, {"X-One": "1"}), b"text", 203),
        (b"\xff\x00", b"\xff\x00", 200),
    ],
)
def test_what_a_view_may_return_is_kept(cache: Hotset, app: Flask, returned: Any, body: bytes, code: int) -> None:
    """Text, bytes, dicts, lists and tuples come back as they were, with status, headers and type."""

    @app.get("/")
    @cache.view("page")
    def page() -> Any:
        return returned

    client = app.test_client()
    first, second = client.get("/"), client.get("/")
    assert not kept(first)
    assert kept(second)
    for response in (first, second):
        assert (response.data, response.status_code) == (body, code)
    same = ("Content-Type", "Content-Length", "X-One", "ETag")
    assert [first.headers.get(name) for name in same] == [second.headers.get(name) for name in same]


def test_a_buffered_response_is_kept(cache: Hotset, app: Flask) -> None:
    """With all of its headers, those that are given twice too."""

    @app.get("/")
    @cache.view("page")
    def page() -> Response:
        response = jsonify(a=1)
        response.headers.add("Link", "</a>")
        response.headers.add("Link", "</b>")
        return response

    client = app.test_client()
    client.get("/")
    second = client.get("/")
    assert kept(second)
    assert (second.json, second.headers.getlist("Link")) == ({"a": 1}, ["</a>", "</b>"])


def counter(cache: Hotset, app: Flask, rule: str = "/<int:n>", **how: Any) -> list[str]:
    """Route a view that counts its runs."""
    runs: list[str] = []

    @app.get(rule)
    @cache.view(how.pop("template", "page:{n}"), **how)
    def page(n: int) -> str:
        runs.append(request.query_string.decode())
        return f"{len(runs)} {sorted(request.args.items())}"

    app.extensions["page"] = page
    return runs


def test_every_query_parameter_is_part_of_the_key(cache: Hotset, app: Flask) -> None:
    """Unless told otherwise: no two queries share a page, but for the order of their parameters."""
    runs = counter(cache, app)
    client = app.test_client()
    texts = {client.get(url).text for url in ("/1", "/1?a=1", "/1?a=2", "/1?a=1&b=2", "/1?a=1&a=2", "/1?a=2&a=1", "/2")}
    assert len(texts) == len(runs) == 7
    assert client.get("/1?b=2&a=1").text == client.get("/1?a=1&b=2").text
    assert len(runs) == 7


def test_what_is_like_a_separator_makes_no_two_queries_one(cache: Hotset, app: Flask) -> None:
    """Escaping keeps a value with an ampersand from being two parameters."""
    counter(cache, app)
    client = app.test_client()
    assert client.get("/1?a=1%26b%3D2").text != client.get("/1?a=1&b=2").text


def test_named_parameters_are_all_that_the_view_sees(cache: Hotset, app: Flask) -> None:
    """What is no part of the key cannot change the page: a tracking parameter neither splits it nor gets into it."""
    runs = counter(cache, app, query=["page"])
    client = app.test_client()
    first = client.get("/1?page=2&utm=x").text
    assert client.get("/1?utm=y&page=2").text == first == "1 [('page', '2')]"
    assert client.get("/1?page=3").text != first
    assert len(runs) == 2


def test_host_scheme_and_path_are_part_of_the_key(cache: Hotset, app: Flask) -> None:
    """A page with links to the host that was asked is answered to nobody who asked another (cache poisoning)."""

    @app.get("/", defaults={"lang": "en"})
    @app.get("/<lang>/")
    @cache.view("home")
    def home() -> str:
        return f"{g.lang} {request.url_root}"

    @app.url_value_preprocessor
    def take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", None)

    client = app.test_client()
    seen = {client.get("/", base_url=base).text for base in ("http://a.test", "https://a.test", "http://evil.test")} | {
        client.get("/de/").text,
        client.get("/en/").text,
    }
    assert len(seen) == 5


def test_a_view_s_name_ends_its_pages_whatever_their_query(cache: Hotset, app: Flask) -> None:
    """`page.delete(7)` needs to know neither host nor query, and leaves the pages of other arguments."""
    counter(cache, app)
    page = app.extensions["page"]
    client = app.test_client()
    before = [client.get(url).text for url in ("/7", "/7?a=1", "/8")]
    with app.app_context():
        page.delete(7)
        assert page.tag(7) == "page:7"
    after = [client.get(url).text for url in ("/7", "/7?a=1", "/8")]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]


def test_tags_over_the_arguments_and_from_inside_end_pages(cache: Hotset, app: Flask) -> None:
    """Tags name the view's arguments; what a view finds out it adds through `loading()`."""
    runs: list[int] = []

    @app.get("/<int:user_id>")
    @cache.view("page:{user_id}", tags=["users", "user:{user_id}"])
    def page(user_id: int) -> str:
        runs.append(user_id)
        hotset.loading().tags = [f"team:{user_id % 2}"]
        return str(len(runs))

    client = app.test_client()
    for tag, ended in (("user:1", [1]), ("team:0", [2]), ("users", [1, 2, 3]), ("other", [])):
        [client.get(f"/{user}") for user in (1, 2, 3)]
        with app.app_context():
            cache.current.delete(tags=[tag])
        runs.clear()
        [client.get(f"/{user}") for user in (1, 2, 3)]
        assert runs == ended


def test_a_page_lives_for_its_ttl(cache: Hotset, app: Flask) -> None:
    """The ttl of the view, on a clock of the test's own."""
    runs = counter(cache, app, ttl="1m")
    client = app.test_client()
    with isolated(app.extensions["hotset"]) as clock:
        client.get("/1")
        clock.advance("59s")
        client.get("/1")
        assert len(runs) == 1
        clock.advance("2s")
        client.get("/1")
        assert len(runs) == 2


def test_one_run_for_all_who_ask(cache: Hotset, app: Flask) -> None:
    """Twenty requests at once for a page that is not there run the view once."""
    runs: list[int] = []
    all_here = threading.Barrier(20)

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        runs.append(1)
        until_joined.wait(10)
        return "made once"

    until_joined = threading.Event()
    asked = threading.Semaphore(0)

    def ask() -> str:
        all_here.wait(10)
        asked.release()
        return app.test_client().get("/").text

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask) for _ in range(20)]
        for _ in range(20):
            asked.acquire(timeout=10)
        until_joined.set()
        assert {answer.result(10) for answer in answers} == {"made once"}
    assert len(runs) == 1


def test_head_is_answered_from_the_page_and_makes_none(cache: Hotset, app: Flask) -> None:
    """A view may leave the body out for HEAD: what it returns then is not what a GET gets."""

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        return "" if request.method == "HEAD" else "body"

    client = app.test_client()
    assert "Content-Length: 0" in str(client.head("/").headers)
    assert client.get("/").text == "body"
    head = client.head("/")
    assert kept(head)
    assert (head.data, head.headers["Content-Length"]) == (b"", "4")


def test_an_etag_makes_a_304(cache: Hotset, app: Flask) -> None:
    """A client that has the page is told so, with no body and without a run of the view."""
    runs = counter(cache, app)
    client = app.test_client()
    etag = client.get("/1").headers["ETag"]
    again = client.get("/1", headers={"If-None-Match": etag})
    assert (again.status_code, again.data, len(runs)) == (304, b"", 1)
    assert client.get("/1", headers={"If-None-Match": '"other"'}).status_code == 200


def test_clients_keep_a_page_and_ask_each_time(cache: Hotset, app: Flask) -> None:
    """Nobody can tell a browser of a `delete`; with a `control`, or a view that says so, it need not ask."""
    from hotset.http.control import CacheControl

    @app.get("/asked")
    @cache.view("asked")
    def asked() -> str:
        return "text"

    @app.get("/told")
    @cache.view("told", ttl="1h", control=CacheControl(public=True))
    def told() -> str:
        return "text"

    @app.get("/own")
    @cache.view("own", ttl="1h")
    def own() -> Any:
        return "text", {"Cache-Control": "max-age=3600", "ETag": 'W/"own"'}

    client = app.test_client()
    with isolated(app.extensions["hotset"]) as clock:
        for path in ("/asked", "/told", "/own"):
            client.get(path)
        clock.advance("10m")
        assert client.get("/asked").headers["Cache-Control"] == "no-cache"
        assert client.get("/told").headers["Cache-Control"] == "public, max-age=3000"
        page = client.get("/own")
        assert (page.headers["Cache-Control"], page.age.seconds if page.age else None) == ("max-age=3600", 600)
        assert status(page) == "hotset; hit; ttl=3000"
        assert client.get("/own", headers={"If-None-Match": '"own"'}).status_code == 304


def test_a_stale_page_stands_in_for_a_view_that_fails(cache: Hotset, app: Flask) -> None:
    """Within `stale_if_error`: for what it raises, and for a 5xx that it returns."""
    failing: list[Any] = []

    @app.get("/")
    @cache.view("page", ttl="1m", stale_if_error="1h")
    def page() -> Any:
        if not failing:
            return "fine"
        if isinstance(failing[0], int):
            return "broken", failing[0]
        raise failing[0]

    client = app.test_client()
    with isolated(app.extensions["hotset"]) as clock:
        assert client.get("/").text == "fine"
        clock.advance("2m")
        for failing[:] in ([500], [503], [OSError("no database")]):
            response = client.get("/")
            assert (response.status_code, response.text) == (200, "fine")
            assert status(response).startswith("hotset; fwd=stale; ttl=-6")
        failing[:] = [410]
        clock.advance("10m")  # what has just failed is left alone for a while
        assert client.get("/").status_code == 410


def test_a_view_of_a_blueprint_is_cached(cache: Hotset, make_app: MakeApp) -> None:
    """Decorated at import, before there is an app; each app that registers it has pages of its own."""
    blue = Blueprint("blue", __name__)
    runs: list[int] = []

    @blue.get("/")
    @cache.view("blue-page")
    def page() -> str:
        runs.append(1)
        return str(len(runs))

    one, two = make_app("one"), make_app("two")
    for app in (one, two):
        app.register_blueprint(blue, url_prefix="/blue")
    assert [app.test_client().get("/blue/").text for app in (one, two, one, two)] == ["1", "2", "1", "2"]


class Shelf(MethodView):
    """A view that is a class, as a module has it."""

    cache = Hotset()
    runs = 0

    @cache.view("shelf:{n}")
    def get(self, n: int) -> str:
        """Show it."""
        Shelf.runs += 1
        return f"{n} {Shelf.runs}"

    def post(self, n: int) -> str:
        """Change it."""
        Shelf.get.delete(n)
        return "done"


def test_the_get_of_a_method_view_is_cached() -> None:
    """Its other methods are not, and may end the pages; each request has an instance of its own."""
    app = Flask("shelves")
    Shelf.cache.init_app(app)
    app.add_url_rule("/<int:n>", view_func=Shelf.as_view("shelf"))
    client = app.test_client()
    assert [client.get(url).text for url in ("/7", "/7", "/8")] == ["7 1", "7 1", "8 2"]
    assert client.post("/7").text == "done"
    assert [client.get(url).text for url in ("/7", "/8")] == ["7 3", "8 2"]


def test_pages_end_with_the_fragments_in_them(cache: Hotset, app: Flask) -> None:
    """A page that shows a fragment carries its tags: what has ended in the one is not served by the other."""
    runs: list[int] = []
    names = {"ada": "Ada"}

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        runs.append(1)
        return render_template_string(
            "{% cache 'user', 7, tags=['user:7'] %}{{ names.ada }}{% endcache %}", names=names
        )

    client = app.test_client()
    assert (client.get("/").text, client.get("/").text, len(runs)) == ("Ada", "Ada", 1)
    names["ada"] = "Grace"
    with app.app_context():
        cache.current.delete(tags=["user:7"])
    assert (client.get("/").text, len(runs)) == ("Grace", 2)


def test_an_abort_in_a_view_is_flask_s_to_handle(cache: Hotset, app: Flask) -> None:
    """What a view raises reaches the app's error handlers, each time anew."""
    runs: list[int] = []

    @app.get("/")
    @cache.view("page")
    def page() -> str:
        runs.append(1)
        abort(404)

    @app.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return f"nothing here, {len(runs)}", 404

    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["nothing here, 1", "nothing here, 2"]
