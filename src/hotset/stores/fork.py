"""What a forked child does with the connections of its parent: it lets go of them, without a word to the server."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Somebody who holds connections."""

    def forget(self) -> None:
        """Drop what was inherited. Called in the child, before anything else runs there; locks may be held for ever."""
        ...


_holders: WeakSet[Forked] = WeakSet()


def forget_on_fork(holder: Forked) -> None:
    """Have `holder.forget` called in every child, for as long as the holder lives."""
    _holders.add(holder)


def _in_child() -> None:
    for holder in list(_holders):
        holder.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
