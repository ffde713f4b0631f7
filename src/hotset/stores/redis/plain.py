"""The commands for values that other programs read and write too: GET, SET … EX, UNLINK, SCAN."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from hotset.stores.base import Command, Refused
from hotset.stores.protocol import Operation
from hotset.stores.redis.answers import sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.stores.base import Identity, Reply

_PAGE: Final = 1_000
"""So many keys SCAN looks at in one go, and about so many UNLINK takes: each holds the server up for some 100 µs."""
_SPECIAL: Final = re.compile(rb"([*?\[\]\\^-])")


class RedisPlain:
    """The steps: see `stores.plain.PlainOperations`."""

    __slots__ = ()

    def get(self, key: bytes) -> Operation[bytes | None]:
        """Read; None where nothing stands, or something that is no string of bytes."""

        def parse(_: Identity, replies: list[Reply]) -> bytes | None:
            reply = replies[0]
            if isinstance(reply, Refused) and reply.code == "WRONGTYPE":
                return None
            found: Any = sound(reply)
            return found  # type: ignore[no-any-return]

        return Operation(lambda _: [Command(("GET", key))], parse)

    def set(self, key: bytes, value: bytes, seconds: int) -> Operation[None]:
        """Write, whatever stood there, for so many whole seconds."""

        def parse(_: Identity, replies: list[Reply]) -> None:
            sound(replies[0])

        return Operation(lambda _: [Command(("SET", key, value, "EX", seconds))], parse)

    def unlink(self, keys: Sequence[bytes]) -> Operation[int]:
        """Remove; return how many were there."""

        def parse(_: Identity, replies: list[Reply]) -> int:
            found: Any = sound(replies[0])
            return found  # type: ignore[no-any-return]

        return Operation(lambda _: [Command(("UNLINK", *keys))], parse)

    def scan(self, cursor: int, prefix: bytes, match: bytes) -> Operation[tuple[int, list[bytes]]]:
        """Return the next cursor, 0 at the end, and some keys that begin with `prefix` and go on as `match` says."""
        literal = _SPECIAL.sub(rb"\\\1", prefix)
        command = Command(("SCAN", cursor, "MATCH", literal + match, "COUNT", _PAGE))

        def parse(_: Identity, replies: list[Reply]) -> tuple[int, list[bytes]]:
            reply: Any = sound(replies[0])
            following, keys = reply
            return int(following), keys

        return Operation(lambda _: [command], parse)
