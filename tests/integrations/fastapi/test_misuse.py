"""What could give one client another's answer, or cannot be kept: each an error that says what to write instead."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, Header, Request, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from hotset import Cache, ConfigError
from hotset.integrations.fastapi import CacheControl, cached, lifespan

cache = Cache()
bearer = HTTPBearer()


class Session:
    """A connection, or anything else that no key can be made of."""


class User:
    """Who asks."""

    id = 7


def get_session() -> Session:
    """Nothing of the request."""
    return Session()


def by_token(token: Annotated[Any, Depends(bearer)]) -> User:
    """Who asks, by a header."""
    return User()


def by_cookie(session: Annotated[str, Cookie()]) -> User:
    """Who asks, by a cookie."""
    return User()


def by_request(request: Request) -> User:
    """Who asks, by whatever it finds."""
    return User()


def tenant_session(x_tenant: Annotated[str, Header()]) -> Session:
    """A session that depends on the request."""
    return Session()


def refuses(match: str, make: Callable[[], Any]) -> None:
    """Show that something is refused where it is written, with these words."""
    with pytest.raises(ConfigError, match=match):
        make()


def page(page: int, limit: int = 10) -> int:
    """A page by two parameters."""
    return page


def with_token(page: int, user: Annotated[User, Depends(by_token)]) -> int:
    """By a header of who asks."""
    return page


def with_cookie(page: int, user: Annotated[User, Depends(by_cookie)]) -> int:
    """By a cookie."""
    return page


def with_request(page: int, user: Annotated[User, Depends(by_request)]) -> int:
    """By all of the request."""
    return page


def with_tenant(page: int, db: Annotated[Session, Depends(tenant_session)]) -> int:
    """By a header, two steps away."""
    return page


def with_header(page: int, authorization: Annotated[str, Header()] = "") -> int:
    """By a header itself."""
    return page


@pytest.mark.parametrize(
    "endpoint, words",
    [
        (page, r"limit comes from the request \(query\).*\{limit\}"),
        (with_token, r"user depends on the request \(who asks\).*\{user\.id\}"),
        (with_cookie, r"user depends on the request \(cookie session\)"),
        (with_request, r"user depends on the request \(all of it: it takes the Request\)"),
        (with_tenant, r"db depends on the request \(header x-tenant\)"),
        (with_header, r"authorization comes from the request \(header\)"),
    ],
)
def test_what_comes_from_the_request_is_named_in_the_key(endpoint: Callable[..., Any], words: str) -> None:
    """Otherwise the first one's answer would go to all. It may be said to have no part; a session needs no word."""
    refuses(words, lambda: cached(cache, "page:{page}")(endpoint))
    (name,) = re.findall(r"^\w+", words)
    assert cached(cache, "page:{page}", apart=[name])(endpoint) is not endpoint


def test_apart_names_parameters_that_the_key_does_not() -> None:
    """A word that means nothing is an error too."""
    refuses("apart.*nothing", lambda: cached(cache, "page:{page}", apart=["nothing"])(page))
    refuses("apart.*page", lambda: cached(cache, "page:{page}", apart=["page", "limit"])(page))


def with_session(page: int, db: Annotated[Session, Depends(get_session)]) -> int:
    """A session beside the key."""
    return page


def test_a_session_is_no_part_of_a_key() -> None:
    """It is refused where it is named, and passed on where it is not."""
    refuses(r"\{db\} is a Session.*leave it out", lambda: cached(cache, "page:{page}:{db}")(with_session))
    cached(cache, "page:{page}")(with_session)


def takes_request(page: int, request: Request) -> int:
    """Takes the request."""
    return page


def takes_connection(page: int, request: HTTPConnection) -> int:
    """Takes the connection."""
    return page


def takes_socket(page: int, socket: WebSocket) -> int:
    """Takes a socket."""
    return page


def takes_tasks(page: int, tasks: BackgroundTasks) -> int:
    """Takes tasks."""
    return page


def takes_response(page: int, response: Response) -> int:
    """Takes the response."""
    return page


@pytest.mark.parametrize("endpoint", [takes_request, takes_connection, takes_socket, takes_tasks, takes_response])
@pytest.mark.parametrize("named", [True, False])
def test_what_belongs_to_one_request_has_no_part_in_a_value(endpoint: Callable[..., Any], named: bool) -> None:
    """Named in the key or not: the request, a socket, tasks and the response are for one answer."""
    name = list(endpoint.__annotations__)[1]
    template = f"page:{{page}}:{{{name}}}" if named else "page:{page}"
    refuses(f"{name} is a ", lambda: cached(cache, template)(endpoint))


def json_response(page: int) -> JSONResponse:
    """A response."""
    return JSONResponse(page)


def streaming(page: int) -> StreamingResponse:
    """A stream."""
    return StreamingResponse(iter(["a"]))


def generator(page: int) -> Iterator[int]:
    """A generator."""
    yield page


async def async_generator(page: int) -> AsyncIterator[int]:
    """An async generator."""
    yield page


def iterator(page: int) -> Iterator[int]:
    """An iterator, by annotation."""
    return iter([page])


@pytest.mark.parametrize("endpoint", [json_response, streaming, generator, async_generator, iterator])
def test_a_response_or_a_stream_is_refused_where_it_is_declared(endpoint: Callable[..., Any]) -> None:
    """It can be sent only once; the value is what is kept."""
    refuses("return the value", lambda: cached(cache, "page:{page}")(endpoint))


