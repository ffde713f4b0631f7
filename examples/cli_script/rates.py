"""A command that runs for a second at a time: what one run has fetched the next one finds, in Redis.

python rates.py EUR USD 250        what 250 euros are in dollars
python rates.py EUR USD 250 --new  the same, by a rate fetched now
"""

from __future__ import annotations

import argparse
import os
import time
from decimal import Decimal

from hotset import Cache

# A process that lives for a second keeps nothing worth keeping near: the store alone. Where Redis does not answer the
# command works all the same, a little slower.
cache = Cache(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), namespace="rates", ttl="1h")

PER_EURO = {"EUR": Decimal(1), "USD": Decimal("1.0825"), "GBP": Decimal("0.8412"), "JPY": Decimal("163.21")}


@cache.cached("rate:{base}:{other}")
def fetch_rate(base: str, other: str) -> Decimal:
    time.sleep(0.5)  # stands for somebody's slow API
    return PER_EURO[other] / PER_EURO[base]


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert an amount of money.")
    parser.add_argument("base", choices=PER_EURO)
    parser.add_argument("other", choices=PER_EURO)
    parser.add_argument("amount", type=Decimal)
    parser.add_argument("--new", action="store_true", help="fetch the rate now, for whoever asks next too")
    given = parser.parse_args()
    begun = time.perf_counter()
    with cache:
        found = fetch_rate.lookup(given.base, given.other)
        rate = (fetch_rate.refresh if given.new else fetch_rate)(given.base, given.other)
    source = "fetched" if given.new or not found else f"from the {found.tier}, {found.age:.0f} s old"
    print(f"{given.amount} {given.base} = {given.amount * rate:.2f} {given.other}")
    print(f"rate {source}; {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
