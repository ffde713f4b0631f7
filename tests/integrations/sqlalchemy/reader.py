"""A process that reads a user through the store: `python -m tests.integrations.sqlalchemy.reader STORE DATABASE`.

A line "read" answers with the name that it got; "held" the same, its loader held after it has read until the next line.
It keeps no copies near: those are told a message later, which is another row of the contract.
"""

from __future__ import annotations

import sys

from sqlalchemy import create_engine

from hotset import Cache
from tests.integrations.sqlalchemy.users import KEY, name_in


def say(answer: str) -> None:
    """Answer."""
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do what is said on the standard input until that ends."""
    cache, engine = Cache(sys.argv[1], namespace="shop", ttl="1h"), create_engine(sys.argv[2])

    def held() -> str:
        name = name_in(engine)
        say(f"has read {name}")
        sys.stdin.readline()
        return name

    for line in iter(sys.stdin.readline, ""):
        say(cache.get_or_load(KEY, held if line == "held\n" else lambda: name_in(engine)))


if __name__ == "__main__":
    main()
