"""RFC 9110 section 13.2.2: when 304 is the answer."""

from __future__ import annotations

import pytest

from hotset.http.conditions import not_modified
from hotset.http.dates import date
from hotset.http.etag import etag

TAG = etag(b"body")
OTHER = etag(b"another")
LOADED = 784_111_777.9


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_holds_it_is_told_so(method: str) -> None:
    """By tag, by any tag, and without one by a date that is not before the load."""
    assert not_modified(method, TAG, LOADED, TAG, None)
    assert not_modified(method, TAG, LOADED, "*", None)
    assert not_modified(method, TAG, LOADED, None, date(LOADED))
    assert not_modified(method, TAG, LOADED, None, date(LOADED + 5))
    assert not not_modified(method, TAG, LOADED, None, date(LOADED - 1))
    assert not not_modified(method, TAG, LOADED, None, None)


def test_a_tag_wins_over_a_date() -> None:
    """Step 3 comes before step 4: a date says nothing where there is a tag, even a broken one."""
    assert not not_modified("GET", TAG, LOADED, OTHER, date(LOADED))
    assert not not_modified("GET", TAG, LOADED, "broken", date(LOADED))
    assert not_modified("GET", TAG, LOADED, TAG, date(0))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", ""])
def test_only_reads_are_answered_so(method: str) -> None:
    """What is no GET or HEAD is never answered with 304."""
    assert not not_modified(method, TAG, LOADED, TAG, date(LOADED))


@pytest.mark.parametrize("field", ["yesterday", "", "Sun, 31 Feb 1994 08:49:37 GMT"])
def test_a_bad_date_is_as_none(field: str) -> None:
    """A date that is none does not stand for any."""
    assert not not_modified("GET", TAG, LOADED, None, field)


def test_an_answer_without_a_date_is_not_compared_with_one() -> None:
    """What has no Last-Modified cannot be unmodified since a date."""
    assert not not_modified("GET", TAG, None, None, date(LOADED))
