"""The verdict on an entry: the same function in every tier (PROTOCOL 3)."""

from __future__ import annotations

from typing import Literal

from tests.model.rules import Rules
from tests.model.state import Placeholder, Record, Value

Verdict = Literal["fresh", "stale", "dead"]


def verdict(rules: Rules, entry: Placeholder | Value | None, gen: int | None, record: Record | None) -> Verdict:
    """Judges an entry by the namespace's generation and its tag's record. What is missing is unknown, so it hides."""
    if not isinstance(entry, Value) or (rules.on("generation") and (gen is None or entry.gen != gen)):
        return "dead"
    if rules.tags and record is None and rules.on("lost_epoch_hides"):
        return "dead"
    if rules.tags and record is not None:
        if record.gone > entry.instant:
            return "dead" if rules.on("tag_counts") else "stale"
        if record.stale > entry.instant:
            return "stale"
    return "stale" if entry.stale else "fresh"
