"""What happened to an isolated cache, in lists and in assertions that say what did happen when they fail."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock
from typing import TYPE_CHECKING, Any

from hotset.entry.names import name_of, text_of
from hotset.errors import NotFound
from hotset.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from hotset.engine.protocol import Policy, Slots
    from hotset.entry.entry import Entry
    from hotset.entry.names import Name
    from hotset.events import Event
    from hotset.options import Duration


class Isolated(FakeClock):
    """An isolated cache: the clock that it is on, and what happened to the keys of its namespace, in order.

    Any thread or task may be the one to whom it happened. Keys are as events name them: text; of binary and very long
    keys an abridged form.

    Examples:
        >>> from hotset import Cache
        >>> from hotset.testing import isolated
        >>> cache = Cache()
        >>> with isolated(cache) as shop:
        ...     _ = [cache.get_or_load("user:7", lambda: "Ada") for _ in range(3)]
        ...     shop.assert_loaded("user:7", times=1)
        ...     print(shop.hits)
        ['user:7', 'user:7']
    """

    def __init__(self, table: Slots, clock: FakeClock | None = None) -> None:
        self._clock = clock or FakeClock()
        self._table = table
        self._lock = Lock()
        self._kept: dict[str, tuple[str, ...]] = {}
        self._stack = ExitStack()
        self.loaded: list[str] = []
        """The keys whose loader ran and returned a value, once for each time; a batch counts each of its keys."""
        self.hits: list[str] = []
        """The keys that were answered from the cache, or touched; a read that waited for another's load is no hit."""
        self.deleted: list[str] = []
        """The keys that `delete` and `expire` ended: named, matched, or held under a tag; those held when cleared."""

    def __call__(self) -> float:
        """Return the seconds of its clock."""
        return self._clock()

    def advance(self, duration: Duration) -> None:
        """Let time pass: seconds, a timedelta, or text such as "5m"."""
        self._clock.advance(duration)

    def assert_loaded(self, key: str | bytes, times: int | None = None) -> None:
        """Fail unless `key` was loaded so many times; if not given, at least once."""
        __tracebackhide__ = True
        self._assert("loaded", self.loaded, key, times)

    def assert_hit(self, key: str | bytes, times: int | None = None) -> None:
        """Fail unless `key` was answered from the cache so many times; if not given, at least once."""
        __tracebackhide__ = True
        self._assert("hit", self.hits, key, times)

    def assert_deleted(self, key: str | bytes, times: int | None = None) -> None:
        """Fail unless `key` was ended so many times; if not given, at least once."""
        __tracebackhide__ = True
        self._assert("deleted", self.deleted, key, times)

    def _assert(self, what: str, happened: list[str], key: str | bytes, times: int | None) -> None:
        __tracebackhide__ = True  # pytest shows the line of the test
        found = happened.count(text_of(name_of(key)))
        if found != times if times is not None else not found:
            wanted = "at least once" if times is None else _times(times)
            raise AssertionError(f"{key!r} was {what} {_times(found)}, not {wanted}\n{self.told()}")

    def told(self) -> str:
        """Return all that happened, for people: the keys and how often."""
        lists = {"loaded": self.loaded, "hits": self.hits, "deleted": self.deleted}
        return "\n".join(f"{name:>8}: {_counted(keys)}" for name, keys in lists.items())

    def __repr__(self) -> str:
        return f"<Isolated at {self()}, {len(self.loaded)} loaded, {len(self.hits)} hits, {len(self.deleted)} deleted>"

    # -- what is heard

    def __enter__(self) -> Self:
        heard = {
            "loaded": self._loaded, "load_failed": self._failed, "written": self._written,
            "ended": self._ended, "evicted": self._gone,
        }  # fmt: skip
        for kind, call in heard.items():
            self._stack.callback(self._table.events.on(kind, call, None))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hit(self, name: Name, table: Slots) -> None:
        """An entry was answered."""
        if table is self._table:
            self.hits.append(text_of(name))

    def _loaded(self, event: Event) -> None:
        self.loaded.append(event.key or "")
        if event.cause == "stored":
            self._written(event)

    def _written(self, event: Event) -> None:
        with self._lock:
            self._kept[event.key or ""] = event.tags

    def _failed(self, event: Event) -> None:
        if isinstance(event.error, NotFound):
            self._gone(event)

    def _gone(self, event: Event) -> None:
        with self._lock:
            self._kept.pop(event.key or "", None)

    def _ended(self, event: Event) -> None:
        with self._lock:
            if event.key is not None:
                ended = [event.key]
            else:  # by tag, or all of them
                ended = [key for key, tags in self._kept.items() if event.cause == "cleared" or {*tags} & {*event.tags}]
            self.deleted += ended
            for key in ended:
                self._kept.pop(key, None)


class Noted:
    """The order in which entries leave, as another has it, with each use told: a hit has no event."""

    def __init__(self, policy: Policy, inside: Isolated) -> None:
        self._policy = policy
        self._inside = inside
        self._slots: dict[Entry, tuple[Any, Name]] = {}

    def touch(self, entry: Entry) -> None:
        """The entry was used."""
        self._policy.touch(entry)
        table, name = self._slots[entry]
        self._inside.hit(name, table)

    def add(self, entry: Entry, table: Any, name: Name) -> None:
        """Take in a new entry."""
        self._policy.add(entry, table, name)
        self._slots[entry] = (table, name)

    def remove(self, entry: Entry) -> None:
        """Let an entry go."""
        self._policy.remove(entry)
        self._slots.pop(entry, None)

    def evict(self) -> tuple[Entry, Any, Name]:
        """Take out the entry that is to leave."""
        left = self._policy.evict()
        self._slots.pop(left[0], None)
        return left

    def __len__(self) -> int:
        return self._policy.__len__()  # not len(): see MemoryEngine.make_room

    def __iter__(self) -> Iterator[tuple[Entry, tuple[Any, Name]]]:
        return iter(self._policy)


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _counted(keys: list[str]) -> str:
    counts = {key: keys.count(key) for key in dict.fromkeys(keys)}
    return ", ".join(key if count == 1 else f"{key} ({count} times)" for key, count in counts.items()) or "nothing"
