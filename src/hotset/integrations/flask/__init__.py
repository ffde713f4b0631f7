"""Flask: one cache an app, functions and views cached in whichever app runs them, and fragments of templates.

cache = Hotset()                                     # at module level

@cache.cached("user:{user_id}", ttl="10m")           # a function, for all apps that use it
def load_user(user_id: int) -> User: ...

@app.get("/users/<int:user_id>")                     # a view: the route stands above
@cache.view("user-page:{user_id}", tags=["users"])
def user_page(user_id: int) -> str: ...

cache.init_app(app)                                  # in the factory; settings are app.config's HOTSET_…
"""

from hotset.integrations.flask.extension import Hotset, NoAppContext

__all__ = ["Hotset", "NoAppContext"]
