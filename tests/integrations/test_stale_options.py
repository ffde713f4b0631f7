"""The options of staleness where frameworks take options: settings, templates, views."""

import asyncio
from typing import Annotated, Any

import pytest

from hotset import Cache, ConfigError
from hotset.config.environment import from_settings
from hotset.testing import isolated


def test_settings_of_a_framework_may_hold_what_text_cannot_say() -> None:
    """Exceptions themselves, and a fraction."""
    settings = {"HOTSET_ON": (OSError,), "HOTSET_STALE_IF_ERROR": "1h", "HOTSET_REFRESH_AHEAD": 0.8}
    tiers, keywords = from_settings(settings, "setting")
    given: Any = keywords
    options = Cache(*tiers, **given)._space.options
    assert (options.on, options.stale_if_error, options.refresh_ahead) == ((OSError,), 3_600, 0.8)
    with pytest.raises(ConfigError, match=r"HOTSET_ON: .*in code"):
        from_settings({"HOTSET_ON": "OSError"}, "setting")


OF_NO_PAGE = ["stale_while_revalidate", "refresh_ahead", "soft_timeout", "load_timeout"]
BEHIND: dict[str, Any] = {"stale_while_revalidate": "1m", "refresh_ahead": 0.5, "stale_if_error": "1m"}


@pytest.mark.parametrize("name", OF_NO_PAGE)
def test_what_belongs_to_a_request_takes_no_option_under_which_it_would_run_behind_it(name: str) -> None:
    """Pages, views and fragments; each says what to do."""
    given: Any = {name: 0.5}
    cache = Cache()
    why = f"{name}: .* belongs to its request.*stale_if_error"
    fastapi = pytest.importorskip("hotset.integrations.fastapi")
    flask = pytest.importorskip("hotset.integrations.flask")
    jinja2, fragments = pytest.importorskip("jinja2"), pytest.importorskip("hotset.integrations.jinja")
    with pytest.raises(ConfigError, match=why):
        fastapi.cached(cache, "page", **given)(lambda: 1)
    with pytest.raises(ConfigError, match=why):
        flask.Hotset().view("page", **given)(lambda: "page")
    environment = jinja2.Environment()
    fragments.add_fragments(environment, cache)
    with pytest.raises(jinja2.TemplateSyntaxError, match=why):
        environment.from_string(f"{{% cache 'box', {name}=0.5 %}}{{% endcache %}}")


@pytest.mark.parametrize("age", [6, 11], ids=["due", "stale"])
def test_a_page_of_a_cache_with_such_options_is_made_within_its_request(age: int) -> None:
    """Fresh, it is answered; past its ttl it is made anew by who asks, with the session of that request."""
    pytest.importorskip("fastapi")
    from fastapi import Depends, FastAPI
    from fastapi.testclient import TestClient

    from hotset.integrations.fastapi import cached

    cache, app = Cache(ttl=10, **BEHIND), FastAPI()
    open_: list[bool] = []
    made: list[bool] = []

    def session() -> Any:
        open_.append(True)
        yield open_
        open_.clear()

    @app.get("/page")
    @cached(cache, "page")
    def page(db: Annotated[Any, Depends(session)]) -> int:
        made.append(bool(db))
        return len(made)

    with TestClient(app) as client, cache, isolated(cache) as clock:
        assert client.get("/page").json() == 1
        clock.advance(age)
        assert client.get("/page").json() == (1 if age < 10 else 2)
        assert client.get("/page").json() == (1 if age < 10 else 2)
        assert cache.stats().refreshes == 0
    assert all(made)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_fragment_of_such_a_cache_is_rendered_within_its_page(asynchronous: bool) -> None:
    """Once it is past its ttl; and if that fails, it is shown as it was."""
    jinja2 = pytest.importorskip("jinja2")
    from hotset.integrations.jinja import add_fragments

    cache = Cache(ttl=10, **BEHIND)
    environment = jinja2.Environment(enable_async=asynchronous, autoescape=True)
    add_fragments(environment, cache)
    page = environment.from_string("{% cache 'box' %}{{ show() }}{% endcache %}")
    shown: list[int] = []

    def show() -> str:
        shown.append(1)
        if len(shown) == 3:
            raise ConnectionError
        return f"body {len(shown)}"

    def render() -> str:
        text: str = asyncio.run(page.render_async(show=show)) if asynchronous else page.render(show=show)
        return text

    with cache, isolated(cache) as clock:
        seen = [render()]
        for _ in range(3):
            clock.advance(6)
            seen.append(render())
        clock.advance(6)
        assert [*seen, render()] == ["body 1", "body 1", "body 2", "body 2", "body 2"]
        assert len(shown) == 3
        assert cache.stats().refreshes == 0
