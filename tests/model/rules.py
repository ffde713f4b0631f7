"""What one walk is about: the configuration of the tiers, and which guards of the protocol are taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rules:
    """The configuration that every step of a walk may look at; it never changes during the walk.

    `bus`: None is one store without process tiers (b), "tracking" is (c), "pubsub" is (d). `tags`: the entry carries
    the tag; `foreseen`: readers know so before they read. `cluster`: which of the two nodes answers a read first.
    `versioned`: fills carry the version of the source. `clock`: time passes in ticks, so leases and blind copies have
    an age. `renews`: the background thread of a process renews the lease of a load that runs.
    """

    bus: Literal["tracking", "pubsub"] | None = None
    tags: bool = False
    foreseen: bool = True
    cluster: Literal["entry first", "epochs first"] | None = None
    versioned: bool = False
    clock: bool = False
    renews: bool = False
    off: frozenset[str] = frozenset()

    def on(self, guard: str) -> bool:
        """Is this guard of the protocol in place? `guards.py` lists them all."""
        return guard not in self.off
