"""The shortest violating order of each guard, for the real implementation to be driven through."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from tests.model.explore import Taken, Walked, walk
from tests.model.guards import GUARDS
from tests.model.scenarios import SMALL


class Order(NamedTuple):
    """The order of steps that breaks P when `guard` is out, and must not break it while the guard is in place.

    `steps` are the names that `Step` carries in the programs, each with its actor ("p0.1": the second program of the
    scenario, which runs in process 0; "p1": the background thread of process 1; "event"; "server") and operation.
    """

    guard: str
    scenario: str
    steps: tuple[Taken, ...]
    violation: str
    states: int


@cache
def order(guard: str) -> Order:
    """Takes one guard out of its scenario and walks to the first violation. KeyError for a guard that is not listed."""
    name = GUARDS[guard].scenario
    walked: Walked = walk(SMALL[name].without(guard), reduced=False)
    if walked.violation is None:
        raise LookupError(f"{name} holds without the guard {guard}: {walked.states} states, no violation")
    return Order(guard, name, walked.order, walked.violation, walked.states)


def orders() -> dict[str, Order]:
    """One order for every guard, by its name: the work list of a driver of the real implementation."""
    return {guard: order(guard) for guard in GUARDS}
