"""What a forked child does with the connections of its parent: it lets go of them, without a word to the server."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

from hotset.errors import ConfigError


class Forked(Protocol):
    """Somebody who holds connections."""

    def forget(self) -> None:
        """Drop what was inherited. Called in the child, before anything else runs there; locks may be held for ever."""
        ...


_holders: WeakSet[Forked] = WeakSet()
_pid = os.getpid()
"""The process that this was last told of."""


def forget_on_fork(holder: Forked) -> None:
    """Have `holder.forget` called in every child, for as long as the holder lives."""
    _holders.add(holder)


def need_hooks() -> None:
    """Refuse, with a ConfigError, to talk on connections of a parent: of a child that Python was not told of."""
    if os.getpid() != _pid:
        raise ConfigError(
            "tiers: this process was forked behind Python's back, and its connections to the store are its parent's; "
            "with uWSGI set py-call-osafterfork = true, or lazy-apps = true"
        )


def _in_child() -> None:
    global _pid  # noqa: PLW0603  there is one process
    _pid = os.getpid()
    for holder in list(_holders):
        holder.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
