"""cachetools' mappings and decorators, over hotset's engine: `from hotset.compat.cachetools import TTLCache, cached`.

The policies that the engine does not have yet, and sizes by `getsizeof`, are refused by name.
"""

from __future__ import annotations

from hotset.compat.cachetools import keys
from hotset.compat.cachetools.cached import CacheInfo, cached, cachedmethod
from hotset.compat.cachetools.mapping import Cache, LRUCache, TTLCache

__all__ = ["Cache", "CacheInfo", "LRUCache", "TTLCache", "cached", "cachedmethod", "keys"]

_LATER = {
    "FIFOCache": "first in, first out",
    "LFUCache": "least frequently used",
    "RRCache": "random replacement",
    "TLRUCache": "a life for each entry",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        raise ImportError(
            f"hotset.compat.cachetools.{name}: hotset's engine has no such policy ({_LATER[name]}) in this version; "
            "valid are LRUCache and TTLCache, and cachetools' own goes on working beside them"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
