"""The engine that ships passes the suite that ships."""

from __future__ import annotations

from hotset.clock import Clock
from hotset.engine.memory import MemoryEngine
from hotset.testing import EngineConformance


class TestMemoryEngine(EngineConformance):
    """The process tier in plain Python."""

    def make_engine(self, capacity: int, clock: Clock) -> MemoryEngine:
        """Return the engine."""
        return MemoryEngine(capacity, clock)
