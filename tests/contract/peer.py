"""A process with a cache of its own, told what to do line by line: `python -m tests.contract.peer '{"url": …}'`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def shift(seconds: float) -> None:
    """Have every clock of this process be off by so many seconds."""
    for name in "time", "monotonic":
        clock = getattr(time, name)
        setattr(time, name, lambda clock=clock: clock() + seconds)


def say(answer: Any) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(answer, default=repr) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do what is said on the standard input until that ends."""
    settings = json.loads(sys.argv[1])
    shift(settings.pop("skew"))
    from hotset import Cache, Hit  # they take the clocks as they find them

    cache = Cache("memory://", settings.pop("url"), **settings)

    def load(key: str, value: Any, **options: Any) -> Any:
        def loader() -> Any:
            say("loading")
            sys.stdin.readline()
            return value

        return cache.get_or_load(key, loader, **options)

    def look(key: str) -> Any:
        found = cache.lookup(key)
        return [found.value, found.tier, found.age, found.ttl_left] if isinstance(found, Hit) else None

    def delete_at(key: str) -> float:
        cache.delete(key)
        return time.monotonic()

    own: dict[str, Callable[..., Any]] = {
        "delete_at": delete_at,
        "load": load,
        "look": look,
        "holds": cache.__contains__,
    }
    for line in iter(sys.stdin.readline, ""):
        verb, arguments, options = json.loads(line)
        say((own.get(verb) or getattr(cache, verb))(*arguments, **options))


if __name__ == "__main__":
    main()
