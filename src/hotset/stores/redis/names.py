"""What a namespace's keys are called in Redis, and back (PROTOCOL 3).

hs1:<ns>:<key>          an entry              {hs1:<ns>:<key>}:r   its refresh lease, in the same slot
                        a source that may lag behind its ending, in the same slot   {hs1:<ns>:<key>}:h
hs1:{<ns>}:gen|seq|runs the namespace's epochs  hs1:{<ns>}:t:<tag>   a tag's record, all in one slot
hs1:{<ns>}:hold         a source that may lag   hs1:{<ns>}:h:<tag>   the same of a tag, in that slot too

Braces and `%` in a key are percent-escaped, so that all of its name is hashed; a namespace escapes more (see `Space`).
A digest keeps its own mark, `%~`, which no escaped text holds. Empty braces are not hashed alone, so the epochs of the
outermost namespace, which has an empty name, stand under `%`, which no escaped name is.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from hotset.entry.names import Digest, Name

_ESCAPES: Final = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})
_DIGEST: Final = "%~"
_OUTERMOST: Final = "%"


class Names:
    """The names of one namespace, which comes escaped."""

    __slots__ = ("_entry", "_held", "_tag", "bus", "gen", "hold", "namespace", "runs", "seq")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._entry = f"hs1:{namespace}:"
        epochs = f"hs1:{{{namespace or _OUTERMOST}}}:"
        self.bus = channel(namespace)
        self.gen = f"{epochs}gen".encode()
        self.seq = f"{epochs}seq".encode()
        self.runs = f"{epochs}runs".encode()
        self.hold = f"{epochs}hold".encode()
        self._tag = f"{epochs}t:"
        self._held = f"{epochs}h:"

    def entry(self, name: Name) -> bytes:
        """Return the key of an entry."""
        if isinstance(name, str):
            return (self._entry + name.translate(_ESCAPES)).encode()
        readable, mark, digest = name.text.rpartition(_DIGEST)
        return f"{self._entry}{readable.translate(_ESCAPES)}{mark}{digest}".encode()

    def side(self, name: Name) -> bytes:
        """Return the key of an entry's refresh lease."""
        return b"{%b}:r" % self.entry(name)

    def tag(self, tag: str) -> bytes:
        """Return the key of a tag's record."""
        return (self._tag + tag.translate(_ESCAPES)).encode()

    def held(self, name: Name) -> bytes:
        """Return the key that tells until when the source may lag behind an ending of an entry."""
        return b"{%b}:h" % self.entry(name)

    def held_tag(self, tag: str) -> bytes:
        """Return the key that tells the same of a tag."""
        return (self._held + tag.translate(_ESCAPES)).encode()

    @property
    def entries(self) -> bytes:
        """A pattern for SCAN: every entry of this namespace, none of its children's."""
        literal = "".join(f"\\{char}" if char in "*?[]\\^-" else char for char in self._entry)
        return f"{literal}*".encode()

    def name(self, key: bytes) -> Name | None:
        """Return the name of the entry that a key is of; None for no entry of this namespace."""
        try:
            text = key.decode()
        except UnicodeDecodeError:
            return None
        return _name(text.removeprefix(self._entry)) if text.startswith(self._entry) else None


def channel(namespace: str) -> bytes:
    """Return the channel on which the endings of a namespace are told, where the server does not."""
    return f"hs1:{{{namespace or _OUTERMOST}}}:bus".encode()


def parse(key: bytes) -> tuple[str, str, Name | None]:
    """Return namespace, kind ("entry", "lease", "tag", "gen", "seq", "runs", or "foreign") and name or tag of a key."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return "", "foreign", None
    if text.startswith("{hs1:") and text.endswith("}:r"):
        namespace, kind, name = parse(text[1:-3].encode())
        return namespace, "lease" if kind == "entry" else "foreign", name
    if not text.startswith("hs1:"):
        return "", "foreign", None
    if text.startswith("hs1:{"):
        namespace, end, rest = text[5:].partition("}:")
        namespace = "" if namespace == _OUTERMOST else namespace
        if end and rest.startswith("t:"):
            return namespace, "tag", unquote(rest[2:])
        return (namespace, rest, None) if rest in {"gen", "seq", "runs"} else ("", "foreign", None)
    namespace, end, rest = text[4:].partition(":")
    return (namespace, "entry", _name(rest)) if end else ("", "foreign", None)


def _name(escaped: str) -> Name:
    readable, mark, digest = escaped.rpartition(_DIGEST)
    return Digest.restored(f"{unquote(readable)}{mark}{digest}") if mark else unquote(escaped)
