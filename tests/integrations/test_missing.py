"""A framework that is not installed is named with the extra to install."""

import importlib
import sys

import pytest


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_a_missing_framework_names_its_extra(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, not only what is missing."""
    for name in [name for name in sys.modules if name.startswith(("hotset.integrations", framework))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"pip install 'hotset\[{framework}\]'"):
        importlib.import_module(f"hotset.integrations.{framework}")
