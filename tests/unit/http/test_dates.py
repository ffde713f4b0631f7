"""Dates of HTTP: three forms, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset.http.dates import date, moment

SUNDAY = 784_111_777  # the example of RFC 9110 section 5.6.7


@pytest.mark.parametrize(
    "field",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        " Sun, 06 Nov 1994 08:49:37 GMT ",
    ],
)
def test_the_three_forms_are_one_moment(field: str) -> None:
    """RFC 9110 has a recipient read the two obsolete forms beside its own."""
    assert moment(field) == SUNDAY


@pytest.mark.parametrize(
    "field",
    [
        "", "yesterday", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT", "784111777",
    ],
)  # fmt: skip
def test_what_is_no_date(field: str) -> None:
    """Other forms, other zones, days that no month has, and two dates are none."""
    assert moment(field) is None


def test_a_leap_second_is_the_next_second() -> None:
    """23:59:60 is a time of HTTP, and Python has none."""
    assert moment("Sat, 31 Dec 2016 23:59:60 GMT") == 1_483_228_800


def test_a_year_of_two_digits_is_the_nearest_past() -> None:
    """RFC 9110: what looks more than 50 years ahead is the last year with these digits."""
    assert moment("Friday, 01-Jan-99 00:00:00 GMT") == 915_148_800


@given(st.floats(0, 250_000_000_000))
def test_what_is_written_is_read(seconds: float) -> None:
    """A date is read as the second that it was made of."""
    assert moment(date(seconds)) == int(seconds)


@given(
    st.text(max_size=40)
    | st.from_regex(r"\A[A-Z][a-z]{2,8},? \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d( GMT)?\Z")
)
def test_no_field_breaks_the_reading(field: str) -> None:
    """A hostile field is a moment or nothing, and never an error."""
    assert moment(field) is None or isinstance(moment(field), int)
