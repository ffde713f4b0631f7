"""The scenarios by name: `SMALL` for every run of the tests, `LARGER` for `make soak`."""

from __future__ import annotations

from tests.model.scenarios import larger
from tests.model.scenarios.alone import ALONE
from tests.model.scenarios.near import WITH_PUBSUB, WITH_TRACKING
from tests.model.scenarios.one_store import ONE_STORE

SMALL = {scenario.name: scenario for scenario in [*ALONE, *ONE_STORE, *WITH_TRACKING, *WITH_PUBSUB]}
LARGER = {scenario.name: scenario for scenario in larger.LARGER}
