"""Whether two values are the same to a reader: equal, of the same types, all the way down."""

from __future__ import annotations

import struct
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from decimal import Decimal
from math import isnan
from typing import Any


def same(one: Any, other: Any) -> bool:
    """Return whether two values have the same types and content: 1 is not True, nan is nan, -0.0 is not 0.0.

    Dicts have the same order too; times of day and moments the same zone, by its name, and the same fold.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, set | frozenset):
        return _same_members(one, other)
    if is_dataclass(one) and not isinstance(one, type):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return bool(_told(one) == _told(other))


def _told(value: Any) -> Any:
    """What tells a value without parts from every other of its type."""
    if isinstance(value, float):
        return "nan" if isnan(value) else struct.pack("d", value)
    if isinstance(value, Decimal):
        return value.as_tuple()
    if isinstance(value, datetime | time):
        return value.replace(tzinfo=None), value.fold, repr(value.tzinfo)
    return value


def _same_members(one: Any, other: Any) -> bool:
    """Whether sets are the same: members find each other by their hash, but those with a nan, which equals nothing."""
    equal = {member: member for member in other}
    alone = []
    for member in one:
        if member in equal and same(member, equal[member]):
            del equal[member]
        else:
            alone.append(member)
    left = list(equal.values())
    for member in alone:
        found = next((at for at, candidate in enumerate(left) if same(member, candidate)), None)
        if found is None:
            return False
        del left[found]
    return not left
