"""The pace of warming, and who is told how far it has come."""

from __future__ import annotations

import io
import math

import pytest

from hotset import Cache
from hotset.core.progress import Bar, drawn
from hotset.core.warm import Pace, Warming
from hotset.options import Options
from tests.unit.test_warm import Table, Warm, each_face


@pytest.mark.parametrize("rate, size", [(10_000, 100), (200, 20), (5, 1), (0.1, 1), (math.inf, 100)])
def test_batches_are_as_small_as_the_rate_wants_them(rate: float, size: int) -> None:
    """A tenth of a second's at the most."""

    class Source:
        what, size, options = "x", 100, Options()

    assert Warming(Cache()._space, [], Source(), Pace(1, rate, None))._size == size  # type: ignore[arg-type]


@each_face
def test_no_more_are_loaded_in_a_second_than_the_rate_says(warm: Warm) -> None:
    """Only what is loaded counts; what is skipped costs the source nothing."""
    cache, table = Cache(), Table()
    for number in range(2_000):
        cache.set(f"there{number}", 1)
    keys = [*(f"there{number}" for number in range(2_000)), *(f"k{number}" for number in range(60))]
    warmed = warm(cache, keys, table.load, rate=200)
    assert warmed.loaded == 60
    assert 0.2 <= warmed.seconds < 5, "the first tenth of a second's at once, then two more"


def test_each_step_is_told_and_never_goes_back() -> None:
    """With how many there are, where that is known."""
    steps: list[tuple[int, int | None]] = []
    Cache().warm([f"k{n}" for n in range(950)], Table().load, progress=lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps)
    assert steps[-1] == (950, 950)
    assert len(steps) == 10


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        """As a terminal says."""
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_terminal_shows_a_line_and_nothing_else_does(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error; also when it is broken off."""
    stream = kind()
    monkeypatch.setattr("sys.stderr", stream)
    Cache().warm([f"k{n}" for n in range(250)], Table().load)
    said = stream.getvalue()
    assert said.endswith("\n") == (kind is Terminal)
    assert ("250 of 250" in said) == (kind is Terminal)
    monkeypatch.setattr("sys.stderr", None)
    assert Cache().warm(["a"], Table().load).loaded == 1


def test_the_line_says_how_far_and_how_fast() -> None:
    """And what is left, where that is known."""
    assert drawn(50, 200, 5.0) == f"warming [{'#' * 5}{' ' * 15}] 25 %  50 of 200  10/s  15 s left"
    assert drawn(50, None, 5.0) == "warming 50  10/s"
    assert drawn(0, 0, 0.0) == "warming 0  0/s"
    stream = io.StringIO()
    stream.close()
    bar = Bar(stream)
    bar(1, 2)
    bar.close()
