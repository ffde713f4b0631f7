"""Cached endpoints of FastAPI: what a client gets, what FastAPI sees, and what is one load."""

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi.security import HTTPBearer, OAuth2PasswordBearer
from fastapi.testclient import TestClient
from pydantic import BaseModel

from hotset import Cache, NotFound
from hotset.integrations.fastapi import CacheControl, cached, lifespan
from hotset.testing import FakeClock, isolated


class UserOut(BaseModel):
    """What an endpoint returns, and what a response shows of it."""

    id: int
    name: str = "Ada"


class Secret(UserOut):
    """More than a response may show."""

    password: str = "hidden"


class Session:
    """What a request has of its own."""

    def __init__(self) -> None:
        self.open = True


def get_session() -> Iterator[Session]:
    """A session that is closed after its request."""
    session = Session()
    yield session
    session.open = False


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache of this process, closed after the test."""
    with Cache(ttl="1m") as cache:
        yield cache


@pytest.fixture
def app() -> FastAPI:
    """An application without routes."""
    return FastAPI()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A client of the application, outside its lifespan."""
    return TestClient(app)


def add_user(app: FastAPI, cache: Cache, *, asynchronous: bool) -> list[int]:
    """Give the application a cached endpoint of either kind, and return what it loads."""
    loads: list[int] = []

    def user_page(user_id: int, db: Annotated[Session, Depends(get_session)]) -> UserOut:
        """One user."""
        assert db.open
        loads.append(user_id)
        return UserOut(id=user_id)

    async def user_page_async(user_id: int, db: Annotated[Session, Depends(get_session)]) -> UserOut:
        """One user."""
        return user_page(user_id, db)

    endpoint = user_page_async if asynchronous else user_page
    app.get("/users/{user_id}")(cached(cache, "user:{user_id}", tags=["user:{user_id}"])(endpoint))
    return loads


both = pytest.mark.parametrize("asynchronous", [True, False])


