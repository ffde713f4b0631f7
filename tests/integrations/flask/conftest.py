from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from hotset.integrations.flask import Hotset

MakeApp = Callable[..., Flask]


@pytest.fixture
def cache() -> Hotset:
    """An extension as a module has it."""
    return Hotset()


@pytest.fixture
def make_app(cache: Hotset) -> Iterator[MakeApp]:
    """Makes apps that use `cache`, with these settings; their caches are closed at the end."""
    apps: list[Flask] = []

    def make_app(name: str = "shop", **settings: Any) -> Flask:
        app = Flask(name)
        app.config.update(TESTING=True, SECRET_KEY="for tests", **settings)
        cache.init_app(app)
        apps.append(app)
        return app

    yield make_app
    for app in apps:
        app.extensions["hotset"].close()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An app with a cache of its process."""
    return make_app()
