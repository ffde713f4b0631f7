"""A process of the fleet: it does what it is asked over a socket, and ends when whoever asks is gone.

python -m hotset.cli.fleet.worker DESCRIPTOR
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, final

from hotset.cli.crew import Crew
from hotset.cli.fleet.shelf import Shelf, now
from hotset.cli.fleet.traffic import Part, Traffic

if TYPE_CHECKING:
    from hotset.cli.fleet.figures import Tally
    from hotset.cli.fleet.shelf import Change, Read
    from hotset.cli.fleet.traffic import Flow
    from hotset.config.redis import Redis

_PATIENCE = 20.0
_ROUNDS = 10
_MESSAGE = 2.0


@dataclass(frozen=True, slots=True)
class Next:
    """The next read after another process's delete, and when this process had dropped its copy (None: no message)."""

    read: Read
    dropped: int | None


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of many callers of one key in one process."""

    queries: int
    waited: int
    answers: list[dict[str, int]]
    """Each answer once."""
    same: int
    """How many callers got the first of them."""
    outages: int


@final
class Worker:
    """What can be asked of a process. One thing at a time; what takes long goes on in threads of its own."""

    def __init__(self) -> None:
        self._shelf: Shelf | None = None
        self._part: Part | None = None
        self._traffic: Traffic | None = None

    def open(self, path: str, store: Redis, namespace: str) -> None:
        """Be over this store, and this database; what was opened before is closed."""
        self.close()
        self._shelf = Shelf(Path(path), store, namespace)

    def close(self) -> None:
        """Let go of everything."""
        self.halt()
        if self._shelf is not None:
            self._shelf.close()
            self._shelf = None

    def halt(self) -> None:
        """End what goes on in threads."""
        for work in (self._part, self._traffic):
            if work is not None:
                work.crew.__exit__()
        self._part = self._traffic = None

    def replay(self, user_ids: list[int], threads: int) -> None:
        """Begin a part of the replay."""
        self.halt()
        self._part = Part(self.shelf, user_ids, threads)
        self._part.crew.__enter__()

    def tally(self) -> tuple[bool, Tally]:
        """Return whether the part is done, and how it went until now."""
        if self._part is None:
            raise AssertionError("nothing is replayed")
        over = self._part.crew.finished(0)
        return over, self._part.tally(over=over)

    def hold(self, user_id: int) -> bool:
        """Have a user's copy in the process tier."""
        return self.shelf.hold(user_id, _PATIENCE)

    def change(self, user_id: int, name: str) -> Change:
        """Change a user, and delete him from the cache."""
        return self.shelf.change(user_id, name)

    def read(self, user_id: int) -> Read:
        """Read a user."""
        return self.shelf.read(user_id)

    def next_read(self, user_id: int) -> Next:
        """Read a user at once; then say when the message came that another process has ended him."""
        read = self.shelf.read(user_id)
        return Next(read, self.shelf.gone(user_id, _MESSAGE))

    def warm(self, callers: int) -> None:
        """Have so many threads ask the store at once until it answers them all in time, as it does a busy service.

        The first time each opens a connection; by TLS, for some dozens of them, that can take longer than the deadline.
        """
        shelf = self.shelf

        def job() -> None:
            shelf.cache.lookup("nobody")

        for _ in range(_ROUNDS):
            outages = shelf.outages
            with Crew(halt=lambda: None, jobs=[job] * callers) as crew:
                while not crew.finished(_PATIENCE):
                    pass
            if shelf.outages == outages:
                return
            shelf.trusted(_PATIENCE)

    def crowd(self, callers: int, at: int) -> Crowd:
        """Have so many threads ask for one costly figure, all of them at the moment `at`."""
        shelf = self.shelf
        asked, outages = shelf.origin.queries, shelf.outages
        answers: list[dict[str, int]] = []
        waited: list[bool] = []
        start = threading.Barrier(callers)

        def job() -> None:
            start.wait(_PATIENCE)
            time.sleep(max(0, at - now()) / 1e9)  # two processes have no barrier: they agree on a moment
            began = now()
            revenue = shelf.revenue()
            waited.append(revenue.queried > began)
            answers.append(revenue.by_category)

        with Crew(halt=start.abort, jobs=[job] * callers) as crew:
            while not crew.finished(_PATIENCE):
                pass
        return Crowd(
            queries=shelf.origin.queries - asked,
            waited=sum(waited),
            answers=[answer for place, answer in enumerate(answers) if answer not in answers[:place]],
            same=sum(answer == answers[0] for answer in answers),
            outages=shelf.outages - outages,
        )

    def forget_revenue(self) -> None:
        """Have nobody know the costly figure."""
        self.shelf.revenue.delete()

    def holds(self, user_ids: list[int]) -> bool:
        """Tell whether the process tier would answer for each of these users now."""
        return all(map(self.shelf.near, user_ids))

    def traffic(self, user_ids: list[int], threads: int) -> None:
        """Begin to read these users over and over."""
        self.halt()
        self._traffic = Traffic(self.shelf, user_ids, threads)
        self._traffic.crew.__enter__()

    def flow(self) -> Flow:
        """Return how the traffic is going."""
        if self._traffic is None:
            raise AssertionError("there is no traffic")
        self._traffic.crew.finished(0)  # raises what a thread has raised
        return self._traffic.flow()

    def demand(self, user_id: int, revision: int) -> None:
        """Hold the traffic to a revision from now on."""
        if self._traffic is not None:
            self._traffic.demand(user_id, revision)

    @property
    def shelf(self) -> Shelf:
        """What was opened."""
        if self._shelf is None:
            raise AssertionError("nothing was opened")
        return self._shelf


def main(descriptor: int) -> None:
    """Do what is asked until the other end is closed: each question is a method's name and what it is given."""
    worker = Worker()
    try:
        with Connection(descriptor) as connection:
            while True:
                name, arguments, named = connection.recv()
                try:
                    answer = (True, getattr(worker, name)(*arguments, **named))
                except Exception as error:  # noqa: BLE001  it is raised again where it was asked
                    answer = (False, f"{type(error).__name__}: {error}")
                connection.send(answer)
    except (EOFError, OSError):  # nobody asks any more
        pass
    finally:
        worker.close()
