"""A crew: threads, and tasks of one event loop in a thread of its own, that work until their work is done or ended."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    Job = Callable[[], None]
    Task = Callable[[], Coroutine[Any, Any, None]]


@final
class Crew:
    """Runs `jobs`, each in a thread, and `tasks`, all in one loop, while its `with` block lasts.

    Leaving the block calls `halt`, which must make every job and task come to its end, and waits for them: no thread
    outlives it. What the first of them raised is raised by `finished`.
    """

    __slots__ = ("_failure", "_finished", "_halt", "_left", "_lock", "_tasks", "_threads")

    def __init__(self, *, halt: Callable[[], None], jobs: Sequence[Job] = (), tasks: Sequence[Task] = ()) -> None:
        self._halt = halt
        self._tasks = tasks
        work: list[Job] = [*jobs, *([self._loop] if tasks else [])]
        self._threads = [threading.Thread(target=self._run, args=(job,), name="hotset-demo") for job in work]
        self._left = len(work)
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Crew {len(self._threads)} threads, {len(self._tasks)} tasks, {self._left} at work>"

    def __enter__(self) -> Self:
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._halt()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()

    def finished(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end of all work, and say whether it has come."""
        finished = self._finished.wait(timeout)
        if self._failure is not None:
            raise self._failure
        return finished

    def _run(self, job: Job) -> None:
        try:
            job()
        except BaseException as failure:  # noqa: BLE001  it is raised again, in the thread that asks
            self._fail(failure)
        finally:
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._finished.set()

    def _loop(self) -> None:
        async def gather() -> None:
            await asyncio.gather(*(self._arun(task) for task in self._tasks))

        asyncio.run(gather())

    async def _arun(self, task: Task) -> None:
        try:
            await task()
        except Exception as failure:  # noqa: BLE001  as in _run; the other tasks end as threads do, when halted
            self._fail(failure)

    def _fail(self, failure: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or failure
        self._halt()