@both
def test_an_endpoint_is_loaded_once_and_answered_in_https_words(
    app: FastAPI, client: TestClient, cache: Cache, asynchronous: bool
) -> None:
    """The first answer asks the source, the second is a hit, a client that holds it gets 304; a tag ends it."""
    loads = add_user(app, cache, asynchronous=asynchronous)
    first, second = client.get("/users/7"), client.get("/users/7")
    assert first.json() == second.json() == {"id": 7, "name": "Ada"}
    assert first.headers["cache-status"].startswith("hotset; fwd=miss; ttl=")
    assert second.headers["cache-status"].startswith("hotset; hit; ttl=")
    assert second.headers["cache-control"].startswith("private, max-age=")
    held = client.get("/users/7", headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
    assert (held.status_code, held.content, held.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "content-type" not in held.headers
    assert "content-length" not in held.headers
    cache.delete(tags=["user:7"])
    assert client.get("/users/7").status_code == 200
    assert loads == [7, 7]


@both
def test_an_answer_is_what_it_is_without_the_decorator(
    app: FastAPI, client: TestClient, cache: Cache, asynchronous: bool
) -> None:
    """Status, body, type, OpenAPI and the model's filter are those of the plain endpoint."""

    def plain(user_id: int, q: Annotated[list[str] | None, Query(alias="tag")] = None) -> Any:
        """One user."""
        return Secret(id=user_id)

    async def plain_async(user_id: int, q: Annotated[list[str] | None, Query(alias="tag")] = None) -> Any:
        """One user."""
        return Secret(id=user_id)

    endpoint = plain_async if asynchronous else plain
    endpoint.__name__ = "plain"
    route: dict[str, Any] = {"response_model": UserOut, "status_code": 200, "tags": ["users"]}
    app.get("/{user_id}", **route)(endpoint)
    other = FastAPI()
    other.get("/{user_id}", **route)(cached(cache, "u:{user_id}", apart=["q"])(endpoint))
    theirs, ours = client.get("/7"), TestClient(other).get("/7")
    assert ours.json() == {"id": 7, "name": "Ada"}
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert dict(theirs.headers).items() <= dict(ours.headers).items()
    assert other.openapi() == app.openapi()


def test_a_plain_call_returns_the_value(cache: Cache) -> None:
    """Called by a test or by another endpoint it is the function, cached; its kind and its names are its own."""

    @cached(cache, "double:{number}")
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == double(number=4) == 8
    assert cache.get("double:4") == 8
    assert not inspect.iscoroutinefunction(double)
    assert double.__name__ == "double"


def test_a_life_that_runs_out_is_told_as_it_does(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """max-age is what is left, so that a client forgets an answer when the cache does; a date comes once it is one."""
    add_user(app, cache, asynchronous=False)
    clock = FakeClock()
    with isolated(cache, clock=clock):
        first = client.get("/users/7")
        clock.advance(20)
        second = client.get("/users/7")
    assert first.headers["cache-control"] == "private, max-age=60"
    assert second.headers["cache-control"] == "private, max-age=40"
    assert "last-modified" not in first.headers
    since = {"if-modified-since": second.headers["last-modified"]}
    assert client.get("/users/7", headers=since).status_code == 200  # isolation is over: another load, of this second


def test_none_and_false_are_values(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """An endpoint that returns None is loaded once: absence is not told by None."""
    loads = []

    @app.get("/none")
    @cached(cache, "none")
    def none() -> None:
        loads.append(1)

    assert [client.get("/none").json() for _ in range(3)] == [None] * 3
    assert loads == [1]


@both
def test_a_thing_that_is_not_there_is_remembered(
    app: FastAPI, client: TestClient, cache: Cache, asynchronous: bool
) -> None:
    """NotFound is 404, remembered for as long as asked; an HTTPException is FastAPI's own, and is not kept."""
    loads = []

    def load(user_id: int) -> UserOut:
        loads.append(user_id)
        if user_id == 8:
            raise HTTPException(410, "gone")
        raise NotFound("no such user")

    async def load_async(user_id: int) -> UserOut:
        return load(user_id)

    app.get("/{user_id}")(cached(cache, "u:{user_id}", negative_ttl="10s")(load_async if asynchronous else load))
    for _ in range(2):
        missing = client.get("/7")
        assert (missing.status_code, missing.json()) == (404, {"detail": "no such user"})
        assert client.get("/8").status_code == 410
    assert loads == [7, 8, 8]


def test_head_is_answered_as_get(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """Where a route takes HEAD it gets GET's fields, and 304."""

    @app.api_route("/page", methods=["GET", "HEAD"])
    @cached(cache, "page")
    def page() -> dict[str, int]:
        return {"a": 1}

    got, head = client.get("/page"), client.head("/page")
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == got.headers["content-length"]
    assert client.head("/page", headers={"if-none-match": got.headers["etag"]}).status_code == 304


def test_a_client_does_not_make_the_source_be_asked(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """no-cache asks for what its origin vouches for (RFC 9111 5.2.1.4): that is this cache, which is told what ends."""
    loads = add_user(app, cache, asynchronous=True)
    for said in ("no-cache", "no-store", "max-age=0"):
        assert client.get("/users/7", headers={"cache-control": said}).status_code == 200
    assert loads == [7]


def test_what_dependencies_set_on_the_response_is_sent(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """Headers and cookies of dependencies go with each answer, 304 too; one with a cookie is for its client alone."""

    def mark(response: Response) -> None:
        response.headers["X-Mark"] = "1"
        response.headers["Vary"] = "X-Thing"
        response.set_cookie("seen", "1")

    @app.get("/page", dependencies=[Depends(mark)])
    @cached(cache, "page", public=True)
    def page(language: Annotated[str, Depends(lambda: "en")]) -> dict[str, int]:
        return {"a": 1}

    for answer in (client.get("/page"), client.get("/page")):
        assert answer.headers["x-mark"] == "1"
        assert answer.headers["vary"] == "X-Thing"
        assert answer.headers["cache-control"].startswith("private, ")
    held = client.get("/page", headers={"if-none-match": "*"})
    assert (held.status_code, held.headers["x-mark"]) == (304, "1")


def test_what_is_no_200_is_not_kept_by_clients(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """A status that a dependency sets goes out, and nobody is told to keep that answer."""

    def accepted(response: Response) -> None:
        response.status_code = 202

    @app.get("/page", dependencies=[Depends(accepted)])
    @cached(cache, "page")
    def page() -> int:
        return 1

    answer = client.get("/page")
    assert (answer.status_code, answer.headers["cache-control"]) == (202, "no-store")


def test_answers_say_what_they_vary_by(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """Headers in the key, and who asks: after a log-out a browser does not show what it has kept."""
    bearer = OAuth2PasswordBearer(tokenUrl="token")

    def current_user(token: Annotated[str, Depends(bearer)]) -> UserOut:
        return UserOut(id=len(token))

    @app.get("/me")
    @cached(cache, "me:{user.id}:{accept_language}")
    def me(user: Annotated[UserOut, Depends(current_user)], accept_language: Annotated[str, Header()] = "") -> UserOut:
        return user

    @app.get("/cart")
    @cached(cache, "cart:{session}")
    def cart(session: Annotated[str, Cookie()]) -> str:
        return session

    one = client.get("/me", headers={"Authorization": "Bearer a"})
    two = client.get("/me", headers={"Authorization": "Bearer bb"})
    assert (one.json()["id"], two.json()["id"]) == (1, 2)
    assert one.headers["vary"] == "Authorization, accept-language"
    assert client.get("/me").status_code == 401
    client.cookies.set("session", "s1")
    assert client.get("/cart").headers["vary"] == "Cookie"


def test_a_gate_runs_each_time(cache: Cache) -> None:
    """What a router depends on turns requests away before the cache is asked, also through an included router."""
    router = APIRouter(dependencies=[Depends(HTTPBearer())])
    loads = []

    @router.get("/page")
    @cached(cache, "page")
    async def page() -> str:
        loads.append(1)
        return "secret"

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    client = TestClient(app)
    assert client.get("/v1/page", headers={"Authorization": "Bearer x"}).json() == "secret"
    assert client.get("/v1/page").status_code == 401
    assert loads == [1]


def test_control_says_all_of_cache_control(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """Stale windows for caches on the way, and no-store: kept here, by nobody else."""

    @app.get("/feed")
    @cached(cache, "feed", control=CacheControl(public=True, stale_while_revalidate="30s"))
    async def feed() -> list[int]:
        return [1]

    @app.get("/secret")
    @cached(cache, "secret", control=CacheControl(no_store=True))
    async def secret() -> list[int]:
        return [1]

    assert client.get("/feed").headers["cache-control"].endswith(", stale-while-revalidate=30")
    assert client.get("/secret").headers["cache-control"] == "no-store"


def test_plain_cached_stands_over_endpoints_and_dependencies(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """FastAPI sees through `@cache.cached` of either kind: parameters, types that are text, models."""
    loads: list[str] = []

    @cache.cached("settings:{page}")
    def settings(page: int = 1) -> UserOut:
        loads.append(f"settings {page}")
        return UserOut(id=page)

    @cache.cached("rates:{page}")
    async def rates(page: int = 1) -> UserOut:
        loads.append(f"rates {page}")
        return UserOut(id=page)

    @app.get("/both")
    def page_of_both(a: Annotated[UserOut, Depends(settings)], b: UserOut = Depends(rates)) -> list[UserOut]:  # noqa: B008, FAST002  both ways of saying it
        return [a, b]

    @app.get("/plain/{page}")
    @cache.cached("plain:{page}")
    async def plain(page: int) -> UserOut:
        loads.append("plain")
        return UserOut(id=page)

    @app.get("/plain-sync/{page}")
    @cache.cached("plain-sync:{page}")
    def plain_sync(page: int) -> UserOut:
        loads.append("plain-sync")
        return UserOut(id=page)

    for _ in range(2):
        assert client.get("/both?page=3").json() == [{"id": 3, "name": "Ada"}] * 2
        assert client.get("/plain/4").json() == client.get("/plain-sync/4").json() == {"id": 4, "name": "Ada"}
    assert sorted(loads) == ["plain", "plain-sync", "rates 3", "settings 3"]
    parameters = app.openapi()["paths"]["/both"]["get"]["parameters"]
    assert [each["name"] for each in parameters] == ["page"]


def test_an_override_takes_the_place_of_a_cached_dependency(app: FastAPI, client: TestClient, cache: Cache) -> None:
    """`dependency_overrides` finds a cached function by itself, as any."""

    @cache.cached
    def settings() -> UserOut:
        return UserOut(id=1)

    @app.get("/")
    def page(a: Annotated[UserOut, Depends(settings)]) -> UserOut:
        return a

    app.dependency_overrides[settings] = lambda: UserOut(id=2)
    assert client.get("/").json()["id"] == 2


def test_a_life_is_ended_and_begun_again(cache: Cache) -> None:
    """`lifespan(cache, own)` runs the application's own within it, hands its state on, and closes the cache after."""
    seen: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        seen.append("opened")
        yield {"thing": 1}
        seen.append(f"closed with {len(cache)} entries")

    app = FastAPI(lifespan=lifespan(cache, own))
    loads = add_user(app, cache, asynchronous=True)
    for _ in range(3):
        with TestClient(app) as client:
            client.get("/users/7")
            client.get("/users/7")
            assert client.app_state["thing"] == 1
        assert len(cache) == 0
    assert loads == [7, 7, 7]
    assert seen == ["opened", "closed with 1 entries"] * 3
