"""What the core asks of a store whose values other programs share: plain bytes under plain keys, and no protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.stores.protocol import Operation


class PlainOperations(Protocol):
    """The steps. A key is what the store calls it: whatever prefix there is stands before it."""

    def get(self, key: bytes) -> Operation[bytes | None]:
        """Read; None where nothing stands, or something that is no string of bytes."""
        ...

    def set(self, key: bytes, value: bytes, seconds: int) -> Operation[None]:
        """Write, whatever stood there, for so many whole seconds."""
        ...

    def unlink(self, keys: Sequence[bytes]) -> Operation[int]:
        """Remove; return how many were there."""
        ...

    def scan(self, cursor: int, prefix: bytes, match: bytes) -> Operation[tuple[int, list[bytes]]]:
        """Return the next cursor, 0 at the end, and some keys that begin with `prefix` and go on as `match` says.

        A key that is there from the first to the last call is returned, perhaps twice.
        """
        ...
