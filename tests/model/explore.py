"""The walk: every interleaving of a scenario's programs, messages and events, breadth first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tests.model import events
from tests.model.link import deliver, ping_answered
from tests.model.outage import deliver_outbox, probe
from tests.model.scenario import Scenario
from tests.model.state import World, at, owner
from tests.model.steps import WAIT, Phase, Step, Then, Violation, first_step
from tests.model.store import renew


class Taken(NamedTuple):
    """One step of an order: who (`p0.1` is the second program of process 0), in which operation, did what."""

    actor: str
    operation: str
    step: str

    def __str__(self) -> str:
        return f"{self.actor:<8}{self.operation:<14}{self.step}"


@dataclass(frozen=True)
class Walked:
    """A walk's result: how many states it saw, in how many of them all programs were over; how P was violated."""

    states: int
    ends: int
    violation: str | None = None
    order: tuple[Taken, ...] = ()


class At(NamedTuple):
    """Where a program stands: its operation, the phase, that phase's arguments, the answers it has had since."""

    operation: int
    phase: Phase | None  # None after the last operation
    args: tuple[Any, ...] = ()
    answers: tuple[Any, ...] = ()


class State(NamedTuple):
    """One node of the walk."""

    world: World
    programs: tuple[At, ...]
    left: tuple[int, ...]  # how often each event may still happen


class Move(NamedTuple):
    """One edge: what happens, which program it moves, and which events are left after it."""

    taken: Taken
    act: Callable[[World], Any]
    program: int | None
    left: tuple[int, ...]


