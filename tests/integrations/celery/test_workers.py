"""Prefork workers over a real Redis: one load for all of them, endings, and a worker process that is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations.celery.conftest import PROCESSES, start
from tests.integrations.processes.program import PATIENCE, Program, descriptors, threads, until
from tests.services.proxy import Proxy
from tests.services.servers import Server

TASKS, READS = 50, 10
ITEMS = range(8)


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for a report and for the queue of a worker of the test's own."""
    return uuid.uuid4().hex


def _begun(shop: Any, name: str) -> int:
    """Return the process that has begun to make a report, once one has."""
    told = shop.source.blpop([f"begun:{name}"], timeout=PATIENCE)
    assert told is not None, "nobody began"
    return int(told[1])


def test_four_processes_and_many_tasks_load_a_cold_key_once(shop: Any, worker: Program, name: str) -> None:
    """While one process makes the report the others wait for it, and the tasks after them find it."""
    asked = [shop.ask.delay(name) for _ in range(3 * PROCESSES)]
    _begun(shop, name)
    until(lambda: shop.source.llen(f"asked:{name}") == PROCESSES)
    assert len(set(shop.source.lrange(f"asked:{name}", 0, -1))) == PROCESSES
    shop.source.set(f"version:{name}", 7)
    shop.source.rpush(f"go:{name}", "go")
    assert [each.get(PATIENCE) for each in asked] == [7] * len(asked)
    assert shop.source.llen(f"begun:{name}") == 0, "nobody else began"


class Web:
    """The web process: changes prices, ends their entries, and knows until when an older price may be read."""

    def __init__(self, shop: Any) -> None:
        self._shop = shop
        self._done = threading.Event()
        self._ended: dict[int, list[tuple[int, float]]] = {item: [(0, 0.0)] for item in ITEMS}
        self._thread = threading.Thread(target=self._change)
        self._thread.start()

    def _change(self) -> None:
        while not self._done.wait(0.002):  # the pace of changes
            item = random.choice(ITEMS)
            version = self._shop.source.incr(f"version:{item}")
            self._shop.near_price.delete(item)
            self._shop.store_price.delete(item)
            self._ended[item].append((version, time.monotonic()))

    def stop(self) -> int:
        """Change no more; return how many changes there were."""
        self._done.set()
        self._thread.join()
        return sum(map(len, self._ended.values()))

    def stale(self, how: str, item: int, began: float, got: int) -> bool:
        """Whether a price was read that had ended before the read began, or a heartbeat before for a copy near."""
        lag = self._shop.HEARTBEAT if how == "near" else 0.0
        return any(version > got for version, ended in self._ended[item] if ended + lag < began)


