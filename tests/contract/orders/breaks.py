"""How a guard is taken out of the real code, for the tests that see what it is for."""

from __future__ import annotations

import pytest

from hotset.stores.base import Script
from hotset.stores.redis import scripts


def script(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Put a script without its guard in the place of the real one: `old`, which must be in it, becomes `new`."""
    source: str = getattr(scripts, name).source
    assert old in source, f"{name} has changed: what is to be taken out is not in it"
    patch.setattr(scripts, name, Script(source.replace(old, new)))
