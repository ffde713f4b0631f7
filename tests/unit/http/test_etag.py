"""Entity tags: the same everywhere for the same bytes, and lists of them that a client may make up."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset.http.etag import etag, listed, matches

TAG = etag(b'{"id":7}')


def test_a_tag_is_the_same_in_every_process() -> None:
    """Two interpreters with other hash seeds make one tag of one body: no salt is in it."""
    code = "from hotset.http.etag import etag; print(etag(b'{\"id\":7}'))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {TAG}


def test_a_tag_is_quoted_and_strong() -> None:
    """RFC 9110 section 8.8.3: quotes belong to it, and no W/ stands before it; other bytes have another one."""
    assert TAG.startswith('"')
    assert TAG.endswith('"')
    assert len(TAG) == 34
    assert etag(b"") != TAG


@pytest.mark.parametrize(
    "field",
    [TAG, f"W/{TAG}", f'"a", {TAG}', f'{TAG},"b"', f"  {TAG}  ", "*", " * ", f',, {TAG} ,"x,y"', f'"a,b",W/{TAG}'],
)
def test_what_names_the_tag(field: str) -> None:
    """Weak comparison, lists with commas inside tags and with empty members, and the star."""
    assert matches(field, TAG)


@pytest.mark.parametrize(
    "field",
    ["", ",", '""', TAG.strip('"'), f"w/{TAG}", f'{TAG} "b"', f'"a"{TAG}', f"{TAG}; x", f"*, {TAG}", TAG[:-1], "**"],
)
def test_what_does_not(field: str) -> None:
    """Without its quotes it is no tag, and a list that is broken names nothing, whatever it holds."""
    assert not matches(field, TAG)


@given(st.lists(st.tuples(st.booleans(), st.text(alphabet="!#,/aW*\x80\xff", max_size=4)), max_size=8))
def test_every_list_that_is_one_is_read_whole(members: list[tuple[bool, str]]) -> None:
    """Whatever tags are in it, with commas and slashes inside, weak or not: each is found."""
    field = ", ".join(f'{"W/" if weak else ""}"{text}"' for weak, text in members)
    assert listed(field) == {f'"{text}"' for _, text in members}


@given(st.text(alphabet=st.sampled_from('"W/,* \t\\abé\x00\n'), max_size=60) | st.text(max_size=60))
def test_no_field_breaks_the_reading(field: str) -> None:
    """A hostile field gives tags or nothing, and never an error."""
    assert all(tag[0] == tag[-1] == '"' and '"' not in tag[1:-1] for tag in listed(field))


@pytest.mark.parametrize(
    "field", ['"' * 200_000, '"a",' * 50_000 + '"', "W/" * 100_000, " \t" * 100_000 + "x", "," * 200_000]
)
def test_a_long_field_is_read_in_linear_time(field: str) -> None:
    """A field of 200,000 characters made to be read again and again is read once: the test's timeout would end it."""
    assert not matches(field, TAG)
