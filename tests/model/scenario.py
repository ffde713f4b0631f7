"""A scenario: small programs in two or three processes, what may happen around them, and where it starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.events import Event
from tests.model.rules import Rules
from tests.model.steps import Phase


@dataclass(frozen=True)
class Scenario:
    """`programs`: (process, its operations one after the other). `events`: (event, how often at most).

    `start`: attributes of the first `World` that differ. `least`: a walk with all guards sees more states than this.
    """

    name: str
    rows: str
    programs: tuple[tuple[int, tuple[Phase, ...]], ...]
    rules: Rules = field(default_factory=Rules)
    events: tuple[tuple[Event, int], ...] = ()
    start: Mapping[str, Any] = field(default_factory=dict)
    least: int = 0

    @property
    def processes(self) -> tuple[int, ...]:
        """Those in which a program runs."""
        return tuple(sorted({p for p, _ in self.programs}))

    def twins(self) -> list[list[int]]:
        """Places of programs that may be exchanged: equal ones of one process."""
        places: dict[tuple[int, tuple[Phase, ...]], list[int]] = defaultdict(list)
        for place, program in enumerate(self.programs):
            places[program].append(place)
        return [group for group in places.values() if len(group) > 1]

    def without(self, guard: str) -> Scenario:
        """The same with one guard taken out."""
        return replace(self, rules=replace(self.rules, off=self.rules.off | {guard}))
