"""The scene in which the store goes away under traffic and comes back: reads go on, and no delete is lost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, final

from hotset.cli.figures import Scene
from hotset.cli.fleet.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hotset.cli.fleet.process import Process
    from hotset.cli.fleet.relay import Relay
    from hotset.cli.fleet.server import OwnServer
    from hotset.cli.fleet.traffic import Flow

    Check = Callable[[], None]

_USERS: Final = 20
_THREADS: Final = 4
_TICK: Final = 0.1
_PATIENCE: Final = 20.0
_HEARTBEAT: Final = 1.0
"""The cache's own: the message of an ending takes no longer, or the copy is no longer served."""

# How long traffic flows before and in the middle of the outage: long enough to be seen.
_CALM: Final = 0.5
_AWAY: Final = 1.0

# What a read may take at the most: the deadline of a store that does not answer, a query, and a busy machine's share.
_LONGEST: Final = 2.0


class Switch(Protocol):
    """What makes the store go away and come back."""

    claim: str
    gone: str
    back: str

    def off(self, check: Check) -> None:
        """Have it go away."""

    def on(self, check: Check) -> None:
        """Have it come back."""


@final
class Stopping:
    """The demo's own server is stopped, and started again."""

    claim = "The server stops and starts again: reads go on, no delete is lost"
    gone = "the server is stopped"
    back = "the server runs again"

    def __init__(self, server: OwnServer) -> None:
        self._server = server

    def off(self, check: Check) -> None:
        """Stop it."""
        del check
        self._server.stop()

    def on(self, check: Check) -> None:
        """Start it."""
        self._server.start(check)


@final
class Cutting:
    """The way to somebody else's server is cut, and restored; the server is left alone."""

    claim = "The way to the server is cut, and opens again: reads go on, no delete is lost"
    gone = "the connections are cut, and new ones refused"
    back = "the way is open again"

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def off(self, check: Check) -> None:
        """Cut it."""
        del check
        self._relay.cut()

    def on(self, check: Check) -> None:
        """Restore it."""
        del check
        self._relay.restore()


@dataclass(frozen=True, slots=True)
class Step:
    """Something happened in the scene."""

    seconds: float
    """Since the scene began."""
    text: str


@dataclass(frozen=True, slots=True)
class Watched:
    """How the traffic of each process is going."""

    flows: tuple[Flow, ...]


class _TooLong(Exception):
    """What was waited for did not come; the message says what."""


def outage(
    fleet: Sequence[Process], switch: Switch, users: int, check: Check
) -> Generator[Step | Watched, None, Scene]:
    """Let both processes read all the time while the store goes away and comes back, and delete in the middle."""
    return (yield from _Outage(fleet, switch, users, check).play())


