"""The shop behind real uvicorn workers over a real Redis: one load, one truth, no outage, and clients that go away."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integrations.fastapi.served import Journal, Worker, until
from tests.services.fixtures import OwnServer, need
from tests.services.servers import Server


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """What happens in the workers. Each test has users of its own."""
    return Journal(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    """A Redis of the shop's own."""
    need("redis")
    with Server("redis") as server:
        yield server


@pytest.fixture(scope="module")
def workers(journal: Journal, redis: Server) -> Iterator[tuple[Worker, Worker]]:
    """Two processes that share it."""
    one, two = (Worker(journal, redis.url).start() for _ in range(2))
    with one, two:
        yield one, two


def calmly(journal: Journal, attempt: Callable[[int], None], first: int) -> None:
    """Try with one user after the other until Redis has answered in time throughout.

    On a machine that is busy elsewhere it may take more than the 250 ms after which a worker loads for itself, as it
    should; what is shown here holds while Redis answers.
    """
    for user in range(first, first + 6):
        before = journal.count("degraded")
        try:
            attempt(user)
        except AssertionError:
            if journal.count("degraded") == before or user == first + 5:
                raise
        else:
            return


def test_fifty_requests_of_two_workers_are_one_load(workers: tuple[Worker, Worker], journal: Journal) -> None:
    """While the source is slow 50 clients come to two processes; it is asked once, and all get the same answer."""

    def attempt(user: int) -> None:
        path = f"/users/{user}"
        journal.close()
        with ThreadPoolExecutor(50) as pool:
            answers = [pool.submit(workers[number % 2].ask, path) for number in range(50)]
            until(lambda: journal.count(f"came {path}") == 50)
            journal.open()
            results = [answer.result() for answer in answers]
        assert {status for status, _, _ in results} == {200}
        assert {fields["etag"] for _, fields, _ in results} == {results[0][1]["etag"]}
        assert journal.count(f"load {user}") == 1

    calmly(journal, attempt, 100)


@pytest.mark.parametrize("page, first", [("users", 200), ("sync", 300)])
def test_what_one_worker_changes_the_other_reads(
    workers: tuple[Worker, Worker], journal: Journal, page: str, first: int
) -> None:
    """Each holds a copy near; after a change through one, the next answer of the other is the new one."""
    one, two = workers

    def attempt(user: int) -> None:
        path = f"/{page}/{user}"
        for _ in range(3):
            assert one.ask(path)[2] == two.ask(path)[2] == {"id": user, "name": "Ada"}
        assert journal.count(f"load {user}") == 1
        old = two.ask(path)[1]["etag"]
        assert one.ask(f"/users/{user}/Grace", "PUT")[0] == 200
        until(lambda: two.ask(path)[2] == {"id": user, "name": "Grace"})  # a message later, a heartbeat at the latest
        assert two.ask(path, If_None_Match=old)[0] == 200
        assert one.ask(path)[2] == {"id": user, "name": "Grace"}

    calmly(journal, attempt, first)


def test_304_holds_across_workers_and_restarts(workers: tuple[Worker, Worker], journal: Journal, redis: Server) -> None:
    """What a client got from one worker is known to the other, and to one that was started later."""
    one, two = workers
    with Worker(journal, redis.url).start() as later:

        def attempt(user: int) -> None:
            path = f"/users/{user}"
            tag = one.ask(path)[1]["etag"]
            assert two.ask(path, If_None_Match=tag)[0] == 304
            status, fields, body = later.ask(path, If_None_Match=f'"other", W/{tag}')
            assert (status, fields["etag"], body) == (304, tag, None)
            assert fields["cache-status"].startswith("hotset; hit; ttl=")
            assert journal.count(f"load {user}") == 1

        calmly(journal, attempt, 400)
    assert later.code in {0, -signal.SIGTERM}


def test_redis_stopped_is_no_outage(tmp_path: Path, own_server: OwnServer) -> None:
    """Answers stay 200 while it is away, for what is held near and for what must be loaded, and when it is back."""
    server = own_server("redis")
    with Worker(Journal(tmp_path), server.url).start() as worker:
        assert worker.ask("/users/7")[0] == 200
        server.stop()
        assert [worker.ask(f"/users/{number}")[0] for number in range(7, 12)] == [200] * 5
        assert worker.ask("/users/7/Grace", "PUT")[0] == 200
        assert worker.ask("/users/7")[2] == {"id": 7, "name": "Grace"}
        server.start()
        until(lambda: "hit" in worker.ask("/sync/8")[1]["cache-status"])
        assert worker.ask("/users/7")[2] == {"id": 7, "name": "Grace"}


@pytest.mark.parametrize("page, first, loads", [("users", 500, 2), ("alone", 600, 1)])
def test_a_client_that_goes_away_fails_nobody(
    workers: tuple[Worker, Worker], journal: Journal, page: str, first: int, loads: int
) -> None:
    """Its load goes on for those who wait, or, if it was given a session, they load with one of their own."""
    one, two = workers

    def attempt(user: int) -> None:
        path = f"/{page}/{user}"
        journal.close()
        leaves = one.begin(path)
        until(lambda: journal.count(f"load {user}") >= 1)
        with ThreadPoolExecutor(10) as pool:
            others = [pool.submit((one, two)[number % 2].ask, path) for number in range(10)]
            until(lambda: journal.count(f"came {path}") == 11)
            leaves.close()
            until(lambda: journal.count(f"gone {path}") >= 1)
            until(lambda: journal.count(f"load {user}") >= loads)
            journal.open()
            assert {other.result()[0] for other in others} == {200}
        assert journal.count(f"load {user}") == loads

    calmly(journal, attempt, first)
    assert journal.count("a load went on with a session that was closed") == 0
