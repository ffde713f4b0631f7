"""What a reply to a command of ours holds; a refusal is raised, as what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from hotset.errors import StoreRefused, StoreUnavailable
from hotset.stores.base import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.stores.base import Reply

_AWAY: Final = frozenset({"LOADING", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS"})
"""Refusals that say nothing of one command but of the server: it is as good as away."""


def sound(reply: Reply) -> Reply:
    """Return a reply that is no refusal; else raise what the refusal means."""
    if isinstance(reply, Refused):
        if reply.code in _AWAY:
            raise StoreUnavailable(f"the server answered {reply.code}: {reply.message}")
        raise StoreRefused(f"the server refused: {reply.code} {reply.message}")
    return reply


def done(replies: Sequence[Reply]) -> None:
    """Raise what the first refusal among replies means."""
    for each in replies:
        sound(each)


def some(reply: Reply) -> bytes:
    """Return bytes, none for what is of another type."""
    return reply if isinstance(reply, bytes) else b""


def array(reply: Reply) -> list[Reply]:
    """Return a list. Raises as `sound`."""
    return cast("list[Reply]", sound(reply))


def raw(reply: Reply) -> bytes:
    """Return bytes. Raises as `sound`."""
    return cast("bytes", sound(reply))


def whole(reply: Reply) -> int:
    """Return a whole number. Raises as `sound`."""
    return cast("int", sound(reply))


def text(reply: Reply) -> str:
    """Return a word. Raises as `sound`."""
    return raw(reply).decode()
