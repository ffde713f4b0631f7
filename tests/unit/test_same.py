"""Sets are the same by their members, whatever order and whatever equality of Python's own."""

from __future__ import annotations

from typing import Any

import pytest

from hotset.testing.same import same

NAN, OTHER_NAN = float("nan"), float("nan")


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ({1, 2}, {2, 1}, True),
        ({1}, {True}, False),
        ({1}, frozenset({1}), False),
        ({1, 2}, {1}, False),
        ({1}, {1, 2}, False),
        ({0.0}, {-0.0}, False),
        ({NAN, OTHER_NAN}, {NAN, float("nan")}, True),
        ({NAN}, {NAN, OTHER_NAN}, False),
        ({(NAN, 1), (OTHER_NAN, True)}, {(NAN, True), (OTHER_NAN, 1)}, True),
        ({frozenset({1}), frozenset({2})}, {frozenset({2}), frozenset({True})}, False),
    ],
    ids=str,
)
def test_sets_are_compared_by_their_members(one: Any, other: Any, expected: bool) -> None:
    """Members that are equal and of other types are others; a nan is as good as another, and each counts."""
    assert same(one, other) is expected
    assert same(other, one) is expected


def test_a_large_set_takes_no_longer_than_its_members() -> None:
    """Not a comparison of each with each: 300,000 of them would take a minute."""
    assert same(set(range(300_000)), set(range(299_999, -1, -1)))
