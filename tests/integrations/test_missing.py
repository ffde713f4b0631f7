"""A framework that is not installed is named with the extra to install."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture(autouse=True)
def imported_anew() -> Iterator[None]:
    """Have each of these tests import the integrations anew, and those that follow keep what they had."""
    before = taken()
    yield
    taken()
    sys.modules.update(before)


def taken() -> dict[str, ModuleType]:
    """Take the integrations away from what is imported."""
    names = [name for name in sys.modules if name.startswith("hotset.integrations")]
    return {name: sys.modules.pop(name) for name in names}


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_a_missing_framework_names_its_extra(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, not only what is missing."""
    for name in [name for name in sys.modules if name.startswith(framework)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"pip install 'hotset\[{framework}\]'"):
        importlib.import_module(f"hotset.integrations.{framework}")


def test_a_flask_whose_session_does_not_tell_all_its_readers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Flask 3.1.3 `"user" in session` leaves no trace: a page that asks it would be kept for every client."""
    monkeypatch.setattr("flask.sessions.SessionMixin.accessed", True)  # what it says there
    with pytest.raises(ImportError, match=r"needs Flask 3\.1\.3 or newer: pip install -U 'hotset\[flask\]'"):
        importlib.import_module("hotset.integrations.flask")


def test_a_sqlalchemy_that_is_too_old_names_the_oldest_that_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy cannot say whether async code stands behind a commit before 2.0.24."""
    monkeypatch.delattr("sqlalchemy.util.concurrency.in_greenlet")
    with pytest.raises(ImportError, match=r"needs SQLAlchemy 2\.0\.24 or newer: pip install -U 'hotset\[sqlalchemy\]'"):
        importlib.import_module("hotset.integrations.sqlalchemy")
