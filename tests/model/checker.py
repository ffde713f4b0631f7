"""P, the property: what an answer must not be older than.

The source holds a version number. An ending first commits a new version, then acts, and when it returns raises a floor.
A read notes the floors when it starts and must not return an older version. A value said to be stale may be older than
an `expire`, never older than a delete, a write, a tag's delete or a clear.

Answers from a store, from a load and from a joined flight are held to the floors exactly. Only for a copy kept near the
floor leaves out endings whose message is still on its way to that process while its permit has never lapsed since (W4),
or was lost while the permit runs (W5); and for a process that has given its store up, others' endings of the last
`BLIND_TTL` (W15).
"""

from __future__ import annotations

from typing import NamedTuple

from tests.model.state import BLIND, BLIND_TTL, NEVER, World, at
from tests.model.steps import Violation


class Floors(NamedTuple):
    """(floor of a stale answer, further floor of a fresh one): for copies kept near, and for everything else."""

    near: tuple[int, int]
    far: tuple[int, int]


def floors(w: World, p: int) -> Floors:
    """The floors that a read of process p which starts now is held to."""
    cap = min([m.version for m in w.bus[p] if m.kind == "forget" and m.version] + [w.lost[p]])
    if cap < NEVER:
        cap -= 1
    aged = 0
    copy = w.copies[p]
    if w.blind[p] and copy is not None and copy.link == BLIND:
        cap = 0
        aged = max([version for version, returned_at in w.returns if returned_at + BLIND_TTL < w.now], default=0)
    gone, expired = w.here[p]
    return Floors(
        near=(max(gone, aged, min(w.gone, cap)), max(expired, min(w.expired, cap))),
        far=(max(gone, w.gone), max(expired, w.expired)),
    )


def judge(held_to: Floors, version: int, who: str, *, stale: bool = False, near: bool = False) -> None:
    """Holds an answer to the floors that its read noted at its start."""
    pair = held_to.near if near else held_to.far
    need = pair[0] if stale else max(pair)
    if version < need:
        raise Violation(f"{who} returned version {version}{' as stale' if stale else ''}, the floor was {need}")


def returned(w: World, p: int, version: int, *, expire: bool, everywhere: bool = True) -> None:
    """An ending of process p returns. One that the store has not heard of binds this process only."""
    gone, expired = w.here[p]
    w.here = at(w.here, p, (gone, max(expired, version)) if expire else (max(gone, version), expired))
    if w.rules.clock:
        w.returns += ((version, w.now),)
    if everywhere and expire:
        w.expired = max(w.expired, version)
    elif everywhere:
        w.gone = max(w.gone, version)
