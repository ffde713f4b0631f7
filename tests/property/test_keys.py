"""Keys: distinct arguments give distinct keys, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset import Cache
from hotset.entry.names import MAX_BYTES, name_of, pattern, text_of

nasty = st.text(alphabet=st.sampled_from(list("ab1.:-'~%(){}*?[]\\,/ é0e")), max_size=8)
scalars = st.one_of(
    nasty,
    st.text(max_size=5),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.binary(max_size=4),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.sampled_from(["None", "True", "1.0", "nan", "2026-11-24", str(UUID(int=5)), "~bytes 00", "(1)"]),
)
values = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(scalars, max_size=3), max_leaves=4)


def _same(a: Any, b: Any) -> bool:
    """Tell whether two arguments are one: equal, and of one type all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, frozenset):
        return len(a) == len(b) and all(any(_same(x, y) for y in b) for x in a)
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    return bool(a == b)


@pytest.mark.parametrize("template", ["{a}:{b}", "x-{a}-{b}!", "{a}/{b}:{a}", "user:{a}::{b}"])
@given(one=st.tuples(values, values), other=st.tuples(values, values))
def test_distinct_arguments_make_distinct_keys(template: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Whatever separators, quotes, braces and wildcards the arguments hold."""
    family = Cache().family(template)
    assert (family.key(*one) == family.key(*other)) == _same(one, other)


@given(one=st.tuples(values, values), other=st.tuples(values, values))
def test_a_function_without_a_template_tells_its_arguments_apart(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """By position, by name, or gathered in *args and **kwargs."""

    @Cache().cached
    def plain(a: Any, b: Any = None) -> None: ...

    @Cache().cached
    def gathers(*args: Any, **kwargs: Any) -> None: ...

    assert (plain.key(*one) == plain.key(*other)) == _same(one, other)
    assert plain.key(*one) == plain.key(b=one[1], a=one[0])
    assert (gathers.key(*one) == gathers.key(*other)) == _same(one, other)
    assert (gathers.key(x=one[0]) == gathers.key(x=other[0])) == _same(one[0], other[0])
    assert gathers.key(one[0]) != gathers.key(x=one[0])


@given(keys=st.lists(st.text(max_size=300) | st.binary(max_size=300), unique=True, max_size=4))
def test_distinct_keys_have_distinct_bounded_names(keys: list[str | bytes]) -> None:
    """A long or binary key becomes a digest that no text equals."""
    names = [name_of(key) for key in keys if isinstance(key, bytes) or key.isprintable()]
    assert len(set(names)) == len(names)
    assert all(len(text_of(name).encode()) <= MAX_BYTES + 60 * 3 for name in names)
    assert all(name_of(text_of(name)) != name for name in names if not isinstance(name, str))


@given(key=st.text(alphabet=st.characters(codec="utf-8"), max_size=12))
def test_a_literal_pattern_finds_its_own_key(key: str) -> None:
    """Each character behind a backslash stands for itself."""
    if key:
        assert pattern("".join(f"\\{char}" for char in key)).fullmatch(key)
        assert pattern("*").fullmatch(key)


def test_a_pattern_is_redis_own_glob() -> None:
    """With sets, ranges and negation."""
    cases = {"h?llo": "hallo", "h[ae]llo": "hello", "h[^e]llo": "hallo", "h[a-c]llo": "hbllo", "user:*": "user:7:x"}
    assert all(pattern(match).fullmatch(key) for match, key in cases.items())
    assert not pattern("h[^e]llo").fullmatch("hello")
    assert not pattern("user:*").fullmatch("users")


def test_keys_are_the_same_in_every_process() -> None:
    """Whatever PYTHONHASHSEED says."""
    script = (
        "from hotset import Cache; from hotset.entry.names import name_of, text_of\n"
        "f = Cache().family('u:{a}:{b}')\n"
        "print(f.key('x', frozenset({'a', 'b', 'c'})), f.key(('a', 1), None))\n"
        "print(text_of(name_of('é' * 300)), text_of(name_of(b'x')))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1


def test_keys_read_as_a_person_would_write_them() -> None:
    """Attributes and formats included."""

    class Stay:
        id = 7
        since = date(2026, 11, 24)

    family = Cache().family("stay:{stay.id}:{stay.since:%Y-%m}")
    assert family.key(Stay()) == "stay:7:2026-11"
    users = Cache().family("user:{id}")
    assert (users.key(7), users.key("ada"), users.key("7"), users.key("a:b")) == (
        "user:7",
        "user:ada",
        "user:'7",
        "user:a:b",
    )
    assert Cache().family("{a}:{b}").key("x:y", timedelta(1)) == "x%3Ay:~timedelta 1 0 0"
    assert users.key(datetime(2026, 1, 2, 3, 4)) == "user:2026-01-02T03:04:00"  # noqa: DTZ001  a naive one
