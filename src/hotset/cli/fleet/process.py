"""A process of the fleet as seen from the demo: started afresh, asked over a socket, gone when the demo is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, final

from hotset.errors import HotsetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotset.cli.fleet.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")

# Imported, and not run as a script: what is sent to and fro has the same name in both processes.
_PROGRAM = "import sys; from hotset.cli.fleet.worker import main; main(int(sys.argv[1]))"

_TICK = 0.05
_PATIENCE = 60.0

# What a process may take to let go by itself; then it is killed, which harms nothing: its keys are removed afterwards.
_FAREWELL = 1.5


class WorkerFailed(HotsetError):
    """A process of the fleet ended, or could not do what it was asked."""


@final
class Process:
    """One worker process. `close` it."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        ours, theirs = socket.socketpair()
        with theirs:
            self._connection = Connection(ours.detach())
            # In a session of its own: Ctrl-C in the terminal is the demo's to act on. When the demo is gone, however
            # that came, the socket is closed, and the process ends.
            self._process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"<Process {self.pid}>"

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid

    def ask(self, method: Callable[Concatenate[Worker, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """Have it do something, and return what came of it.

        Raises:
            WorkerFailed: it has ended, or it could not.
        """
        self.begin(method, *arguments, **named)
        return self.result(method)

    def begin(self, method: Callable[Concatenate[Worker, P], T], *arguments: P.args, **named: P.kwargs) -> None:
        """Have it begin to do something; `result` waits for it."""
        try:
            self._connection.send((method.__name__, arguments, named))
        except OSError:
            raise self._lost() from None

    def result(self, method: Callable[Concatenate[Worker, P], T]) -> T:  # noqa: ARG002  it says which type comes back
        """Return what came of the thing that was begun."""
        deadline = time.monotonic() + _PATIENCE
        try:
            while not self._connection.poll(_TICK):
                self._check()
                if time.monotonic() > deadline:
                    raise WorkerFailed(f"process {self.pid} has not answered for {_PATIENCE:g} s")
            done, answer = self._connection.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        if not done:
            raise WorkerFailed(f"process {self.pid}: {answer}")
        result: Any = answer
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """Send it home, and return when it is gone."""
        self._connection.close()
        try:
            self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _lost(self) -> WorkerFailed:
        self._connection.close()
        try:
            how = f"exit code {self._process.wait(_FAREWELL)}"
        except subprocess.TimeoutExpired:
            how = "it hangs"
        return WorkerFailed(f"process {self.pid} has ended in the middle of it ({how})")
