"""A Django project for these tests: settings, an app with models, a database in a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.services.fixtures import suite_of

if TYPE_CHECKING:
    from hotset.integrations.django import HotsetCache

SECRET = "a secret of the tests"
_numbers = itertools.count()


class Caches(Protocol):
    """Sets CACHES for the rest of the test and returns the default one; each test has a namespace of its own."""

    def __call__(
        self, location: object = "", options: dict[str, Any] | None = None, *, of_all: Any = None, **settings: Any
    ) -> HotsetCache:
        """Return the backend; `of_all`: settings of the project to go with it."""


@pytest.fixture(scope="session", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project: set up once a run, its database in a file."""
    import django
    from django.conf import settings
    from django.db import connection

    database = tmp_path_factory.mktemp("django") / "db.sqlite3"
    settings.configure(
        SECRET_KEY=SECRET,
        INSTALLED_APPS=[
            *("django.contrib.contenttypes", "django.contrib.sessions", "tests.integrations.django.shop"),
        ],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)},
            "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database.with_name("other.sqlite3"))},
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        ROOT_URLCONF="tests.integrations.django.urls",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
    )
    django.setup()
    from django.apps import apps
    from django.db import connections

    for each in connections.all():
        with each.schema_editor() as editor:
            for model in apps.get_models():
                if not model._meta.proxy:
                    editor.create_model(model)
        each.close()
    del connection
    return database


@pytest.fixture(autouse=True)
def clean(project: Path) -> Iterator[None]:
    """No row is left by a test, and no connection."""
    del project
    yield
    from django.apps import apps
    from django.db import connections

    for each in connections.all():
        for model in apps.get_models():
            model._default_manager.using(each.alias).all().delete()
        each.close()


@pytest.fixture
def caches() -> Iterator[Caches]:
    """A function that sets CACHES."""
    from django.core.cache import caches as handler
    from django.test import override_settings

    with ExitStack() as stack:

        def caches(
            location: object = "", options: dict[str, Any] | None = None, *, of_all: Any = None, **settings: Any
        ) -> HotsetCache:
            options = {"namespace": f"test-{next(_numbers)}", **(options or {})}
            default = {
                "BACKEND": "hotset.integrations.django.HotsetCache",
                "LOCATION": location,
                "OPTIONS": options,
                **settings,
            }
            stack.enter_context(override_settings(CACHES={"default": default}, **(of_all or {})))
            backend: HotsetCache = handler["default"]
            stack.callback(backend.hotset.close)
            return backend

        yield caches


@pytest.fixture(params=["process", "redis"])
def backend(request: pytest.FixtureRequest, caches: Caches) -> HotsetCache:
    """A backend over the process tier, and over Redis too."""
    if request.param == "process":
        return caches()
    return caches(["memory://", request.getfixturevalue("redis_server").url])


@pytest.fixture
def cache(backend: HotsetCache) -> Any:
    """The native cache of the project; no scope of it is left open by a test."""
    yield backend.hotset
    assert backend.hotset._space.engine.off_here == 0


@pytest.fixture(scope="session")
def own_tests(project: Path) -> Path:
    """The folder of Django's own tests of caches."""
    del project
    return suite_of("Django", "tests/cache/") / "tests"