@pytest.mark.parametrize("made", [lambda: JSONResponse(1), lambda: StreamingResponse(iter("a")), lambda: iter([1])])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_response_or_a_stream_is_refused_when_it_comes(made: Callable[[], Any], asynchronous: bool) -> None:
    """Without an annotation it is found when it returns, and nothing is kept of it."""
    app = FastAPI()

    def hidden(page: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return made()

    async def hidden_async(page: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return made()

    app.get("/{page}")(cached(cache, "hidden:{page}")(hidden_async if asynchronous else hidden))
    with pytest.raises(TypeError, match="return the value"):
        TestClient(app).get("/1")
    assert not cache.lookup("hidden:1")


def test_a_closure_or_a_lambda_as_a_dependency_needs_a_template() -> None:
    """Two that share a name would share entries: `@cache.cached` refuses them without one."""

    def depend_on(table: str) -> Callable[..., str]:
        def name(row: int) -> str:
            return f"{table} {row}"

        return cache.cached(name)

    refuses("template.*table", lambda: depend_on("users"))
    refuses("template.*lambda", lambda: cache.cached(lambda row: row))


def test_a_route_that_writes_is_refused() -> None:
    """At the start of the application, and without a start at the first request."""
    app = FastAPI(lifespan=lifespan(cache))
    app.post("/{page}")(cached(cache, "page:{page}", apart=["limit"])(page))
    with pytest.raises(ConfigError, match="answers POST"):
        TestClient(app).post("/1")
    assert not cache.lookup("page:1")
    with pytest.raises(ConfigError, match="answers POST"), TestClient(app):
        pass


def test_the_wrong_order_is_refused_at_the_start() -> None:
    """`@cached` above `@app.get` leaves the bare function as the route: the start of the application says so."""
    for included in (False, True):
        app = FastAPI(lifespan=lifespan(cache))
        router = APIRouter()

        @cached(cache, "wrong:{page}")
        @(router if included else app).get("/{page}")
        def wrong(page: int) -> int:
            return page

        app.include_router(router, prefix="/v1")
        with (
            pytest.raises(ConfigError, match=r"wrong was made a route before.*@app\.get.* above @cached"),
            TestClient(app),
        ):
            pass


@pytest.mark.parametrize("gate", [HTTPBearer(), APIKeyCookie(name="session"), by_token, by_cookie])
@pytest.mark.parametrize("included", [True, False])
def test_a_public_answer_is_nobodys_own(gate: Callable[..., Any], included: bool) -> None:
    """Behind a gate, of the route or of a router around it, an answer is not public: a proxy does not ask the gate."""
    app = FastAPI(lifespan=lifespan(cache))
    router = APIRouter(dependencies=[Depends(gate)])

    @router.get("/{page}") if included else app.get("/{page}", dependencies=[Depends(gate)])
    @cached(cache, "gated:{page}", public=True)
    def gated(page: int) -> int:
        return page

    app.include_router(router)
    with pytest.raises(ConfigError, match=r"public: .* asks for (Authorization|Cookie)"), TestClient(app):
        pass


def test_a_gate_that_takes_the_whole_request_is_not_public() -> None:
    """It may read who asks from the request itself; what gives the endpoint a session by `request.app` is no gate."""

    def checks(request: Request) -> None: ...

    def looks(request: HTTPConnection) -> None: ...

    def deeper(inner: Annotated[None, Depends(checks)]) -> None: ...

    gates: tuple[Callable[..., None], ...] = (checks, looks, deeper)
    for at, gate in enumerate(gates):
        app = FastAPI(lifespan=lifespan(cache))

        @app.get("/{page}", dependencies=[Depends(gate)])
        @cached(cache, f"whole-{at}:{{page}}", public=True)
        def gated(page: int) -> int:
            return page

        with pytest.raises(ConfigError, match=r"public: .* asks for the whole Request in a gate"), TestClient(app):
            pass


def test_a_gate_that_takes_the_connection_is_varied_by() -> None:
    """`HTTPConnection` shows a dependency as much of who asks as `Request` does."""
    app = FastAPI()

    def looks(request: HTTPConnection) -> None: ...

    @app.get("/{page}", dependencies=[Depends(looks)])
    @cached(cache, "looked-at:{page}")
    def page(page: int) -> int:
        return page

    assert TestClient(app).get("/1").headers["vary"] == "Authorization, Cookie"


def test_a_gate_around_an_included_router_is_seen_without_a_start() -> None:
    """What `include_router` adds is on no route of its own: the first request finds it, and loads nothing."""
    app, router = FastAPI(), APIRouter()

    @router.get("/{page}")
    @cached(cache, "around:{page}", public=True)
    def around(page: int) -> int:
        return page

    app.include_router(router, dependencies=[Depends(APIKeyCookie(name="session"))])
    with pytest.raises(ConfigError, match=r"public: .* asks for Cookie"):
        TestClient(app, cookies={"session": "s"}).get("/1")
    assert not cache.lookup("around:1")


def test_settings_that_contradict_are_refused() -> None:
    """`public` beside `control`, a control that is none, an option that is none, a lifespan that is a generator."""
    refuses("public", lambda: cached(cache, "k", public=True, control=CacheControl()))
    refuses("control", lambda: cached(cache, "k", control="public"))  # type: ignore[arg-type]
    refuses("tll", lambda: cached(cache, "page:{page}", tll="1m", apart=["limit"])(page))  # type: ignore[call-arg]
    refuses("parameter", lambda: cached(cache, "page:{pgae}")(page))

    async def generator(app: FastAPI) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="asynccontextmanager"):
        lifespan(cache, generator)  # type: ignore[arg-type]