def test_what_the_web_process_ends_no_worker_reads_though_one_is_killed(shop: Any, worker: Program, name: str) -> None:
    """1,000 checked reads by four processes; one is killed while it loads: the redelivered task loads, and once."""
    report = shop.report.delay(name)
    victim = _begun(shop, name)
    web = Web(shop)
    try:
        tasks = [shop.read.delay([random.choice(ITEMS) for _ in range(READS)]) for _ in range(TASKS // 2)]
        os.kill(victim, signal.SIGKILL)
        shop.source.set(f"version:{name}", 2)
        shop.report.run.delete(name)
        tasks += [shop.read.delay([random.choice(ITEMS) for _ in range(READS)]) for _ in range(TASKS // 2)]
        seen = [read for task in tasks for read in task.get(PATIENCE)]
        second = _begun(shop, name)
    finally:
        changes = web.stop()
    shop.source.rpush(f"go:{name}", "go")
    assert report.get(PATIENCE) == 2
    assert shop.report(name) == 2, "the web process finds what the worker has loaded"
    assert second != victim
    assert second in worker.children
    assert len(seen) == 2 * TASKS * READS
    assert changes > 20
    assert [read for read in seen if web.stale(*read)] == []


def test_tasks_leave_no_socket_and_no_thread_behind(shop: Any, worker: Program) -> None:
    """After the first tasks of each process, 40 more add nothing."""

    def held() -> list[tuple[int, int]]:
        return [(descriptors(pid), threads(pid)) for pid in worker.children]

    def work() -> None:
        for task in [shop.read.delay([item]) for item in ITEMS for _ in range(5)]:
            task.get(PATIENCE)

    work()
    before = held()
    assert len(before) == PROCESSES
    work()
    until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))


def test_a_task_bound_to_itself_and_one_that_retries(shop: Any, worker: Program, name: str) -> None:
    """Self is no part of the key, so the web process ends the entry; what a retry has loaded is kept."""
    assert shop.bound.delay(name).get(PATIENCE) == f"{shop.__name__}.bound of {name}"
    assert shop.near.get(f"bound:{name}") == f"{shop.__name__}.bound of {name}"
    assert shop.bound.run.delete(name) == 1
    assert shop.flaky.delay(name).get(PATIENCE) == 3
    assert shop.near.get(f"flaky:{name}") == 3


def test_what_cannot_be_kept_or_be_a_key_is_said_at_the_worker(shop: Any, worker: Program, name: str) -> None:
    """The error goes to who waits for the result; the worker's log names the task, and the error the key."""
    with pytest.raises(Exception, match=f"the value of 'handle:{name}', of type object, cannot be kept"):
        shop.handle.delay(name).get(PATIENCE)
    with pytest.raises(Exception, match=r"'sum:\{numbers\}', field numbers: a list cannot be part of a key"):
        shop.total.delay((1, 2)).get(PATIENCE)  # JSON has no tuples
    worker.until(lambda: re.search(rf"{shop.handle.name}\[.*raised unexpected: CodecError", worker.said))
    with pytest.raises(Exception, match="not JSON serializable"):
        shop.total.delay(object())


@pytest.mark.parametrize(
    "pool", ["prefork", pytest.param("threads", marks=pytest.mark.soak), pytest.param("solo", marks=pytest.mark.soak)]
)
def test_a_warm_shutdown_finishes_the_task_and_leaves_nothing(shop: Any, name: str, pool: str) -> None:
    """What is being loaded is stored; then no process and no word of complaint is left."""
    with start("--pool", pool, "-c", "2", "-Q", name) as program:
        report = shop.report.apply_async((name,), queue=name)
        assert _begun(shop, name) in program.members
        os.kill(program.pid, signal.SIGTERM)
        program.until(lambda: "Warm shutdown" in program.said)
        shop.source.set(f"version:{name}", 5)
        shop.source.rpush(f"go:{name}", "go")
        assert program.wait() == 0
        assert report.get(PATIENCE) == 5
        until(lambda: not program.members)
        assert "Traceback" not in program.said
    assert shop.near.get(f"report:{name}") == 5


def test_a_cold_shutdown_gives_back_what_was_being_loaded(shop: Any, name: str) -> None:
    """Who waits for the load that is stopped may load at once, and nothing of the worker is left."""
    with start("--pool", "prefork", "-c", "2", "-Q", name) as program:
        report = shop.report.apply_async((name,), queue=name)
        assert _begun(shop, name) in program.members
        os.kill(program.pid, signal.SIGQUIT)
        assert shop.near.get_or_load(f"report:{name}", lambda: 9, lease_timeout="1m") == 9
        assert program.wait() == 0
        until(lambda: not program.members)
    report.forget()


def _pending(shop: Any, server: Server, name: str, meanwhile: Callable[[Proxy], object]) -> Program:
    with Proxy(server) as proxy, start("--pool", "prefork", "-c", "1", "-Q", name, store=proxy.url) as program:
        assert shop.end.apply_async(("warm",), queue=name).get(PATIENCE) == 0
        shop.near.set(f"report:{name}", 1)
        proxy.cut()
        assert shop.end.apply_async((name,), queue=name).get(PATIENCE) == 1
        os.kill(program.pid, signal.SIGTERM)
        program.until(lambda: "waiting 5 s for it to hear of 1 endings" in program.said)
        meanwhile(proxy)
        assert program.wait() == 0
        said = program.said
    assert ("1 endings were not delivered" in said) == (shop.near.get(f"report:{name}") == 1)
    return program


def test_what_a_task_has_ended_is_delivered_before_its_worker_is_gone(shop: Any, server: Server, name: str) -> None:
    """The store was away when the task ended an entry, and comes back while the worker shuts down."""
    _pending(shop, server, name, Proxy.restore)
    assert shop.near.get(f"report:{name}") is None


@pytest.mark.soak
def test_what_could_not_be_delivered_is_said(shop: Any, server: Server, name: str) -> None:
    """The store stays away: the worker waits no longer than it says, and warns."""
    _pending(shop, server, name, lambda proxy: None)
    assert shop.near.get(f"report:{name}") == 1


@pytest.mark.soak
@pytest.mark.parametrize("tasks", [12, 200])
def test_processes_that_are_replaced_after_each_task_leave_nothing(shop: Any, name: str, tasks: int) -> None:
    """No connection at the store, no descriptor and no thread in the parent; and one load for all of them."""

    def ask(times: int) -> set[int]:
        asked = [shop.who.apply_async((name,), queue=name) for _ in range(times)]
        answers = [each.get(10 * PATIENCE) for each in asked]
        assert {count for _, count in answers} == {1}, "what one process has loaded, the ones after it find"
        return {pid for pid, _ in answers}

    with start("--pool", "prefork", "-c", str(PROCESSES), "--max-tasks-per-child", "1", "-Q", name) as program:

        def held() -> tuple[int, int, int]:
            clients = int(shop.source.info("clients")["connected_clients"])
            return descriptors(program.pid), threads(program.pid), clients

        def replaced(pids: set[int]) -> bool:
            return len(program.children) == PROCESSES and pids.isdisjoint(program.children)

        first = ask(PROCESSES)
        until(lambda: replaced(first))
        before = held()
        others = ask(tasks)
        assert len(others) == tasks
        until(lambda: replaced(others))
        until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))
        assert "Traceback" not in program.said
