"""FastAPI: endpoints whose values are cached and answered with HTTP's words.

    app = FastAPI(lifespan=lifespan(cache))

    @app.get("/users/{user_id}")
    @cached(cache, "user-page:{user_id}", ttl="1m", tags=["user:{user_id}"])
    async def user_page(user_id: int, db: Session = Depends(get_session)) -> UserOut: ...

    endpoint.py     @cached: the value is read through the cache, by a function that FastAPI sees as the endpoint itself
    rule.py         what comes from the request is named in the key
    route.py        the response, as FastAPI itself makes it of a value

Dependencies are cached by `@cache.cached`, as any function.
"""

try:
    import fastapi as _  # noqa: F401
except ImportError as missing:
    raise ImportError("hotset.integrations.fastapi needs FastAPI: pip install 'hotset[fastapi]'") from missing

from hotset.http.control import CacheControl
from hotset.integrations.fastapi.endpoint import cached
from hotset.integrations.starlette import RequestScope, lifespan

__all__ = ["CacheControl", "RequestScope", "cached", "lifespan"]
