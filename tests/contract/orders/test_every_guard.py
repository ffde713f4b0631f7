"""The list of orders that are driven is the list of the model's guards."""

from __future__ import annotations

from collections.abc import Iterator

from tests.contract.orders import test_away, test_copies, test_epochs, test_flights, test_leases, test_link
from tests.model.guards import GUARDS

NOT_BUILT: dict[str, str] = {}
"""Guards of the model that no code has yet, each with the reason."""


def named(suffix: str = "") -> Iterator[str]:
    """Yield the guards that have a test `test_<guard><suffix>`."""
    modules = test_away, test_copies, test_epochs, test_flights, test_leases, test_link
    tests = {name for module in modules for name in vars(module)}
    yield from (guard for guard in GUARDS if f"test_{guard}{suffix}" in tests)


def test_every_guard_has_an_order() -> None:
    """Each guard of the model that is built is driven in the real code, and its absence is seen to matter there."""
    assert set(NOT_BUILT) <= set(GUARDS)
    built = [guard for guard in GUARDS if guard not in NOT_BUILT]
    assert list(named()) == built
    assert list(named("_matters")) == built
