"""What the fleet finds out: plain values, and the same for machines. Times in seconds, latencies in microseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from hotset.cli.figures import Latency

if TYPE_CHECKING:
    from hotset.cli.figures import Database, Replayed, Scene

Tier = Literal["process", "cluster", "query"]
"""What answered a read: a copy in its own process, the store, or a query that it waited for, whoever had asked it."""
TIERS: Final[tuple[Tier, ...]] = ("process", "cluster", "query")


@dataclass(frozen=True, slots=True)
class Server:
    """The store that the processes share."""

    where: str
    version: str
    """What it says it is, such as "redis 7.0.15"."""
    own: bool
    """Whether the demo has started it, and may stop it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One process's part of a replay as it counted it itself. Moments and durations are in nanoseconds."""

    pid: int
    threads: int
    requests: int
    counts: dict[Tier, int]
    took: dict[Tier, list[int]]
    """All durations when it is over, the latest while it runs."""
    queries: int
    wrong: int
    began: int
    ended: int
    """Both by the clock that all processes of a machine share; 0 before the first answer."""
    outages: int
    """How often the store did not answer within its deadline."""


@dataclass(frozen=True, slots=True)
class Share:
    """How a replay went, or is going, in one process or in several together."""

    pids: tuple[int, ...]
    threads: int
    requests: int
    done: int
    seconds: float
    queries: int
    counts: dict[Tier, int]
    """How many requests each tier answered."""
    latencies: dict[Tier, Latency]
    wrong: int
    """Answered with another user's profile. Anything but 0 is a bug."""
    outages: int

    @classmethod
    def of(cls, *tallies: Tally) -> Share:
        """Put the tallies of processes together."""
        began = min((tally.began for tally in tallies if tally.began), default=0)
        ended = max(tally.ended for tally in tallies)
        counts: dict[Tier, int] = {tier: sum(tally.counts[tier] for tally in tallies) for tier in TIERS}
        return cls(
            pids=tuple(tally.pid for tally in tallies),
            threads=sum(tally.threads for tally in tallies),
            requests=sum(tally.requests for tally in tallies),
            done=sum(counts.values()),
            seconds=max(0, ended - began) / 1e9,
            queries=sum(tally.queries for tally in tallies),
            counts=counts,
            latencies={tier: Latency.of([took for tally in tallies for took in tally.took[tier]]) for tier in TIERS},
            wrong=sum(tally.wrong for tally in tallies),
            outages=sum(tally.outages for tally in tallies),
        )

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.done / self.seconds if self.seconds else 0.0

    def ratio(self, tier: Tier) -> float:
        """Return the share of the requests that a tier answered, from 0 to 1."""
        return self.counts[tier] / self.done if self.done else 0.0

    def as_json(self) -> dict[str, Any]:
        """Give the figures as plain lists and dictionaries, those that follow from others included."""
        return asdict(self) | {
            "requests_per_second": self.per_second,
            "ratios": {tier: self.ratio(tier) for tier in TIERS},
        }


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Everything that one run with a store found out."""

    version: str
    server: Server
    namespace: str
    database: Database
    trace: Replayed
    shares: tuple[Share, ...]
    together: Share
    apart: int
    """How many queries the processes would have asked if each had only itself: the different users of each, added."""
    scenes: tuple[Scene, ...]
    keys_removed: int
    seconds: float

    @property
    def problems(self) -> tuple[str, ...]:
        """What was claimed and did not hold; empty when all is well."""
        replay, users = self.together, self.trace.users
        found = [f"replay: {replay.wrong} wrong answers"] if replay.wrong else []
        # Where the store is away each process loads for itself, as it should.
        if replay.queries > users and not replay.outages:
            found.append(f"replay: {replay.queries} queries for {users} users")
        return (*found, *(f"{scene.name}: {scene.shown}" for scene in self.scenes if not scene.holds))

    def as_json(self) -> dict[str, Any]:
        """Give the figures as plain lists and dictionaries."""
        return {
            "hotset": self.version,
            "ok": not self.problems,
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
            "server": asdict(self.server),
            "namespace": self.namespace,
            "database": asdict(self.database),
            "trace": asdict(self.trace),
            "processes": [share.as_json() for share in self.shares],
            "together": self.together.as_json(),
            "queries_apart": self.apart,
            "scenes": {scene.name: asdict(scene) for scene in self.scenes},
            "keys_removed": self.keys_removed,
        }
