"""The extension: settings, apps, contexts."""

from __future__ import annotations

import pytest
from flask import Flask

from hotset import Cache, ConfigError, Memory
from hotset.integrations.flask import Hotset, NoAppContext
from tests.integrations.flask.conftest import MakeApp


def test_settings_have_the_names_and_words_of_the_environment(make_app: MakeApp) -> None:
    """Text means what it means in the environment; what the text stands for may be given too."""
    app = make_app(
        HOTSET_TIERS="memory://?max_entries=9", HOTSET_NAMESPACE="shop", HOTSET_TTL="10m", HOTSET_TAGS="a, b"
    )
    cache: Cache = app.extensions["hotset"]
    space = cache._space
    assert (space.tiers.process, space.namespace) == (Memory(max_entries=9), "shop")
    assert (space.options.ttl, space.options.tags) == (600.0, ("a", "b"))
    other = make_app("other", HOTSET_TIERS=[Memory(max_entries=7)], HOTSET_TTL=60, HOTSET_TAGS=["c"])
    space = other.extensions["hotset"]._space
    assert (space.tiers.process, space.options.ttl, space.options.tags) == (Memory(max_entries=7), 60.0, ("c",))


@pytest.mark.parametrize("value", [True, "1", "on"])
def test_a_setting_switches_the_cache_of_an_app_off(make_app: MakeApp, value: object) -> None:
    """HOTSET_DISABLE in app.config leaves a cache that keeps nothing."""
    app = make_app(HOTSET_DISABLE=value, HOTSET_TIERS="memory://")
    app.extensions["hotset"].set("k", 1)
    assert app.extensions["hotset"].get("k") is None


def test_an_unknown_setting_is_an_error_that_names_it() -> None:
    """A misspelt setting is not passed over, and the nearest valid one is named."""
    app = Flask("shop")
    app.config["HOTSET_TIRES"] = "memory://"
    with pytest.raises(ConfigError, match=r"unknown setting in app.config 'HOTSET_TIRES': did you mean 'HOTSET_TIERS'"):
        Hotset(app)


def test_each_app_has_a_cache_of_its_own(cache: Hotset, make_app: MakeApp) -> None:
    """One extension object serves several apps, and what one caches no other sees."""
    one, two = make_app("one"), make_app("two")
    with one.app_context():
        cache.current.set("k", 1)
    with two.app_context():
        assert cache.current.get("k") is None
        assert cache.current is two.extensions["hotset"]
    with one.app_context():
        assert cache.current.get("k") == 1


def test_an_app_may_be_given_at_once() -> None:
    """Hotset(app) is Hotset() and init_app(app)."""
    app = Flask("shop")
    cache = Hotset(app)
    with app.app_context():
        assert cache.current is app.extensions["hotset"]


def test_without_an_app_context_the_error_says_what_to_write(cache: Hotset, app: Flask) -> None:
    """It is a RuntimeError, as Flask's own is."""
    with pytest.raises(NoAppContext, match=r"write `with app.app_context\(\): …`"):
        cache.current  # noqa: B018
    assert issubclass(NoAppContext, RuntimeError)


def test_an_app_without_init_app_is_named(cache: Hotset) -> None:
    """The error says which app has no cache, and what to write."""
    app = Flask("forgotten")
    with app.app_context(), pytest.raises(ConfigError, match=r"app 'forgotten' .*write `cache.init_app\(app\)`"):
        cache.current  # noqa: B018


def test_init_app_twice_is_once_if_nothing_has_changed(cache: Hotset, make_app: MakeApp) -> None:
    """The second call leaves the app its cache; with other settings it is an error, and so is another extension."""
    app = make_app(HOTSET_TTL="10m")
    before = app.extensions["hotset"]
    cache.init_app(app)
    assert app.extensions["hotset"] is before
    app.config["HOTSET_TTL"] = "20m"
    with pytest.raises(ConfigError, match=r"has a cache already, with other settings: .*called once"):
        cache.init_app(app)
    with pytest.raises(ConfigError, match="from another Hotset"):
        Hotset(app)


def test_nothing_is_kept_of_an_app_that_is_gone(cache: Hotset) -> None:
    """A thousand apps in a test run do not stay in memory for the sake of one extension."""
    import gc
    import weakref

    @cache.cached("n:{n}")
    def load(n: int) -> int:
        return n

    app = Flask("short-lived")
    cache.init_app(app)
    with app.app_context():
        assert load(1) == 1
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
    assert repr(cache) == "<Hotset of 0 apps>"
