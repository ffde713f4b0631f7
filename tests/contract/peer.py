"""A process with a cache of its own, told what to do line by line: `python -m tests.contract.peer '{"url": …}'`."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 20.0
"""Seconds after which something here gives up; nothing waits for them to pass."""


def shift(seconds: float) -> None:
    """Have every clock of this process be off by so many seconds."""
    for name in "time", "monotonic":
        clock = getattr(time, name)
        setattr(time, name, lambda clock=clock: clock() + seconds)


def say(answer: Any) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(answer, default=repr) + "\n")
    sys.stdout.flush()


class Loads:
    """A load that goes on while other things are asked."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._landed: list[str | None] = []
        self._answers: list[Any] = []
        self._skipped: list[str | None] = []
        self._go_on = threading.Event()
        cache.on("refresh_skipped", lambda event: self._skipped.append(event.cause))
        cache.on("loaded", lambda event: self._landed.append(event.cause))

    def begin(self, key: str, value: Any, *, behind: bool, **options: Any) -> None:
        """Read in a thread, and return once a load is under way; once the read has an answer too, if it is behind."""
        begun = threading.Event()

        def loader() -> Any:
            begun.set()
            self._go_on.wait()
            return value

        self._landed.clear()
        self._answers.clear()
        self._go_on.clear()
        reader = threading.Thread(target=self._read, args=(key, loader, options), daemon=True)
        reader.start()
        assert begun.wait(PATIENCE), self._skipped
        if behind:
            reader.join(PATIENCE)
            assert not reader.is_alive(), "it waits for its load"

    def _read(self, key: str, loader: Callable[[], Any], options: dict[str, Any]) -> None:
        try:
            self._answers.append(self._cache.get_or_load(key, loader, **options))
        except TimeoutError:
            self._answers.append("late")

    def land(self) -> Any:
        """Let the load return; return what was answered, and what became of it."""
        self._go_on.set()
        until = time.monotonic() + PATIENCE
        while not self._landed or not self._answers:
            assert time.monotonic() < until, "it has not landed"
            time.sleep(0.001)  # between two looks; the condition decides, or the deadline
        return self._answers[0], self._landed[0]


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

    def warm(keys: list[str], value: Any, **settings: Any) -> Any:
        def loader(asked: list[str]) -> dict[str, Any]:
            say("loading")
            sys.stdin.readline()
            return dict.fromkeys(asked, value)

        warmed = cache.warm(keys, loader, concurrency=1, progress=False, **settings)
        return [warmed.who, warmed.loaded, warmed.skipped]

    def look(key: str) -> Any:
        found = cache.lookup(key)
        return [found.value, found.tier, found.age, found.ttl_left] if isinstance(found, Hit) else None

    def delete_at(key: str) -> float:
        cache.delete(key)
        return time.monotonic()

    loads = Loads(cache)
    own: dict[str, Callable[..., Any]] = {
        "delete_at": delete_at,
        "load": load,
        "warm": warm,
        "look": look,
        "begin": loads.begin,
        "land": loads.land,
        "holds": cache.__contains__,
    }
    for line in iter(sys.stdin.readline, ""):
        verb, arguments, options = json.loads(line)
        say((own.get(verb) or getattr(cache, verb))(*arguments, **options))


if __name__ == "__main__":
    main()
