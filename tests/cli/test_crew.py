"""Crews and replays: every request is answered once and classed by whether it waited for a query."""

import asyncio
import threading
from pathlib import Path

import pytest

from hotset.cli import shop
from hotset.cli.crew import Crew
from hotset.cli.figures import Latency
from hotset.cli.origin import Origin, Profile
from hotset.cli.replay import Replay, Source

LONG = 20.0


def at_work() -> list[str]:
    """The demo's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("hotset-demo")]


def test_jobs_and_tasks_all_run() -> None:
    """Jobs run in threads, tasks in one loop; the crew is finished when all of them are."""
    ran: list[str] = []

    async def task() -> None:
        await asyncio.sleep(0)
        ran.append("task")

    with Crew(halt=lambda: None, jobs=[lambda: ran.append("job")] * 3, tasks=[task] * 5) as crew:
        assert crew.finished(LONG)
    assert (ran.count("job"), ran.count("task")) == (3, 5)
    assert not at_work()


@pytest.mark.parametrize("kind", ["jobs", "tasks"])
def test_what_a_worker_raises_is_raised_by_finished(kind: str) -> None:
    """A worker that fails halts the others, and its error comes out where the crew is waited for."""
    halted = threading.Event()

    def fail() -> None:
        raise ValueError("broken")

    async def afail() -> None:
        raise ValueError("broken")

    def wait() -> None:
        assert halted.wait(LONG)

    jobs = [wait, fail] if kind == "jobs" else [wait]
    with Crew(halt=halted.set, jobs=jobs, tasks=[afail] if kind == "tasks" else []) as crew:  # noqa: SIM117
        with pytest.raises(ValueError, match="broken"):
            crew.finished(LONG)
    assert not at_work()


def test_leaving_early_waits_for_every_worker() -> None:
    """When the block is left, by an error too, the workers are halted and no thread is left."""
    over = threading.Event()

    def work() -> None:
        over.wait(LONG)

    crew = Crew(halt=over.set, jobs=[work] * 3)

    def leave_early() -> None:
        with crew:
            assert not crew.finished(0)
            raise KeyError

    with pytest.raises(KeyError):
        leave_early()
    assert not at_work()


def test_an_uncached_replay_is_all_misses(tmp_path: Path) -> None:
    """Without a cache every request waits for a query of its own."""
    list(shop.build(tmp_path / "shop.db", users=20, seed=1, check=lambda: None))
    with Origin(tmp_path / "shop.db") as origin:
        replay = Replay([1, 2, 1, 3] * 10, source := Source(origin), kind="threads", cached=False)
        with Crew(halt=replay.end, jobs=[replay.job(source.load) for _ in range(3)]) as crew:
            assert crew.finished(LONG)
    phase = replay.picture(over=True)
    assert (phase.done, phase.queries, phase.hits, phase.misses, phase.wrong) == (40, 40, 0, 40, 0)
    assert phase.hit == Latency(None, None)
    assert phase.query.p50_us is not None
    assert phase.seconds > 0


def test_a_wrong_answer_is_seen(tmp_path: Path) -> None:
    """An answer that belongs to another user is counted as wrong: the check is able to see one."""
    list(shop.build(tmp_path / "shop.db", users=20, seed=1, check=lambda: None))
    with Origin(tmp_path / "shop.db") as origin:
        source = Source(origin)
        first = source.load(1)
        source.load(2)

        def mixed_up(user_id: int) -> Profile:
            del user_id
            return first

        replay = Replay([1, 2, 1, 2], source, kind="threads", cached=True)
        replay.job(mixed_up)()
    phase = replay.picture(over=True)
    assert (phase.hits, phase.misses, phase.wrong) == (4, 0, 2)


def test_an_ended_replay_leaves_the_rest_unasked(tmp_path: Path) -> None:
    """After `end` each worker stops; what was answered stays counted."""
    list(shop.build(tmp_path / "shop.db", users=20, seed=1, check=lambda: None))
    with Origin(tmp_path / "shop.db") as origin:
        source = Source(origin)

        def end_after_one(user_id: int) -> Profile:
            replay.end()
            return source.load(user_id)

        replay = Replay([1] * 100, source, kind="threads", cached=False)
        replay.job(end_after_one)()
    assert (replay.picture(over=True).done, replay.picture(over=True).requests) == (1, 100)


def test_percentiles_are_durations_that_occurred() -> None:
    """The nearest rank: with one duration it is that one, with a hundred p99 is the last but one."""
    assert Latency.of([3000]) == Latency(3.0, 3.0)
    assert Latency.of([n * 1000 for n in range(100, 0, -1)]) == Latency(50.0, 99.0)
    assert Latency.of([]) == Latency(None, None)
