"""Signals that end the demo: the first is a wish, the second an order, and what was ignored stays ignored."""

import signal
from collections.abc import Iterator

import pytest

from hotset.cli.stop import Stop, Stopped

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """No signal is ignored, whoever started the tests; afterwards all is as before."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_noticed_at_the_next_check(number: signal.Signals) -> None:
    """The signal itself interrupts nothing; `check` raises, with the exit code that shells give to that signal."""
    stop = Stop()
    with stop.listening():
        stop.check()
        signal.raise_signal(number)
        with pytest.raises(Stopped) as stopped:
            stop.check()
    assert stopped.value.exit_code == 128 + number


def test_the_second_signal_does_not_wait() -> None:
    """Whoever presses Ctrl-C twice is out at once."""
    stop = Stop()
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)


def test_an_ignored_signal_stays_ignored() -> None:
    """Under nohup, or as a shell's background job, the demo is not ended by what its parent told it to ignore."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = Stop()
    with stop.listening():
        signal.raise_signal(signal.SIGHUP)
        stop.check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_handlers_are_as_before_afterwards() -> None:
    """Listening ends with its block."""
    with Stop().listening():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert [signal.getsignal(number) for number in ENDING] == [signal.SIG_DFL] * 3
