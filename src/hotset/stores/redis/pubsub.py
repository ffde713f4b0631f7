"""Messages between processes, for servers that do not track what was read (PROTOCOL 5.3).

Where CLIENT TRACKING is refused, whoever ends something says so itself, on the namespace's channel, behind the command
that ended it; a link that has subscribed hears it. The rest is as with tracking: a copy is kept once its mark was read
on the link. That read comes behind the subscription, so what ended before it shows another mark, and what ends after
it is heard; and a ping that is answered proves that all messages from before it were heard. A fill, which ends
nothing, says nothing. Writers that are no hotset say nothing either: their bound is the ttl.

Who may track does not speak: all users of a namespace need the same rights.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from hotset.stores.base import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORGET: Final = b"forget "
_LENGTH: Final = struct.Struct("<I")


def message(keys: Iterable[bytes]) -> bytes:
    """Return the message that these keys have changed."""
    return _FORGET + b"".join(_LENGTH.pack(len(key)) + key for key in keys)


def keys_of(said: object) -> list[bytes] | None:
    """Return the keys of a message; None, which is all of them, for what nobody understands."""
    if not isinstance(said, bytes) or not said.startswith(_FORGET):
        return None
    keys: list[bytes] = []
    at, end = len(_FORGET), len(said)
    while at < end:
        start = at + _LENGTH.size
        if start > end:
            return None
        at = start + _LENGTH.unpack_from(said, at)[0]
        if at > end:
            return None
        keys.append(said[start:at])
    return keys


def spoken(commands: Sequence[Command], channel: bytes, keys: Iterable[bytes]) -> list[Command]:
    """Return the commands of an ending with its message behind them.

    Scripts are sent in full: one that the server did not know would be sent again behind the message, and whoever read
    between the two would never hear of it.
    """
    return [*(command.in_full() for command in commands), Command(("PUBLISH", channel, message(keys)))]
