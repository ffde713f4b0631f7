"""Two scenes over two processes: what one deletes the other no longer answers, and a crowd of both costs one query."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from hotset.cli.figures import Scene
from hotset.cli.fleet.shelf import now
from hotset.cli.fleet.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.cli.fleet.process import Process
    from hotset.cli.fleet.worker import Crowd

    Fleet = Sequence[Process]

DELETE: Final = "A delete in one process, and the next read in the other is new"
STAMPEDE: Final = "2 processes x 50 callers want one cold key: the database gets one query"

_ROUNDS: Final = 10
_CALLERS: Final = 50
_HEARTBEAT: Final = 1.0
"""The cache's own: for so many seconds at the most a copy is served after it was ended elsewhere."""

# Both processes have been told of the moment by then, and their threads wait for it.
_GATHERING: Final = 0.25
_ATTEMPTS: Final = 3


def delete_here_read_there(fleet: Fleet) -> Scene:
    """Change a user in one process after the other, and read him at once in the one that was not told."""
    began, user_id = time.perf_counter(), 1
    new = early = wrong = 0
    delays: list[int] = []
    deletes: list[int] = []
    for number in range(_ROUNDS):
        here, there = fleet[number % 2], fleet[1 - number % 2]
        if not all(process.ask(Worker.hold, user_id) for process in (here, there)):
            break
        change = here.ask(Worker.change, user_id, f"Renamed {number}")
        following = there.ask(Worker.next_read, user_id)
        read, dropped = following.read, following.dropped
        deletes.append(change.ended - change.began)
        if dropped is not None:
            delays.append(dropped - change.began)
        if read.revision >= change.revision:
            new += 1
        elif dropped is not None and read.began < dropped:
            early += 1  # the read came before the message did
            wrong += there.ask(Worker.read, user_id).revision < change.revision
        else:
            wrong += 1
    rounds = new + early + wrong
    holds = rounds == _ROUNDS and not wrong and bool(delays) and max(delays) < _HEARTBEAT * 1e9
    if delays:
        median, longest, took = (
            f"{ns / 1e6:.2f} ms" for ns in (statistics.median(delays), max(delays), statistics.median(deletes))
        )
        shown = (
            f"{rounds} updates of a user whom both processes held, each deleted in one: the very next read in the "
            f"other was new {new} times of {rounds}"
            + (f", and {early} {'was' if early == 1 else 'were'} sooner than the message" if early else "")
            + f". Its copy was gone {median} after delete was called (at most {longest}; delete itself took {took}), "
            f"and {wrong or 'no'} read after that was old."
        )
    else:
        shown = "No process ever dropped its copy for a delete in the other."
    return Scene(
        name="delete_here_read_there",
        claim=DELETE,
        holds=holds,
        shown=shown,
        seconds=time.perf_counter() - began,
        figures={
            "updates": rounds,
            "next_reads_new": new,
            "next_reads_before_the_message": early,
            "old_reads_after_it": wrong,
            "dropped_after_us_median": statistics.median(delays) / 1000 if delays else -1,
            "dropped_after_us_most": max(delays, default=-1000) / 1000,
            "delete_us_median": statistics.median(deletes) / 1000 if deletes else -1,
        },
    )


def one_cold_key(fleet: Fleet) -> Scene:
    """Let 50 threads in each process ask at one moment for a figure that nobody has asked for yet."""
    began = time.perf_counter()
    crowds: list[Crowd] = []
    for _ in range(_ATTEMPTS):
        for process in fleet:
            process.begin(Worker.warm, _CALLERS)
        for process in fleet:
            process.result(Worker.warm)
        fleet[0].ask(Worker.forget_revenue)
        at = now() + int(_GATHERING * 1e9)
        for process in fleet:
            process.begin(Worker.crowd, _CALLERS, at)
        crowds = [process.result(Worker.crowd) for process in fleet]
        if not any(crowd.outages for crowd in crowds):  # while the store is away each process loads for itself
            break
    callers = _CALLERS * len(fleet)
    queries, waited = (sum(getattr(crowd, what) for crowd in crowds) for what in ("queries", "waited"))
    away = any(crowd.outages for crowd in crowds)
    answers = [answer for crowd in crowds for answer in crowd.answers]
    same = sum(crowd.same for crowd in crowds if crowd.answers[0] == answers[0])
    return Scene(
        name="one_cold_key",
        claim=STAMPEDE,
        holds=queries == 1 and same == callers,
        shown=(
            f"{len(fleet)} x {_CALLERS} threads asked at one moment for the revenue of each category, a query over "
            f"every order line. {queries} {'query' if queries == 1 else 'queries'}; {waited} callers waited for it, "
            f"and {same} of {callers} got the same answer."
            + (" The server did not answer within 250 ms: each loads for itself then." if away else "")
        ),
        seconds=time.perf_counter() - began,
        figures={"callers": callers, "queries": queries, "waited": waited, "same_answers": same},
    )
