"""Commands into bytes and bytes into replies, where an error reply is a value like any other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import hiredis

from hotset.stores.base import Command, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.stores.base import Reply

UNREAD: Final = object()
"""What a reader returns while a reply has not come in full."""
CHUNK: Final = 65536
"""How much is read at once, in bytes."""
_READS: Final = frozenset({"GET", "GETRANGE", "MGET"})


def new_reader() -> hiredis.Reader:
    """Return a parser of RESP2: `feed` it, and `gets` returns the next Reply, or UNREAD."""
    as_value: Any = refused  # hiredis puts what this returns in the reply's place; its types want an exception
    return hiredis.Reader(replyError=as_value, notEnoughData=UNREAD)


def refused(text: str) -> Refused:
    """Return an error reply as a value."""
    code, _, message = text.partition(" ")
    return Refused(code, message) if re.fullmatch(r"[A-Z][A-Z0-9_]*", code) else Refused("ERR", text)


def pack(commands: Sequence[Command]) -> bytes:
    """Return the packet that carries the commands.

    Raises:
        TypeError: An argument is none of bytes, str and int.
    """
    if len(commands) == 1:
        return hiredis.pack_command(commands[0].args)  # type: ignore[arg-type,no-any-return]  # it takes any length
    return b"".join([hiredis.pack_command(command.args) for command in commands])  # type: ignore[arg-type]  # as above


def unknown_scripts(commands: Sequence[Command], replies: Sequence[Reply]) -> dict[int, Command]:
    """Return, by their places, the commands whose script the server does not know, with the script sent in full.

    A plain read that came after one of them is in it too: it was to see what that one had done.
    """
    if Refused not in map(type, replies):  # nearly always
        return {}
    again: dict[int, Command] = {}
    for place, (command, reply) in enumerate(zip(commands, replies, strict=True)):
        if command.script is not None and isinstance(reply, Refused) and reply.code == "NOSCRIPT":
            again[place] = command.in_full()
        elif again and command.args[0] in _READS:
            again[place] = command
    return again
