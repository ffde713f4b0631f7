"""`hotset demo` as a whole: its figures agree with each other, and it leaves nothing behind however it ends."""

import json
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotset.cli.demo import Building, Ran, Running, Settings, story
from hotset.cli.trace import Trace
from tests.cli.conftest import SMALL, Run, Start

PHASES = ("threads_without", "threads_hotset", "tasks_without", "tasks_hotset")
SCENES = ("update_and_delete", "one_cold_key", "failing_source")


@pytest.fixture
def figures(run: Run) -> dict[str, Any]:
    """What `hotset demo --json` prints."""
    done = run("demo", "--json", *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    parsed = json.loads(done.stdout)  # nothing else may be there
    assert isinstance(parsed, dict)
    return parsed


def test_the_figures_agree(figures: dict[str, Any]) -> None:
    """Hits and misses are the requests, the cache saves queries, and every scene holds."""
    assert (figures["ok"], figures["problems"]) == (True, [])
    assert figures["database"]["users"] == 200
    assert tuple(figures["phases"]) == PHASES
    for name, phase in figures["phases"].items():
        assert phase["done"] == phase["requests"] == phase["hits"] + phase["misses"] == 300
        assert phase["workers"] == {"threads": 4, "tasks": 12}[phase["kind"]]
        assert phase["wrong"] == 0
        assert phase["cached"] == name.endswith("hotset")
        assert phase["query"]["p50_us"] <= phase["query"]["p99_us"]
        assert phase["requests_per_second"] > 0
    without, cached, awithout, acached = figures["phases"].values()
    assert without["queries"] == awithout["queries"] == 300
    # No more than the users asked for: each is loaded once, whoever asks at the same time.
    assert cached["queries"] == acached["queries"] == figures["trace"]["users"] < 300
    assert figures["queries_saved"] == 2 * (300 - figures["trace"]["users"])
    assert cached["hits"] > 0
    assert cached["misses"] >= cached["queries"]
    assert without["hits"] == 0
    assert tuple(figures["scenes"]) == SCENES
    assert all(scene["holds"] for scene in figures["scenes"].values())
    assert figures["scenes"]["update_and_delete"]["figures"]["old_reads"] == 0
    assert figures["scenes"]["update_and_delete"]["figures"]["first_reads"] == 10 * (4 + 12)
    assert figures["scenes"]["one_cold_key"]["figures"]["queries"] == 1
    assert figures["scenes"]["one_cold_key"]["figures"]["same_answers"] == 200


def test_what_is_read_fits_80_columns_and_needs_no_colour(run: Run, tmp_path: Path) -> None:
    """Piped into a file the demo is plain text of at most 80 columns that says all in words, and nothing is left."""
    done = run("demo", *SMALL, COLUMNS="200")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout
    for words in ("200 users", "300 requests", "hit ratio", "hit p99", "miss p99", "query p99", "queries saved", "µs"):
        assert words in done.stdout
    assert len(re.findall(r"^ +ok ", done.stdout, re.MULTILINE)) == len(SCENES)
    assert "All of it held." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_ascii_terminal_gets_ascii(run: Run) -> None:
    """Where the output's encoding has no µ the demo does without."""
    done = run("demo", *SMALL, "--requests", "30", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert " us " in done.stdout


def test_a_trace_of_ones_own_is_replayed(run: Run, tmp_path: Path) -> None:
    """A short trace is replayed to its end and called by its file's name."""
    trace = tmp_path / "mine.txt"
    trace.write_text("time,key,size\n" + "".join(f"{n},{n % 3},1\n" for n in range(30)))
    figures = json.loads(run("demo", "--json", "--trace", str(trace), *SMALL).stdout)
    assert figures["trace"] == {"name": "mine.txt", "requests": 30, "users": 3}
    assert figures["phases"]["threads_hotset"]["queries"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def endless(folder: Path) -> Path:
    """A trace that takes far longer than a test may."""
    path = folder / "endless.txt"
    path.write_text("key\n" + "".join(f"{n % 5000}\n" for n in range(200_000)))
    return path


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the process prints until a line begins with these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(words):
            return
    pytest.fail(f"it never said {words!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, a kill and a closed terminal end the demo with their exit code, one line, and an empty directory."""
    (tmp_path / "input").mkdir()
    trace = endless(tmp_path / "input")
    with start("demo", *SMALL, "--requests", "200000", "--trace", str(trace)) as process:
        until(process, "Trace")  # from here on it replays
        assert list(tmp_path.glob("hotset-demo-*"))
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert err == "hotset: stopped; the database is removed again\n"
    assert [path.name for path in tmp_path.iterdir()] == ["input"]


def test_a_reader_who_goes_away_ends_it_quietly(start: Start, tmp_path: Path) -> None:
    """`hotset demo | head -1` ends without a traceback, and nothing is left."""
    with start("demo", *SMALL) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hotset demo")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []


class Enough(Exception):
    """Raised by the check to end a story."""


def counting(calls: int) -> Callable[[], None]:
    """A check that ends the story at this call."""
    left = iter(range(calls))

    def check() -> None:
        if next(left, None) is None:
            raise Enough

    return check


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary directories are made now; empty at the test's end, as no thread of the demo is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hotset-demo")]


def settings(requests: int) -> Settings:
    """A run that is over soon."""
    return Settings(Trace("made", [str(n % 50) for n in range(requests)]), users=100, threads=3, tasks=5, seed=1)


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("calls", [0, 1, 5, 100, 210, 225])
def test_a_story_ends_wherever_the_check_says_so(calls: int) -> None:
    """While it builds, probes, replays or plays: what the check raises comes out, and nothing is left."""
    with pytest.raises(Enough):
        for _ in story(settings(requests=2_000), counting(calls)):
            pass


@pytest.mark.parametrize("kind", [Building, Running, Ran])
def test_a_story_that_is_closed_leaves_nothing(temporary: Path, kind: type) -> None:
    """Closing the story after any event removes the database and ends every thread before `close` returns."""
    told = story(settings(requests=50_000 if kind is Running else 50), lambda: None)
    assert any(isinstance(event, kind) for event in told)
    assert list(temporary.iterdir())
    told.close()
