"""Cache-Status (RFC 9211): how a cache came to an answer. A list of structured fields (RFC 9651), only written here.

Three types of item are needed, and none is read: fewer lines than a library's set-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hotset.http.control import whole

Forward: TypeAlias = Literal["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"]
"""Why a request went on to the source (RFC 9211 section 2.2)."""


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """How a cache came to an answer: a hit, or what made it ask the source, and what it did with what it got."""

    forward: Forward | None = None
    """Why the source was asked; None: it was not, this is a hit."""
    left: float | None = None
    """Seconds until the entry stops being fresh; below zero when that is past. None: not known."""
    stored: bool = False
    """Whether what the source gave was kept."""
    collapsed: bool = False
    """Whether it was somebody else's question to the source that gave the answer."""
    key: str | None = None
    """The entry's key, for eyes that may see it."""
    detail: str | None = None
    """Why, in words."""

    def field(self) -> str:
        """Return the field's value, as `hotset; hit; ttl=42`."""
        said = ["hotset", f"fwd={self.forward}" if self.forward else "hit"]
        if self.left is not None:
            said.append(f"ttl={whole(self.left) if self.left >= 0 else -whole(-self.left) - 1}")
        said.extend(flag for flag in ("stored", "collapsed") if getattr(self, flag))
        if self.key is not None:
            said.append(f"key={_string(self.key)}")
        if self.detail is not None:
            said.append(f"detail={_string(self.detail)}")
        return "; ".join(said)


def _string(text: str) -> str:
    """Return a text as a structured field's string, which holds printable ASCII only: the rest is percent-encoded."""
    shown = "".join(
        char if " " <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode(errors="surrogatepass"))
        for char in text
    )
    return '"' + shown.replace("\\", r"\\").replace('"', r"\"") + '"'
