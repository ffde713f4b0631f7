"""Ending early and leaving nothing behind: signals become a flag that the demo looks at where it can let go cleanly."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# SIGHUP (the terminal was closed) is unknown to Windows.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@final
class Stopped(BaseException):
    """A signal asked for the end. Not an `Exception`: no handler of errors may take it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.exit_code = 128 + number


@final
class Stop:
    """Whether the end was asked for, and by which signal."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number: int | None = None

    def __repr__(self) -> str:
        return f"<Stop requested={self.requested}>"

    @property
    def requested(self) -> bool:
        """Whether a signal asked for the end."""
        return self._number is not None

    def check(self) -> None:
        """Return, or raise `Stopped` if a signal asked for the end."""
        if self._number is not None:
            raise Stopped(self._number)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that end a program (Ctrl-C among them) while the block runs; only in the main thread."""
        before = {
            number: handler
            for number in (getattr(signal, name, None) for name in _NAMES)
            # Ignored by whoever started us (nohup, a shell's background job): then it stays ignored.
            if number is not None and (handler := signal.getsignal(number)) is not signal.SIG_IGN
        }
        for number in before:
            signal.signal(number, self._ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        # An exception raised here would strike anywhere: in a lock's release, or between a directory's making and the
        # line that knows of it. Only the second one does, for whoever has no patience.
        del frame
        if self._number is not None:
            raise Stopped(number)
        self._number = number
