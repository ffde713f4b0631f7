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
_READ_ONLY_CALLS: Final = (7,)  # EVALSHA_RO and EVAL_RO are of Redis 7


def new_reader() -> hiredis.Reader:
    """Return a parser of RESP2: `feed` it, and `gets` returns the next Reply, or UNREAD."""
    as_value: Any = refused  # hiredis puts what this returns in the reply's place; its types want an exception
    return hiredis.Reader(replyError=as_value, notEnoughData=UNREAD)


def refused(text: str) -> Refused:
    """Return an error reply as a value.

    Before Redis 7 a script's failed call is wrapped: "ERR Error running script (…): @user_script:1: -OOM command …";
    what counts is what is inside.
    """
    inner = re.search(r"@user_script: ?\d+: -([A-Z]+ .*)", text)
    code, _, message = (inner[1] if inner else text).partition(" ")
    return Refused(code, message) if re.fullmatch(r"[A-Z][A-Z0-9_]*", code) else Refused("ERR", text)


def pack(commands: Sequence[Command], version: tuple[int, ...]) -> bytes:
    """Return the packet that carries the commands to a server of that version.

    Raises:
        TypeError: An argument is none of bytes, str and int.
    """
    if version < _READ_ONLY_CALLS:
        commands = [_for_old(command) for command in commands]
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
        script = command.script
        if script is not None and isinstance(reply, Refused) and reply.code == "NOSCRIPT":
            name = "EVAL_RO" if script.reads_only else "EVAL"
            again[place] = Command((name, script.source, *command.args[2:]), script)
        elif again and command.args[0] in _READS:
            again[place] = command
    return again


def _for_old(command: Command) -> Command:
    name = command.args[0]
    if command.script is None or not isinstance(name, str):
        return command
    return command._replace(args=(name.removesuffix("_RO"), *command.args[1:]))
