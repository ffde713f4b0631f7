"""Running the command line as its users do: in a process of its own, with a temporary directory that is watched."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import pytest

Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]

# Small enough for a second or two, large enough for hits, misses and waiting.
SMALL = ("--users", "200", "--requests", "300", "--threads", "4", "--tasks", "12")

# As from a terminal, also where the tests themselves are a background job, which ignores Ctrl-C, or run by nohup.
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from hotset.cli import main
sys.exit(main())
"""


def environment(temporary: Path, changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: no colours forced, no settings of hotset, and where temporary files go."""
    left_out = (
        "HOTSET_",
        "NO_COLOR",
        "FORCE_COLOR",
        "TTY_",
        "COLUMNS",
        "LINES",
        "TERM",
        "PYTHONPATH",
        "PYTHONIOENCODING",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**kept, "TMPDIR": str(temporary), "PYTHONPATH": paths, "PYTHONUTF8": "1", **changes}


class Command(subprocess.Popen[str]):
    """A command that is killed, not waited for, where its test fails inside the `with`."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.kill()
        super().__exit__(kind, error, trace)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start `hotset ARGUMENTS…`; its temporary files go to `tmp_path`."""

    def start(*arguments: str, **changes: str) -> subprocess.Popen[str]:
        return Command(
            [sys.executable, "-c", COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path, changes),
        )

    return start


@pytest.fixture
def run(start: Start) -> Run:
    """Run `hotset ARGUMENTS…` to its end."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        with start(*arguments, **changes) as process:
            out, err = process.communicate(timeout=50)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
