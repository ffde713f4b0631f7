"""For tests of code that uses hotset, and of engines for it: a clock that you move, isolation, a conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotset.testing.clock import FakeClock
from hotset.testing.isolation import isolated

if TYPE_CHECKING:
    from hotset.testing.conformance import EngineConformance

__all__ = ["EngineConformance", "FakeClock", "isolated"]


def __getattr__(name: str) -> object:
    if name != "EngineConformance":
        raise AttributeError(f"module 'hotset.testing' has no attribute {name!r}")
    from hotset.testing.conformance import EngineConformance  # it needs pytest

    return EngineConformance
