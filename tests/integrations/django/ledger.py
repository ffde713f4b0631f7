"""Accounts on PostgreSQL, changed and read by several processes at once: `python -m tests.integrations.django.ledger`.

Each commit raises an account's version by one; a version below zero is one that is never committed. A page of memory
that all processes share has, for each of them and each account, the newest version that it has committed and ended, and
when: nobody who begins to read later may be given an older one, over copies near not a heartbeat later.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

HEARTBEAT = 1.0
ACCOUNTS = 5
THREADS = 4
PROCESSES = 4


def _database(level: str) -> dict[str, Any]:
    isolation = getattr(psycopg.IsolationLevel, {"committed": "READ_COMMITTED", "repeatable": "REPEATABLE_READ"}[level])
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "hotset",
        "HOST": os.environ["LEDGER_POSTGRES"], "OPTIONS": {"isolation_level": isolation},
    }  # fmt: skip


def _cache(*tiers: str) -> dict[str, Any]:
    return {
        "BACKEND": "hotset.integrations.django.HotsetCache",
        "LOCATION": [*tiers, os.environ["LEDGER_REDIS"]],
        "OPTIONS": {"namespace": "near" if tiers else "far", "heartbeat": HEARTBEAT},
    }


settings.configure(
    SECRET_KEY="a secret of the ledger",
    DATABASES={"default": _database("committed"), "repeatable": _database("repeatable")},
    CACHES={"default": _cache("memory://"), "far": _cache()},
)

import django  # noqa: E402  the settings come first

django.setup()

from django.core.cache import caches  # noqa: E402  as above
from django.db import DatabaseError, connection, connections, models, transaction  # noqa: E402  as above


class Account(models.Model):
    """Something with a version."""

    version = models.IntegerField(default=0)

    class Meta:
        """Of no app."""

        app_label = "ledger"

    def __str__(self) -> str:
        return str(self.version)


class Rolled(Exception):
    """Takes a block back."""


def _load(using: str, pk: int) -> int:
    version: int = Account.objects.using(using).values_list("version", flat=True).get(pk=pk)
    return version


LOADS = {
    (alias, using): caches[alias].hotset.cached("account:{using}:{pk}", tags=["account:{pk}"])(_load)
    for alias in ("default", "far")
    for using in ("default", "repeatable")
}


class Known:
    """What has been committed and ended, and when: a slot for each thread of each process, and each account."""

    def __init__(self, path: Path, process: int) -> None:
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), PROCESSES * THREADS * ACCOUNTS * 8)
        self._slots = memoryview(self._page).cast("Q")
        self._process = process

    def tell(self, thread: int, pk: int, version: int) -> None:
        """A version has been committed, and what was loaded before has been ended."""
        slot = (self._process * THREADS + thread) * ACCOUNTS + pk
        self._slots[slot] = version << 40 | int(time.monotonic() * 1_000)  # one word: whole, or not there yet

    def floor(self, pk: int, lag: float) -> int:
        """The version under which nobody who begins to read now may get one, with such a lag."""
        now = int((time.monotonic() - lag) * 1_000)
        slots = self._slots[pk::ACCOUNTS].tolist()
        return max((slot >> 40 for slot in slots if slot & (1 << 40) - 1 <= now), default=0)


class Worker:
    """One thread's random walk."""

    def __init__(self, known: Known, thread: int, until: float) -> None:
        self.known, self.thread, self.until = known, thread, until
        self.random = random.Random()
        self.wrong: list[str] = []
        self.reads = self.commits = 0

    def run(self) -> None:
        """Walk until the time is over."""
        steps = [self.read] * 6 + [self.read_in_a_block] * 2 + [self.change] * 3 + [self.take_back]
        try:
            while time.monotonic() < self.until and not self.wrong:
                with contextlib.suppress(DatabaseError, Rolled):  # such as "could not serialize access"
                    self.random.choice(steps)()
        except BaseException as error:
            self.wrong.append(repr(error))
            raise
        finally:
            connections.close_all()

    def look(self, alias: str, using: str, pk: int, floor: int, what: str) -> None:
        """Read through the cache, outside of any change of its own."""
        got = LOADS[alias, using](using, pk)
        self.reads += 1
        if got < floor or got < 0:
            self.wrong.append(f"{what}: {got} of account {pk} over {alias}, {using}; {floor} had ended before")

    def _what(self) -> tuple[str, str, int]:
        return self.random.choice(("default", "far")), self.random.choice(("default", "repeatable")), self._one()

    def _one(self) -> int:
        return self.random.randrange(ACCOUNTS)

    def read(self) -> None:
        """A read outside of transactions."""
        alias, using, pk = self._what()
        self.look(alias, using, pk, self.known.floor(pk, HEARTBEAT if alias == "default" else 0), "read")

    def read_in_a_block(self) -> None:
        """Reads in a transaction: on a snapshot, nothing older than it."""
        alias, using, pk = self._what()
        floor = self.known.floor(pk, HEARTBEAT if alias == "default" else 0)
        with transaction.atomic(using=using):
            self.look(alias, using, pk, floor, "read in a block")
            Account.objects.using(using).count()
            self.look(alias, using, pk, floor, "read again in a block")

    def change(self) -> None:
        """A change that is committed, with a savepoint in it that is not."""
        _, using, pk = self._what()
        with transaction.atomic(using=using):
            version = self._lock(using, pk) + 1
            if self.random.random() < 0.3:
                with contextlib.suppress(Rolled), transaction.atomic(using=using):
                    self._write(using, pk, -version)
                    raise Rolled
            self._write(using, pk, version)
        self.commits += 1
        self.known.tell(self.thread, pk, version)
        for alias in ("default", "far"):
            self.look(alias, using, pk, version, "read by who has just committed")

    def take_back(self) -> None:
        """A change that is not committed."""
        _, using, pk = self._what()
        with transaction.atomic(using=using):
            self._write(using, pk, -self._lock(using, pk) - 1)
            if self.random.random() < 0.5:
                raise Rolled
            transaction.set_rollback(True, using=using)

    def _lock(self, using: str, pk: int) -> int:
        return Account.objects.using(using).select_for_update().get(pk=pk).version

    def _write(self, using: str, pk: int, version: int) -> None:
        """Change an account and end it everywhere, in either order; whoever has written reads what he wrote."""
        first = self.random.random() < 0.5
        if first:
            self._end(pk)
        Account.objects.using(using).filter(pk=pk).update(version=version)
        self._look_at_own(using, pk, version)
        if not first:
            self._end(pk)
            self._look_at_own(using, pk, version)

    def _look_at_own(self, using: str, pk: int, version: int) -> None:
        for alias in ("default", "far"):
            got = LOADS[alias, using](using, pk)
            if got != version:
                self.wrong.append(f"who has written {version} of account {pk} reads {got} over {alias}, {using}")

    def _end(self, pk: int) -> None:
        for alias in ("default", "far"):
            if self.random.random() < 0.5:
                caches[alias].hotset.delete(tags=[f"account:{pk}"])
            else:
                for using in ("default", "repeatable"):
                    LOADS[alias, using].delete(using, pk)


def main() -> None:
    """Prepare, or walk: `prepare`, or `FILE PROCESS SECONDS`."""
    if sys.argv[1] == "prepare":
        with connection.schema_editor() as editor:
            editor.create_model(Account)
        Account.objects.bulk_create([Account(pk=pk) for pk in range(ACCOUNTS)])
        return
    known = Known(Path(sys.argv[1]), int(sys.argv[2]))
    until = time.monotonic() + float(sys.argv[3])
    workers = [Worker(known, thread, until) for thread in range(THREADS)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(f"{sum(each.reads for each in workers)} {sum(each.commits for each in workers)}\n")
    wrong = [what for worker in workers for what in worker.wrong]
    for alias in ("default", "far"):
        caches[alias].hotset.close()
    sys.exit("\n".join(wrong) if wrong else None)


if __name__ == "__main__":
    main()
