"""What a statement of SQL does to its transaction, judged by its words: whatever does not plainly read, writes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_FIRST: Final = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", re.DOTALL)
_READ: Final = frozenset(
    {"select", "with", "values", "table", "show", "describe", "desc", "explain", "pragma", "set", "use"}
    | {"begin", "start", "savepoint", "release", "rollback", "declare", "fetch", "close"}
)
"""What a statement that changes no row begins with. COMMIT is none: what follows it is another transaction."""
_WRITE: Final = re.compile(r"\b(?:insert|update|delete|merge|into|truncate)\b|;\s*\S", re.IGNORECASE)
"""Makes a write of one that begins as a read: a CTE that inserts, SELECT … INTO, FOR UPDATE, a second statement."""
_LEVEL: Final = re.compile(
    r"\s*(?:set|begin|start)\b.*\b(?:repeatable|serializable|snapshot)\b", re.DOTALL | re.IGNORECASE
)
_SNAPSHOTS: Final = frozenset({"REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"})


@lru_cache(1_024)
def writes(statement: str) -> bool:
    """Tell whether a statement may change the source. A function that a SELECT calls is not looked into."""
    first = _FIRST.match(statement)
    return first is None or first[1].lower() not in _READ or _WRITE.search(statement) is not None


@lru_cache(1_024)
def freezes(statement: str) -> bool:
    """Tell whether a statement has its transaction read on a snapshot from now on."""
    return _LEVEL.match(statement) is not None


def is_snapshot(level: str | None) -> bool:
    """Tell whether a transaction of this isolation level reads on a snapshot."""
    return level is not None and level.upper().replace("_", " ") in _SNAPSHOTS