@final
class _Outage:
    def __init__(self, fleet: Sequence[Process], switch: Switch, users: int, check: Check) -> None:
        self._fleet = fleet
        self._switch = switch
        self._check = check
        self._users = list(range(1, 1 + min(_USERS, users)))
        self._began = time.perf_counter()

    def play(self) -> Generator[Step | Watched, None, Scene]:
        here, there = self._fleet
        user_id = self._users[0]
        facts: dict[str, bool] = {}
        for process in self._fleet:
            process.ask(Worker.traffic, self._users, _THREADS)
        try:
            yield from self._until("both answer from the process tier", self._settled)
            yield from self._watch(_CALM)
            calm = sum(flow.answered for flow in self._flows())
            yield self._step(f"both processes read, {calm:,} reads so far; {self._switch.gone}")
            self._switch.off(self._check)
            gone = time.perf_counter()
            yield from self._until("both know that it is away", lambda flows: all(f.trust != "trusted" for f in flows))
            away = self._flows()
            yield self._step("both know it, ask it no more, and read on from what they load now")
            yield from self._watch(_AWAY / 2)
            change = here.ask(Worker.change, user_id, "Renamed while the store was away")
            here.ask(Worker.demand, user_id, change.revision)
            facts["who deletes reads the new value at once"] = (
                here.ask(Worker.read, user_id).revision >= change.revision
            )
            owed = self._flows()[0].pending
            facts["the delete is kept to be delivered"] = owed > 0
            yield self._step(f"a user is changed and deleted in process 1: {owed} delete to be delivered")
            yield from self._watch(_AWAY / 2)
            during = sum(flow.answered for flow in self._flows()) - sum(flow.answered for flow in away)
            facts["reads went on"] = during > 0
            self._switch.on(self._check)
            down, back = time.perf_counter() - gone, time.perf_counter()
            yield self._step(f"{self._switch.back}; {during:,} reads were answered meanwhile")
            yield from self._until("the delete is delivered, and both trust the store", _delivered)
            delivered = time.perf_counter() - back
            yield from self._until(
                "the other reads the new value",
                lambda _: there.ask(Worker.read, user_id).revision >= change.revision,
                _HEARTBEAT,
            )
            there.ask(Worker.demand, user_id, change.revision)
            yield self._step("the delete is delivered; process 2 reads the new value")
            yield from self._until("both answer from the process tier again", self._settled)
            yield from self._watch(_CALM / 2)
            yield self._step("both answer from the process tier again")
        except _TooLong as late:
            facts[str(late)] = False
            down = delivered = during = -1
        flows = self._flows()
        for process in self._fleet:
            process.ask(Worker.halt)
        errors = sum(flow.errors for flow in flows)
        error = next((f" ({flow.error})" for flow in flows if flow.error), "")
        slowest, old = max(flow.slowest for flow in flows) / 1e9, sum(flow.old for flow in flows)
        facts |= {
            f"no error, but {errors}{error}": not errors,
            f"no old read afterwards, but {old}": not old,
            f"no read longer than {_LONGEST:g} s, but one of {slowest:.1f} s": slowest <= _LONGEST,
        }
        missing = [fact for fact, held in facts.items() if not held]
        reads = sum(flow.answered for flow in flows)
        return Scene(
            name="outage",
            claim=self._switch.claim,
            holds=not missing,
            shown=f"Not so: {'; '.join(missing)}."
            if missing
            else (
                f"{reads:,} reads, no error, the slowest {1000 * slowest:.0f} ms; {during:,} of them in the "
                f"{down:.1f} s without the store. The delete was delivered {1000 * delivered:.0f} ms after it was "
                "back, and from then on no process read the old value."
            ),
            seconds=time.perf_counter() - self._began,
            figures={
                "reads": reads,
                "errors": errors,
                "slowest_ms": 1000 * slowest,
                "away_seconds": down,
                "reads_while_away": during,
                "delivered_after_seconds": delivered,
                "old_reads": old,
            },
        )

    def _step(self, text: str) -> Step:
        return Step(time.perf_counter() - self._began, text)

    def _flows(self) -> tuple[Flow, ...]:
        return tuple(process.ask(Worker.flow) for process in self._fleet)

    def _settled(self, flows: Sequence[Flow]) -> bool:
        """Each is linked to a store that it trusts, and holds near whom the traffic reads."""
        return all(f.trust == "trusted" and f.linked for f in flows) and all(
            process.ask(Worker.holds, self._users) for process in self._fleet
        )

    def _until(
        self, what: str, reached: Callable[[Sequence[Flow]], bool], patience: float | None = None
    ) -> Generator[Watched, None, None]:
        began = shown = time.monotonic()
        while not reached(flows := self._flows()):
            self._check()
            now = time.monotonic()
            if now > shown + _TICK:
                yield Watched(flows)
                shown = now
            if now > began + (patience or _PATIENCE):
                raise _TooLong(what)
            time.sleep(_TICK / 10)  # between two looks; what ends the wait is what is reached, or patience

    def _watch(self, seconds: float) -> Generator[Watched, None, None]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._check()
            yield Watched(self._flows())
            time.sleep(_TICK)  # between two frames of the screen; it shows, and decides nothing


def _delivered(flows: Sequence[Flow]) -> bool:
    return all(f.trust == "trusted" and not f.pending for f in flows)
