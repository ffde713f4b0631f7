"""How programs are written: as generators of steps, each of which happens at one instant.

What stands in one step is one server command or script, or one critical section of a process. Between two steps
anybody else may act. A program's state is the phase it is in, that phase's arguments, and the answers it has had since:
so it can be hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias

from tests.model.rules import Rules


class Step(NamedTuple):
    """One step: `act(world, *args)` at one instant. A `local` one touches nothing that anybody else sees or changes."""

    label: str
    act: Callable[..., Any]
    args: tuple[Any, ...] = ()
    local: bool = False


Program: TypeAlias = Generator[Step, Any, None]
Phase: TypeAlias = Callable[..., Program]  # called as phase(rules, process, *args)


class Then(NamedTuple):
    """A step's answer that ends its phase: the program goes on with another and forgets all but these arguments."""

    phase: Phase
    args: tuple[Any, ...]


class Wait:
    """A step's answer that says: not yet. The step is tried again when something has changed."""


WAIT = Wait()


class Violation(Exception):
    """P does not hold in this order of steps."""


def do(label: str, act: Callable[..., Any], *args: Any) -> Step:
    """A step that others may see."""
    return Step(label, act, args)


def local(label: str, act: Callable[..., Any], *args: Any) -> Step:
    """A step that commutes with every step of everybody else, so the walk tries it at one place only."""
    return Step(label, lambda _w, *a: act(*a), args, local=True)


def then(phase: Phase, *args: Any) -> Then:
    """Go on with another phase."""
    return Then(phase, args)


def first_step(phase: Phase, rules: Rules, p: int, args: tuple[Any, ...], answers: tuple[Any, ...]) -> Step | None:
    """The step that a program stands before after these answers; None at its end."""
    program = phase(rules, p, *args)
    try:
        step = next(program)
        for answer in answers:
            step = program.send(answer)
    except StopIteration:
        return None
    return step
