"""Conditions of a request (RFC 9110 section 13.2.2): does the client hold what would be sent?

Its steps 3 and 4, which are about a read; `If-Match` and `If-Unmodified-Since` guard writes, which nobody caches.
"""

from __future__ import annotations

from typing import Final

from hotset.http.dates import moment
from hotset.http.etag import matches

READS: Final = ("GET", "HEAD")
"""The methods that read; no other is answered from a cache, or with 304."""


def not_modified(
    method: str, tag: str, loaded: float | None, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Tell whether 304 is the answer: the client names the tag, or sends no tag and a date not before the load.

    `loaded` is the moment that `Last-Modified` says, in seconds since the epoch; None if it says none. Fields that came
    on several lines are joined by a comma first. A date that is none, or several, is as if it were not there.
    """
    if method not in READS:
        return False
    if if_none_match is not None:
        return matches(if_none_match, tag)
    since = moment(if_modified_since) if if_modified_since is not None else None
    return since is not None and loaded is not None and int(loaded) <= since
