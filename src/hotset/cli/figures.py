"""What the demo finds out: plain values, and the same for machines. Times are in seconds, latencies in microseconds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["threads", "tasks"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of a set of durations, in microseconds; None when there was none."""

    p50_us: float | None
    p99_us: float | None

    @classmethod
    def of(cls, nanoseconds: Sequence[int]) -> Latency:
        """Take the nearest ranks: each figure is a duration that really occurred."""
        ordered = sorted(nanoseconds)
        return cls(_rank(ordered, 0.50), _rank(ordered, 0.99))


def _rank(ordered: Sequence[int], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] / 1000 if ordered else None


@dataclass(frozen=True, slots=True)
class Database:
    """The source that was built for this run."""

    users: int
    orders: int
    order_lines: int
    size_bytes: int
    build_seconds: float
    sqlite: str
    query: Latency
    """The profile query asked by one thread, with nothing else going on."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The trace that is replayed."""

    name: str
    requests: int
    users: int
    """How many different users the requests ask for."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One replay of the trace, so far or to its end."""

    kind: Kind
    workers: int
    cached: bool
    requests: int
    done: int
    seconds: float
    queries: int
    hits: int
    """Answered with what was in the cache when the request came."""
    misses: int
    """Waited for a query: its own, or one under way for the same user."""
    wrong: int
    """Answered with another user's profile. Anything but 0 is a bug."""
    hit: Latency
    miss: Latency
    query: Latency
    """The query itself, measured around it, in the thread that ran it."""

    @property
    def hit_ratio(self) -> float:
        """The share of the requests that were hits, from 0 to 1."""
        return self.hits / self.done if self.done else 0.0

    @property
    def queries_saved(self) -> float:
        """The share of the requests that cost no query: hits, and those that joined another's query; from 0 to 1."""
        return 1 - self.queries / self.done if self.done else 0.0

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def name(self) -> str:
        """What tells it from the other phases: `threads_without`, `threads_hotset`, `tasks_without`, `tasks_hotset`."""
        return f"{self.kind}_{'hotset' if self.cached else 'without'}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A claim, put to the test."""

    name: str
    claim: str
    holds: bool
    shown: str
    """What was seen, in one or two sentences."""
    seconds: float
    figures: dict[str, int | float]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out."""

    version: str
    database: Database
    trace: Replayed
    phases: tuple[Phase, ...]
    scenes: tuple[Scene, ...]
    seconds: float

    @property
    def queries_saved(self) -> int:
        """How many queries the phases through hotset asked less than there were requests."""
        return sum(phase.done - phase.queries for phase in self.phases if phase.cached)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was claimed and did not hold; empty when all is well."""
        return (
            *(f"{phase.name}: {phase.wrong} wrong answers" for phase in self.phases if phase.wrong),
            *(f"{scene.name}: {scene.shown}" for scene in self.scenes if not scene.holds),
        )

    def as_json(self) -> dict[str, Any]:
        """Give the figures as plain lists and dictionaries, those that follow from others included."""
        return {
            "hotset": self.version,
            "ok": not self.problems,
            "problems": list(self.problems),
            "seconds": round(self.seconds, 3),
            "database": asdict(self.database),
            "trace": asdict(self.trace),
            "phases": {
                phase.name: asdict(phase)
                | {
                    "hit_ratio": phase.hit_ratio,
                    "queries_saved": phase.done - phase.queries,
                    "requests_per_second": phase.per_second,
                }
                for phase in self.phases
            },
            "queries_saved": self.queries_saved,
            "scenes": {scene.name: asdict(scene) for scene in self.scenes},
        }
