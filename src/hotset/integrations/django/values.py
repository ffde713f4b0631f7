"""Values as Django's users expect them: whatever pickles, and a copy of its own for each who reads.

What nobody can change is kept as it is, which costs a hit nothing. All else is kept as its pickle, near too: `set`
pickles it once, each hit unpickles it, a signature is made and proven only on the way to a store and back.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.safestring import SafeString

from hotset.entry.pickled import Pickled

_UNCHANGEABLE: Final = frozenset(
    (NoneType, bool, int, float, complex, str, bytes, SafeString, date, timedelta, Decimal, UUID)
)
"""No datetime: its timezone may be any object."""


def freeze(value: Any) -> Any:
    """Return a value in the form in which it is kept. Raises what its pickling raises."""
    return value if type(value) in _UNCHANGEABLE else Pickled.of(value)


async def afreeze(value: Any) -> Any:
    """As `freeze`, from a coroutine: what asks a database when it is pickled, a queryset say, does so in a thread."""
    try:
        return freeze(value)
    except SynchronousOnlyOperation:
        return await sync_to_async(freeze)(value)


def thaw(kept: Any) -> Any:
    """Return a value that is the caller's own. Raises what its unpickling raises."""
    return kept.value() if type(kept) is Pickled else kept
