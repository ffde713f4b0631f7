"""The freshness protocol holds in every order of the scenarios, and no guard of it can be spared."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.model.explore import Walked, walk
from tests.model.guards import GUARDS
from tests.model.link import deliver, ping_answered, stall
from tests.model.near import look_up
from tests.model.orders import order, orders
from tests.model.report import readable, table
from tests.model.scenarios import LARGER, SMALL
from tests.model.state import World

HERE = Path(__file__).parent
SPECIFICATION = [file for file in HERE.glob("*.py") if file != Path(__file__)]


@cache
def reduced_walk(name: str) -> Walked:
    """One walk of a scenario for all tests that look at it."""
    return walk(SMALL[name])


@pytest.mark.parametrize("name", SMALL)
def test_every_order_holds(name: str) -> None:
    """With all guards in place no order of steps violates P, and the walk has seen as much as it should."""
    walked = reduced_walk(name)
    assert walked.violation is None, "\n".join([walked.violation, *map(str, walked.order)])
    assert walked.states > SMALL[name].least > 10
    assert walked.ends > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", LARGER)
def test_every_order_of_larger_programs_holds(name: str) -> None:
    """The same for three processes, or more operations, or more that may happen."""
    walked = walk(LARGER[name])
    assert walked.violation is None, "\n".join([walked.violation, *map(str, walked.order)])
    assert walked.states > LARGER[name].least > 10
    assert walked.ends > 0


@pytest.mark.parametrize("name", GUARDS)
def test_no_guard_can_be_spared(name: str) -> None:
    """Without the guard there is an order that violates P; its shortest one is printed."""
    found = order(name)
    print(readable(found))  # noqa: T201 - for whoever runs this with -s, or sees it fail
    assert 2 <= len(found.steps) <= 25
    assert found.violation


@pytest.mark.parametrize("name", ["own_fallback", "result_tags", "ticket", "blind_ends", "permit_from_ping"])
def test_the_reduced_walk_finds_what_the_whole_one_finds(name: str) -> None:
    """Exchanging twins and trying local steps first spares states, never a violation."""
    reduced, whole = walk(SMALL[GUARDS[name].scenario].without(name)), order(name)
    assert reduced.violation is not None
    assert len(whole.steps) <= len(reduced.order)


@pytest.mark.parametrize("name", ["a-expire-tag", "b-expire-tag", "c-copy", "d-own-delete"])
def test_the_whole_walk_holds_where_the_reduced_one_does(name: str) -> None:
    """The states that the reduction leaves out hide nothing."""
    reduced, whole = reduced_walk(name), walk(SMALL[name], reduced=False)
    assert whole.violation is None
    assert whole.states >= reduced.states


def test_a_walk_that_is_cut_short_does_not_count_as_one_that_holds() -> None:
    """Reaching the limit is reported as a violation."""
    assert "not finished" in str(walk(SMALL["b-delete"], limit=100).violation)


def test_who_waits_for_ever_is_found() -> None:
    """A waiter whose wake-up never comes is a violation: here nobody ever returns before `later`."""
    scenario = SMALL["b-zombie-set"]
    stuck = walk(replace(scenario, programs=scenario.programs[1:]))
    assert stuck.violation == "somebody waits for ever"


def test_the_late_answer_of_the_old_link_restores_its_copies() -> None:
    """A permit that is over hides the copy; the answer on the same link, behind all messages, brings it back."""
    scenario = SMALL["c-stall"]
    w = World(scenario.rules)
    for name, value in scenario.start.items():
        setattr(w, name, value)
    assert look_up(w, 1) is not None
    assert stall(w, 1)
    assert look_up(w, 1) is None
    assert ping_answered(w, 1)
    assert look_up(w, 1) is None
    deliver(w, 1)
    assert look_up(w, 1) is not None


def test_every_guard_is_asked_for_and_listed() -> None:
    """A guard that the specification asks for is in the table and the other way round: a misspelt one would be on."""
    asked = {
        name for file in SPECIFICATION for name in re.findall(r'\.on\("(\w+)"\)', file.read_text(encoding="utf-8"))
    }
    assert asked == set(GUARDS)


def test_orders_cover_every_guard_with_named_steps() -> None:
    """The work list for the real implementation: a program's step names its operation, every step says what is done."""
    found = orders()
    assert found.keys() == GUARDS.keys()
    for one in found.values():
        operations = {operation.__name__ for _, programs in SMALL[one.scenario].programs for operation in programs}
        for step in one.steps:
            assert step.step
            if "." in step.actor:
                assert step.operation in operations


def test_the_readme_has_the_table_of_today() -> None:
    """`python -m tests.model --table` prints what README.md must hold."""
    assert table() in (HERE / "README.md").read_text(encoding="utf-8")
