"""Cache-Control and Cache-Status: what is written, and what cannot be asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset import ConfigError
from hotset.http.control import CacheControl
from hotset.http.status import CacheStatus


def test_the_life_that_is_left_is_what_clients_may_keep_it_for() -> None:
    """Never a second more than the entry has; an entry that is over has none."""
    assert CacheControl().field(59.9) == "private, max-age=59"
    assert CacheControl(public=True).field(0.4) == "public, max-age=0"
    assert CacheControl().field(-3) == "private, max-age=0"
    assert CacheControl().field(1e12) == f"private, max-age={2**31 - 1}"


def test_stale_windows_begin_at_the_end_of_the_entry() -> None:
    """What has gone by of a window is taken off, so that nobody adds it to what is stale already."""
    control = CacheControl(stale_while_revalidate="30s", stale_if_error="1h")
    assert control.field(10) == "private, max-age=10, stale-while-revalidate=30, stale-if-error=3600"
    assert control.field(-20) == "private, max-age=0, stale-while-revalidate=10, stale-if-error=3580"
    assert control.field(-40) == "private, max-age=0, stale-while-revalidate=0, stale-if-error=3560"


def test_no_store_stands_alone() -> None:
    """Nothing that allows keeping stands beside it, and asking for both is an error that says so."""
    assert CacheControl(no_store=True).field(60) == "no-store"
    with pytest.raises(ConfigError, match=r"no_store.*public, stale_if_error"):
        CacheControl(no_store=True, public=True, stale_if_error=60)


@pytest.mark.parametrize(
    "wrong", [{"public": "yes"}, {"no_store": 1}, {"stale_if_error": -1}, {"stale_while_revalidate": "soon"}]
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    """Each wrong value is an error that names its setting."""
    with pytest.raises(ConfigError, match=f"CacheControl {next(iter(wrong))}"):
        CacheControl(**wrong)


def test_how_a_cache_came_to_its_answer() -> None:
    """The examples of RFC 9211 section 2 in hotset's words; what is left is cut down, also below zero."""
    assert CacheStatus(left=376.9).field() == "hotset; hit; ttl=376"
    assert CacheStatus("stale", left=-412.1).field() == "hotset; fwd=stale; ttl=-413"
    assert CacheStatus("miss", left=60, stored=True).field() == "hotset; fwd=miss; ttl=60; stored"
    assert CacheStatus("miss", collapsed=True).field() == "hotset; fwd=miss; collapsed"
    assert CacheStatus("bypass").field() == "hotset; fwd=bypass"
    assert CacheStatus(key='user:"\\7').field() == r'hotset; hit; key="user:\"\\7"'
    assert CacheStatus(key="kö\r\nSet-Cookie: x").field() == 'hotset; hit; key="k%C3%B6%0D%0ASet-Cookie: x"'


@given(st.text())
def test_no_key_gets_out_of_its_string(key: str) -> None:
    """Whatever a key holds, it is one quoted string of printable ASCII: it can add neither a parameter nor a line."""
    field = CacheStatus(key=key).field()
    quoted = field.removeprefix("hotset; hit; key=")
    assert field.isascii()
    assert field.isprintable()
    assert '"' not in quoted[1:-1].replace(r"\\", "").replace(r"\"", "")


def test_a_cache_says_why_in_words() -> None:
    """A detail is for people: quoted, and what is no ASCII escaped."""
    assert (
        CacheStatus("bypass", detail='an "own" page, é').field()
        == 'hotset; fwd=bypass; detail="an \\"own\\" page, %C3%A9"'
    )
