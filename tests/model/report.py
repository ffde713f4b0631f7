"""Orders and the table of guards as text."""

from __future__ import annotations

from tests.model.guards import GUARDS
from tests.model.orders import Order, orders


def readable(found: Order) -> str:
    """One order, a numbered line for each step, and how it ends."""
    guard = GUARDS[found.guard]
    head = f"without {found.guard}: {guard.without} ({guard.rows}, {found.scenario})"
    lines = [f"{number:4}  {step}" for number, step in enumerate(found.steps, 1)]
    return "\n".join([head, *lines, f"      {found.violation}"])


def table() -> str:
    """The table guard, without it, row, scenario, steps, as it stands in README.md."""
    found = orders()
    rows = [
        f"| `{name}` | {guard.without} | {guard.rows} | `{guard.scenario}` | {len(found[name].steps)} |"
        for name, guard in GUARDS.items()
    ]
    return "\n".join(["| guard | without it | row | scenario | steps |", "|---|---|---|---|---|", *rows])
