"""Cached routes of Starlette: the value, HTTP's words, and nothing of the request but what the key names."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from hotset import Cache, ConfigError, NotFound
from hotset.integrations.starlette import cached, lifespan

cache = Cache()


@pytest.fixture(autouse=True)
def empty() -> None:
    """Each test begins without entries."""
    cache.clear()


def client(endpoint: Callable[..., Any], path: str = "/users/{user_id:int}", **more: Any) -> TestClient:
    """A client of an application with one route."""
    return TestClient(Starlette(routes=[Mount("/v1", routes=[Route(path, endpoint)]), Route(path, endpoint)], **more))


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_route_is_loaded_once_and_answered_in_https_words(asynchronous: bool) -> None:
    """A miss, a hit, a 304, HEAD, and the end of it by its tag."""
    loads: list[int] = []

    def load(request: Request) -> dict[str, int]:
        loads.append(request.path_params["user_id"])
        return {"id": loads[-1]}

    async def load_async(request: Request) -> dict[str, int]:
        return load(request)

    users = client(
        cached(cache, "user:{path.user_id}", tags=["user:{path.user_id}"])(load_async if asynchronous else load)
    )
    first, second = users.get("/users/7"), users.get("/users/7")
    assert first.json() == second.json() == {"id": 7}
    assert second.headers["cache-status"].startswith("hotset; hit; ttl=")
    assert users.get("/users/7", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert users.head("/users/7").headers["etag"] == first.headers["etag"]
    cache.delete(tags=["user:7"])
    users.get("/users/7")
    assert loads == [7, 7]


def test_query_parameters_are_told_apart() -> None:
    """None, one, several, and empty ones have entries of their own; one that is not named is not seen."""

    @cached(cache, "search:{query.q}")
    async def search(request: Request) -> list[Any]:
        return [request.query_params.getlist("q"), request.query_params.get("other")]

    pages = client(search, "/search")
    asked = {"": [], "?q=": [""], "?q=a": ["a"], "?q=a&q=b": ["a", "b"], "?q=a%26q%3Db": ["a&q=b"], "?q=None": ["None"]}
    for query, given in asked.items():
        assert pages.get(f"/search{query}").json() == [given, None]
        assert pages.get(f"/search{query}{'&' if query else '?'}other=1").json() == [given, None]


def test_nothing_else_of_the_request_gets_into_a_value() -> None:
    """No header, no cookie, no address, no state: what the key does not name is not there."""

    @cached(cache, "page")
    async def page(request: Request) -> list[Any]:
        return [
            dict(request.headers),
            request.cookies,
            request.client,
            str(request.url.query),
            "state" in request.scope,
        ]

    answer = client(page, "/page").get("/page?a=1", headers={"authorization": "secret", "cookie": "session=1"})
    assert json.loads(answer.content) == [{}, {}, None, "", False]


class ByHeader(AuthenticationBackend):
    """Believes whoever names himself."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        """Take the name from a header."""
        return AuthCredentials(["authenticated"]), SimpleUser(conn.headers["authorization"])


def test_a_user_is_named_by_the_key() -> None:
    """What the template names of the user is there, is private, and varies by who asks."""

    @cached(cache, "me:{user.username}")
    async def me(request: Request) -> str:
        return str(request.user.username)

    users = client(me, "/me", middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())])
    for name in ("ada", "grace", "ada"):
        answer = users.get("/me", headers={"authorization": name})
        assert answer.json() == name
        assert answer.headers["vary"] == "Authorization, Cookie"
        assert answer.headers["cache-control"].startswith("private")
    with pytest.raises(ConfigError, match="AuthenticationMiddleware"):
        client(me, "/me").get("/me")
    with pytest.raises(ConfigError, match="public"):
        cached(cache, "me:{user.username}", public=True)


def test_a_page_of_text_has_the_response_class_that_is_asked_for() -> None:
    """HTML is kept as the text that it is; NotFound is 404."""

    @cached(cache, "page:{path.name}", response_class=HTMLResponse)
    async def page(request: Request) -> str:
        if request.path_params["name"] == "none":
            raise NotFound("no such page")
        return "<p>"

    pages = client(page, "/{name}")
    assert pages.get("/a").headers["content-type"].startswith("text/html")
    assert pages.get("/none").status_code == 404
    assert cache.get("page:a") == "<p>"


def test_misuse_says_what_to_write() -> None:
    """Fields that are no fields, a parameter of the path that is not named, responses, streams, POST, wrong order."""
    for template in ("user:{user_id}", "user:{request.user}", "user:{path}", "user:{path.a.b}", "user:{query[q]}"):
        with pytest.raises(ConfigError):
            cached(cache, template)

    @cached(cache, "user")
    async def unnamed(request: Request) -> int:
        return 1

    with pytest.raises(ConfigError, match=r"\{path\.user_id\}"):
        client(unnamed).get("/users/7")

    @cached(cache, "response")
    async def response(request: Request) -> Any:
        return JSONResponse(1)

    with pytest.raises(TypeError, match="return the value"):
        client(response, "/").get("/")
    with pytest.raises(ConfigError, match="return the value"):

        @cached(cache, "stream")
        async def stream(request: Request) -> Any:
            yield 1

    for route in (Route("/", unnamed, methods=["POST"]), Route("/", unnamed.__wrapped__)):  # type: ignore[attr-defined]
        with pytest.raises(ConfigError), TestClient(Starlette(routes=[route], lifespan=lifespan(cache))):
            pass
    with pytest.raises(ConfigError, match="POST"):
        TestClient(Starlette(routes=[Route("/", unnamed, methods=["POST"])])).post("/")


def test_one_endpoint_under_two_routes_cannot_tell_them_apart() -> None:
    """Path, method, scheme and mount are no part of the key: whoever is first, the other is not shown what it asked."""
    with Cache() as cache:

        @cached(cache, "page:{path.page}")
        async def page(request: Request) -> list[str]:
            return [request.method, str(request.url), request.scope.get("root_path", "")]

        app = Starlette(routes=[Route("/a/{page}", page), Mount("/m", routes=[Route("/b/{page}", page)])])
        client = TestClient(app)
        assert client.head("/m/b/1").status_code == 200
        assert client.get("/a/1").json() == ["GET", "/", ""]
