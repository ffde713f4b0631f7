"""Dates of HTTP (RFC 9110 section 5.6.7): one form is written, three are read, and no other."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_FORMS: Final = (
    re.compile(rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT", re.ASCII),
    re.compile(
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT", re.ASCII
    ),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[\d ]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII),
)


def date(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as HTTP writes it; what is less than a second is cut."""
    return formatdate(int(seconds), usegmt=True)


def moment(field: str) -> int | None:
    """Return the seconds since the epoch that a date means; None if it is none."""
    for form in _FORMS:
        if found := form.fullmatch(field.strip(" \t")):
            return _seconds(found)
    return None


def _seconds(found: re.Match[str]) -> int | None:
    year = int(found["year"])
    if len(found["year"]) == 2:  # noqa: PLR2004  two digits stand for a year that is at most 50 ahead
        this = datetime.now(UTC).year
        year += this - this % 100
        year -= 100 if year > this + 50 else 0
    numbers = [int(found[name]) for name in ("day", "hour", "minute", "second")]
    day, hour, minute, second = numbers
    try:
        at = datetime(year, _MONTHS.index(found["month"]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
    return int(at.timestamp()) + (second == 60) if second <= 60 else None  # noqa: PLR2004  60 is a leap second
