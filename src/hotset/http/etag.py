"""Entity tags (RFC 9110 section 8.8.3): a digest of the bytes that are sent, and the lists that clients send back."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

_BYTES: Final = 16  # 128 bits: two bodies of one resource share a tag by chance in no lifetime
_ONE: Final = re.compile(r'[ \t]*(?:(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|\Z)')


def etag(body: bytes) -> str:
    """Return the strong entity tag of a body: the same in every process, on every machine, after every restart."""
    return f'"{blake2b(body, digest_size=_BYTES).hexdigest()}"'


def listed(field: str) -> frozenset[str]:
    """Return the entity tags of an `If-None-Match`, weak ones without their `W/`; none if it is no list of tags.

    One bad member makes all of it suspect, and not to match only costs a full answer.
    """
    found: set[str] = set()
    at = 0
    while at < len(field):
        member = _ONE.match(field, at)
        if member is None:
            return frozenset()
        if member[1]:
            found.add(member[1])
        at = member.end()
    return frozenset(found)


def matches(field: str, tag: str) -> bool:
    """Tell whether an `If-None-Match` names the tag, by weak comparison, or is `*`."""
    return field.strip(" \t") == "*" or tag.removeprefix("W/") in listed(field)