class Walk:
    """All states of one scenario under its rules, as far as a limit.

    `reduced`: twins are exchanged for each other and local steps are tried first. That finds whatever there is to find
    in fewer states, but the order that it finds need not be the shortest.
    """

    def __init__(self, scenario: Scenario, limit: int, *, reduced: bool) -> None:
        self.scenario = scenario
        self.limit = limit
        self.rules = scenario.rules
        self.reduced = reduced
        self.twins = scenario.twins() if reduced else []
        self.ends = 0
        self.next_step = cache(self._next_step)
        self.seen: set[int] = set()
        self.parents: list[tuple[int, Taken | None]] = []
        self.queue: deque[tuple[State, int]] = deque()

    def run(self) -> Walked:
        """Walks until a violation, the limit, or the end."""
        world = World(self.rules)
        for name, value in self.scenario.start.items():
            setattr(world, name, value)
        programs = tuple(At(0, operations[0]) for _, operations in self.scenario.programs)
        self._meet(State(world, programs, tuple(most for _, most in self.scenario.events)), -1, None)
        while self.queue:
            state, number = self.queue.popleft()
            moved = False
            for move in self._moves(state):
                try:
                    following = self._apply(state, move)
                except Violation as violation:
                    return self._violated(str(violation), number, move.taken)
                if following is not None:
                    moved = True
                    self._meet(following, number, move.taken)
            if not moved and self._somebody_waits(state):
                ended = self._apply(state, self._lease_must_end(state))
                if ended is None:
                    return self._violated("somebody waits for ever", number, None)
                self._meet(ended, number, Taken("event", "", "lease ends"))
            if len(self.seen) > self.limit:
                return self._violated(f"not finished: more than {self.limit} states", number, None)
        return Walked(len(self.seen), self.ends)

    def _meet(self, state: State, parent: int, taken: Taken | None) -> None:
        """Queues a state that nobody has met. Programs that are each other's twins may change places."""
        programs: tuple[Any, ...] = state.programs
        for twins in self.twins:
            for place, twin in zip(twins, sorted((programs[i] for i in twins), key=hash), strict=True):
                programs = at(programs, place, twin)
        identity = hash((state.world.key(), programs, state.left))
        if identity not in self.seen:
            self.seen.add(identity)
            self.parents.append((parent, taken))
            self.queue.append((state, len(self.parents) - 1))
            self.ends += all(place.phase is None for place in state.programs)

    def _violated(self, how: str, number: int, last: Taken | None) -> Walked:
        order = [last] if last is not None else []
        while number > 0:
            number, taken = self.parents[number]
            if taken is not None:
                order.append(taken)
        return Walked(len(self.seen), self.ends, how, tuple(reversed(order)))

    def _next_step(self, program: int, place: At) -> Step | None:
        assert place.phase is not None
        return first_step(place.phase, self.rules, self.scenario.programs[program][0], place.args, place.answers)

    def _moves(self, state: State) -> Iterator[Move]:
        w = state.world
        steps: list[tuple[int, Step]] = []
        for number, place in enumerate(state.programs):
            if place.phase is not None and self.scenario.programs[number][0] not in w.dead:
                step = self.next_step(number, place)
                assert step is not None
                if step.local and self.reduced:  # it commutes with all others: to try it first is to try it everywhere
                    yield self._step(state, number, step)
                    return
                steps.append((number, step))
        for number, step in steps:
            yield self._step(state, number, step)
        yield from self._background(state)
        for j, (event, _) in enumerate(self.scenario.events):
            if state.left[j]:
                left = at(state.left, j, state.left[j] - 1)
                of_one = event in events.PER_PROCESS
                for p in self.scenario.processes if of_one else (0,):
                    taken = Taken("event", f"p{p}" if of_one else "", event.__name__.replace("_", " "))
                    yield Move(taken, _on(event, p), None, left)

    def _step(self, state: State, number: int, step: Step) -> Move:
        p, operations = self.scenario.programs[number]
        taken = Taken(f"p{p}.{number}", operations[state.programs[number].operation].__name__, step.label)
        return Move(taken, lambda w: step.act(w, *step.args), number, state.left)

    def _background(self, state: State) -> Iterator[Move]:
        """What the background thread of each process does, and the server for it."""
        w = state.world
        for p in self.scenario.processes:
            if p in w.dead:
                continue
            who = f"p{p}"
            if w.bus[p]:
                m = w.bus[p][0]
                what = f"hears: {m.kind}" + (f" {m.what}" if m.kind == "forget" else "")
                yield Move(Taken(who, "link", what), _on(deliver, p), None, state.left)
            if w.link[p] == "slow":
                yield Move(Taken("server", who, "answers its ping"), _on(ping_answered, p), None, state.left)
            if w.blind[p] and w.up and not w.outbox[p]:
                yield Move(Taken(who, "prober", "finds the store back"), _on(probe, p), None, state.left)
            if w.outbox[p] and w.up:
                yield Move(Taken(who, "outbox", "is delivered"), _on(deliver_outbox, p), None, state.left)
            for name, gen in sorted(w.loading):
                if owner(name) == p and self.rules.on("renew"):
                    yield Move(Taken(who, "lease", "RENEW"), _on(renew, name, gen), None, state.left)

    def _apply(self, state: State, move: Move) -> State | None:
        """The state after a move; None if it can't be made now."""
        w = state.world.copy()
        answer = move.act(w)
        if move.program is None:
            return None if answer is False else State(w, state.programs, move.left)
        if answer is WAIT:
            return None
        place = state.programs[move.program]
        if isinstance(answer, Then):
            after = place._replace(phase=answer.phase, args=answer.args, answers=())
        else:
            after = place._replace(answers=(*place.answers, answer))
        if self.next_step(move.program, after) is None:
            operations = self.scenario.programs[move.program][1]
            following = place.operation + 1
            after = At(following, operations[following] if following < len(operations) else None)
        return State(w, at(state.programs, move.program, after), move.left)

    def _somebody_waits(self, state: State) -> bool:
        living = (p not in state.world.dead for p, _ in self.scenario.programs)
        return any(alive and place.phase is not None for alive, place in zip(living, state.programs, strict=True))

    def _lease_must_end(self, state: State) -> Move:
        return Move(Taken("event", "", "lease ends"), _on(events.lease_ends, 0), None, state.left)


def _on(act: Callable[..., Any], *args: Any) -> Callable[[World], Any]:
    return lambda w: act(w, *args)


def walk(scenario: Scenario, limit: int = 2_000_000, *, reduced: bool = True) -> Walked:
    """Walks every interleaving of a scenario; the first violation ends it. Not `reduced`: by the shortest order."""
    return Walk(scenario, limit, reduced=reduced).run()
