"""For tests of code that uses hotset, and of parts for it: a clock that you move, isolation, conformance suites."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hotset.testing.clock import FakeClock
    from hotset.testing.codec_conformance import CodecConformance
    from hotset.testing.conformance import EngineConformance
    from hotset.testing.isolation import isolated
    from hotset.testing.record import Isolated
    from hotset.testing.store_conformance import StoreConformance

__all__ = ["CodecConformance", "EngineConformance", "FakeClock", "Isolated", "StoreConformance", "isolated"]

_HOMES = {
    "CodecConformance": "codec_conformance",
    "EngineConformance": "conformance",
    "FakeClock": "clock",
    "Isolated": "record",
    "StoreConformance": "store_conformance",
    "isolated": "isolation",
}
"""Found when first used: pytest loads the plugin in every project that has hotset, and only the suites need pytest."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
