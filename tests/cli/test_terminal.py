"""The demo on a terminal: alive while it runs, the terminal as it was when it has ended."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, SMALL, environment

Watch = Callable[..., tuple[int, str]]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Run `hotset ARGUMENTS…` on a terminal of 80 columns; return its exit code and all that was written there."""

    def watch(*arguments: str, columns: int = 80, interrupt_at: str = "", **changes: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(tmp_path, {"TERM": "xterm-256color", **changes}),
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
                if interrupt_at and interrupt_at.encode() in seen:
                    process.send_signal(2)
                    interrupt_at = ""
        except OSError:  # how Linux tells that nobody holds the other end any more
            pass
        finally:
            os.close(ours)
        return process.wait(timeout=30), seen.decode()

    return watch


def styles(seen: str) -> set[str]:
    """The parameters of every change of style."""
    return {number for found in re.findall(r"\x1b\[([\d;]*)m", seen) for number in found.split(";")}


def lines(seen: str) -> list[str]:
    """What was written between two ends of line, without control sequences."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen).replace("\r", "\n").split("\n")


def test_a_terminal_shows_how_it_goes(watch: Watch) -> None:
    """On a terminal each replay is drawn while it runs, in 80 columns, and the cursor is there again at the end."""
    code, seen = watch("demo", *SMALL)
    assert code == 0
    assert "building the database" in seen
    assert any(re.fullmatch(r"\[━* *\] 4 threads, no cache: [\d,]+ of 300", line) for line in lines(seen))
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert max(map(len, lines(seen))) <= 80
    assert "28" in styles(seen)
    assert not styles(seen) & {"2", "33", "93"}  # nothing dim, nothing yellow


def test_a_narrow_terminal_without_colours_is_served(watch: Watch) -> None:
    """On 64 columns nothing is wider, and with NO_COLOR set there is bold and nothing else."""
    code, seen = watch("demo", *SMALL, columns=64, NO_COLOR="1")
    assert code == 0
    assert max(map(len, lines(seen))) <= 64
    assert styles(seen) == {"0", "1"}


def test_ctrl_c_gives_the_terminal_back(watch: Watch, tmp_path: Path) -> None:
    """Interrupted while it draws, the demo shows the cursor again, says one line and leaves nothing."""
    code, seen = watch("demo", *SMALL, "--requests", "50000", interrupt_at="no cache: ")
    assert code == 130
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert lines(seen)[-3:] == ["hotset: stopped; the database is removed again", "", ""]
    assert "Traceback" not in seen
    assert list(tmp_path.iterdir()) == []


def test_figures_for_machines_may_be_watched(watch: Watch) -> None:
    """With --json on a terminal the screen goes to stderr, and the JSON follows."""
    code, seen = watch("demo", "--json", *SMALL, "--requests", "30")
    assert code == 0
    assert seen.index("hotset demo: user profiles") < seen.index('{\r\n  "hotset"')
