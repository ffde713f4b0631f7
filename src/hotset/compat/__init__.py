"""The faces of other caches over ours: what a program calls today, with what hotset does beneath.

from hotset.compat import cache, lru_cache          in place of functools
from hotset.compat.cachetools import TTLCache       in place of cachetools
make_region().configure("hotset", …)                in place of dogpile.cache's own backends
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotset.compat.memo import cache, lru_cache

__all__ = ["cache", "lru_cache"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'hotset.compat' has no attribute {name!r}")
    from hotset.compat import memo

    return getattr(memo, name)
