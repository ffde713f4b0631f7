"""`python -m tests.model [NAME]`: the shortest violating order of a guard; or walks a scenario, or all of them."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
import time

from tests.model.explore import walk
from tests.model.guards import GUARDS
from tests.model.orders import order
from tests.model.report import readable, table
from tests.model.scenarios import LARGER, SMALL


def main() -> int:
    """Exit code 0: every scenario that was asked for holds, or the guard's violation was found."""
    arguments = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    arguments.add_argument(
        "name", nargs="?", metavar="NAME", choices=sorted({*GUARDS, *SMALL, *LARGER}), help="a guard or a scenario"
    )
    arguments.add_argument("--table", action="store_true", help="the table of README.md")
    arguments.add_argument("--larger", action="store_true", help="the larger scenarios too")
    asked = arguments.parse_args()
    if asked.table:
        print(table())
        return 0
    if asked.name in GUARDS:
        print(readable(order(asked.name)))
        return 0
    bad = 0
    for scenario in [*SMALL.values(), *(LARGER.values() if asked.larger or asked.name in LARGER else ())]:
        if asked.name in (None, scenario.name):
            since = time.process_time()
            walked = walk(scenario)
            seconds = time.process_time() - since
            how = walked.violation or "holds"
            print(f"{scenario.name:20}{scenario.rows:15}{walked.states:9} states {seconds:7.1f} s  {how}", flush=True)
            for step in walked.order:
                print(f"      {step}")
            bad += walked.violation is not None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
