"""Django's own tests of its caches, over hotset: the classes, for Django's runner; `python -m …` runs them.

    python -m tests.integrations.django.own_suite FOLDER REDIS-URL     FOLDER holds Django's `tests/cache` as `cache`

What the run did is the last line of its output, as JSON. Tests that sleep for long have classes of their own: Django's
runner runs each class in a process of its own, at the same time.
"""

# ruff: noqa: N802, T201  names of unittest's; a program

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from copy import deepcopy
from typing import Any

LEFT_OUT: dict[str, str] = {
    "test_cull": "culls a third of the entries when full; here the least recently used one leaves (test_backend.py)",
    "test_zero_cull": "culls everything when full; as above",
}
"""The tests of `BaseCacheTests` that do not apply, and why. Django's own Redis backend is not given those two either.

A third is skipped by itself where there is no process tier to be bounded. Of the classes for one backend of Django's
each (its files, its table, its clients) none applies; what the local memory cache has of its own (LRU order, copies,
the timeout that `incr` leaves) is in test_backend.py.
"""

SLEEPS = ("test_touch",)
"""Seven seconds of sleep; the others sleep six together."""

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
HOTSET = "hotset.integrations.django.HotsetCache"
ASYNC = "tests.integrations.django.async_face.AsyncFace"


def configure(folder: str) -> None:
    """Set Django up, with the app whose models the tests use."""
    sys.path.insert(0, folder)
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="a secret of the tests",
        INSTALLED_APPS=["cache"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {}}],
        MIGRATION_MODULES={"cache": None},
        LANGUAGE_CODE="en",
        USE_TZ=False,
    )
    django.setup()


def classes() -> dict[str, type]:
    """Return the classes: Django's for each kind of backend, and those of what stands on a cache."""
    from cache import tests as theirs

    made: dict[str, type] = {}
    tests = [name for name in vars(theirs.BaseCacheTests) if name.startswith("test_")]
    redis = os.environ["HOTSET_TESTS_REDIS"]
    for kind, backend, location in (
        ("Process", HOTSET, ""),
        ("Redis", HOTSET, ["memory://", redis]),
        ("RedisAlone", HOTSET, redis),
        ("ProcessAsync", ASYNC, ""),
        ("RedisAsync", ASYNC, ["memory://", redis]),
    ):
        for part, mine in (("", [test for test in tests if test not in SLEEPS]), ("Sleeps", list(SLEEPS))):
            name = f"{kind}{part}"
            made[name] = _backend_class(
                theirs, name, backend, location, [test for test in mine if test not in LEFT_OUT]
            )
    for name in (
        *("CacheUtils", "PrefixedCacheUtils", "CacheHEADTest", "CacheI18nTest", "PrefixedCacheI18nTest"),
        *("CacheMiddlewareTest", "TestWithTemplateResponse"),
    ):
        made[name] = _on_a_cache(theirs, name)
    return made


def _backend_class(theirs: Any, name: str, backend: str, location: Any, mine: list[str]) -> type:
    """Return `BaseCacheTests` for one backend, as Django makes them for its own, with only the tests in `mine`."""
    from django.test import TestCase, override_settings

    others = {test: None for test in vars(theirs.BaseCacheTests) if test.startswith("test_") and test not in mine}
    made = type(name, (theirs.BaseCacheTests, TestCase), {"__module__": __name__, **others})
    caches = theirs.caches_setting_for_tests(BACKEND=backend, LOCATION=location, exclude={"zero_cull"})
    if location and not isinstance(location, list):
        del caches["cull"]  # no process tier whose entries could be bounded
    for settings in caches.values():
        settings["OPTIONS"] = {**settings.get("OPTIONS", {}), "namespace": name}
    return override_settings(CACHES=caches)(made)


def _on_a_cache(theirs: Any, name: str) -> type:
    """Return a class of Django's with its local memory caches replaced: middleware, `cache_page`, keys of pages."""
    base = getattr(theirs, name)
    caches = deepcopy(base._overridden_settings["CACHES"])
    for settings in caches.values():
        assert settings["BACKEND"] == LOCMEM
        settings.update(BACKEND=HOTSET, OPTIONS={"namespace": settings.pop("LOCATION", "one")})
    made = type(name, (base,), {"__module__": __name__})
    made._overridden_settings = {  # type: ignore[attr-defined]  # as its decorator does
        **base._overridden_settings,
        "CACHES": caches,
    }
    return made


def run() -> int:
    """Run them all, a class a process, and say what came of it."""
    from django.test import runner
    from django.test.runner import DiscoverRunner, RemoteTestResult

    class Result(RemoteTestResult):
        """Carries a traceback to the parent as text: as an object it cannot be pickled."""

        def addFailure(self, test: Any, err: Any) -> None:
            super().addFailure(test, _told(err))

        def addError(self, test: Any, err: Any) -> None:
            super().addError(test, _told(err))

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            super().addSubTest(test, subtest, _told(err) if err else None)

    runner.RemoteTestRunner.resultclass = Result

    class Runner(DiscoverRunner):
        def suite_result(self, suite: Any, result: Any, **_: Any) -> int:
            problems = [(test.id(), text) for test, text in (*result.failures, *result.errors)]
            skipped = [(test.id(), reason) for test, reason in result.skipped]
            expected = sum(len(_tests_of(made)) for made in classes().values())
            outcome = {"ran": result.testsRun, "expected": expected, "problems": problems, "skipped": skipped}
            print(json.dumps(outcome))
            return len(problems)

    return int(Runner(parallel=20, verbosity=0).run_tests([__name__]))


def _tests_of(made: type) -> list[str]:
    return [name for name in dir(made) if name.startswith("test_") and getattr(made, name) is not None]


def _told(err: Any) -> Any:
    kind, error, trace = err
    error.add_note("".join(traceback.format_tb(trace)))
    return kind, error.with_traceback(None), None


if __name__ == "__main__":
    os.environ["HOTSET_TESTS_REDIS"] = sys.argv[2]
    configure(sys.argv[1])
    sys.exit(importlib.import_module("tests.integrations.django.own_suite").run())

if "HOTSET_TESTS_REDIS" in os.environ:
    globals().update(classes())
