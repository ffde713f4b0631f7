"""Keys, patterns, durations and urls made of any text: an answer or an error of ours, and nothing meets by accident."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotset import Cache, ConfigError, KeyRejected
from hotset.config.tiers import from_url
from hotset.entry.names import pattern
from hotset.entry.template import Template
from hotset.options import seconds

bits = st.text(alphabet="'~(),%1a ", max_size=3)
nested = st.recursive(
    bits | st.integers(-1, 12) | st.none(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=2),
    max_leaves=5,
)


@given(one=nested, other=nested)
@example(one=(), other=("",))
@example(one=frozenset(), other=frozenset({""}))
@example(one=("", ""), other=("'", ""))
@example(one=((),), other=(("",),))
def test_tuples_of_any_length_make_keys_of_their_own(one: Any, other: Any) -> None:
    """Empty ones, and those of empty texts, included."""
    family = Cache().family("t:{a}")
    assert (family.key(one) == family.key(other)) == (one == other)


@given(one=st.tuples(bits, bits), other=st.tuples(bits, bits), separator=st.characters(codec="utf-8"))
@example(one=("→", "1"), other=("!92", "1"), separator="→")
def test_any_separator_keeps_two_fields_apart(one: tuple[str, str], other: tuple[str, str], separator: str) -> None:
    """Of any alphabet, or the template is refused."""
    try:
        family = Cache().family(f"{{a}}{separator}{{b}}!{{c}}")
    except ConfigError:
        return
    assert (family.key(*one, 1) == family.key(*other, 1)) == (one == other)


@given(match=st.text(alphabet="ab*?[]^-\\&|~[", min_size=1, max_size=8), key=st.text(alphabet="ab-&", max_size=4))
@example(match="[a--b]", key="a")
def test_any_pattern_is_compiled_or_refused(match: str, key: str) -> None:
    """Without a warning, and as `re` is never given what it would take for a set operation."""
    with suppress(KeyRejected):
        assert isinstance(pattern(match), re.Pattern)
        pattern(match).fullmatch(key)


@given(text=st.text(alphabet="0123456789_. smhdwinfa-+e", max_size=8))
@example(text="1_s")
@example(text="1__0s")
def test_any_duration_is_read_or_refused(text: str) -> None:
    """The error names the setting; what is read is greater than zero."""
    try:
        assert seconds(text, "ttl") > 0
    except ConfigError as error:
        assert str(error).startswith("ttl: ")  # noqa: PT017  most texts raise, some do not


@given(rest=st.text(alphabet="?&=[]/#:@%max_entries31", max_size=16))
@example(rest="?max_entries")
@example(rest="[")
def test_any_url_is_a_tier_or_refused(rest: str) -> None:
    """With a `ConfigError`, whatever the parser makes of it."""
    with suppress(ConfigError):
        from_url(f"memory://{rest}")


@given(text=st.text(alphabet="{}:.![]ab0", max_size=8))
def test_any_template_is_read_or_refused(text: str) -> None:
    """With a `ConfigError`, before any key is made of it."""
    with suppress(ConfigError):
        Template(text, ("a", "b")).names  # noqa: B018  only its reading is looked at


def test_a_call_without_arguments_is_another_than_one_with_an_empty_text() -> None:
    """What is gathered in *args is a tuple like any other, and **kwargs know no order."""

    @Cache().cached
    def count(*args: str, **named: int) -> tuple[int, int]:
        return len(args), len(named)

    assert (count(), count(""), count("", ""), count(a=1)) == ((0, 0), (1, 0), (2, 0), (0, 1))
    assert count.key(a=1, b=2) == count.key(b=2, a=1)


@pytest.mark.parametrize("key", ["k" * 300, b"\x00\xff", "é" * 150, "", " ", "%~" + "0" * 40])
def test_any_key_can_be_written_read_and_ended(key: str | bytes) -> None:
    """Long, binary, empty: each by its own name."""
    cache = Cache()
    assert cache.set(key, 1)
    assert (cache.get(key), key in cache, cache.get_many([key])) == (1, True, {key: 1})
    assert cache.delete(key) == 1
    assert cache.get(key) is None
