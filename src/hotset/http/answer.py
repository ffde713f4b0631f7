"""One answer of an origin server that caches: its status and the fields that say how long it holds, and why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotset.http.conditions import not_modified
from hotset.http.dates import date
from hotset.http.etag import etag
from hotset.http.status import CacheStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotset.core.told import Told
    from hotset.http.control import CacheControl


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides how it is answered; fields that came on several lines are joined by a comma."""

    method: str
    if_none_match: str | None = None
    if_modified_since: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer. With 304 no body is sent, nor a field that describes one."""

    status: int
    """200 or 304."""
    fields: dict[str, str]
    """ETag, Cache-Control, Cache-Status; Last-Modified and Vary where there is something to say."""


def answer(
    asked: Asked, body: bytes, told: Told, control: CacheControl, *, vary: Iterable[str] = (), key: str | None = None
) -> Answer:
    """Return how to answer with `body`, made of a value that was read as `told`; `key` is shown if it is given.

    No `Age` goes with it: `max-age` is what is left already, and who receives an `Age` takes it off once more
    (RFC 9111 section 4.2.3).
    """
    tag, loaded = etag(body), last_modified(told.age)
    fields = {"ETag": tag, "Cache-Control": control.field(told.left)}
    if named := ", ".join(dict.fromkeys(vary)):
        fields["Vary"] = named
    fields["Cache-Status"] = CacheStatus(told.forward, told.left, told.stored, told.collapsed, key, told.past).field()
    if not_modified(asked.method, tag, loaded, asked.if_none_match, asked.if_modified_since):
        return Answer(304, fields)
    if loaded is not None:
        fields["Last-Modified"] = date(loaded)
    return Answer(200, fields)


def last_modified(age: float) -> float | None:
    """Return when a value of this age was loaded, in seconds since the epoch; None while that second is not over.

    In its first second another load could follow under the same date, and a client that holds the older one would be
    told that nothing has changed.
    """
    now = time.time()
    loaded = now - max(age, 0.0)
    return loaded if int(loaded) < int(now) else None
