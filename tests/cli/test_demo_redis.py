"""`hotset demo --redis`: two real processes over a real server, and nothing left of them however it ends."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotset import Cache
from hotset.cli import main, shop
from hotset.cli.fleet import outage, scenes, worker
from hotset.cli.fleet.keys import meet, remove
from hotset.cli.fleet.process import Process, WorkerFailed
from hotset.cli.fleet.relay import Relay
from hotset.cli.fleet.server import OwnServer
from hotset.cli.fleet.shelf import Change, Shelf, now
from hotset.cli.fleet.worker import Worker
from hotset.config.redis import Redis
from hotset.errors import StoreError
from tests.cli.conftest import Run, Start
from tests.services.fixtures import OwnServer as MakeServer
from tests.services.servers import Server

SMALL = ("--users", "200", "--requests", "300", "--threads", "4")
SCENES = ["delete_here_read_there", "one_cold_key", "outage"]
LONG = 20.0


def alive(pid: int) -> bool:
    """Whether there is such a process, one that has ended and was not waited for left out."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Look again and again until it is so, at most so long."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # between two looks; the condition decides, or the deadline
    return True


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read what the process prints until a line has these words; return that line and those before it."""
    seen = ""
    assert process.stdout is not None
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    pytest.fail(f"it never said {words!r}: {seen}{process.stderr.read() if process.stderr else ''}")


def test_the_figures_agree_and_a_strangers_server_is_left_as_it_was(run: Run, redis_server: Server) -> None:
    """Requests are the answers of three tiers, one load a key, every scene holds, and only our own keys are gone."""
    redis_server.cli("SET", "hs1:shop:profile:1", "somebody's")
    done = run("demo", "--json", "--redis", redis_server.url, *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    figures: dict[str, Any] = json.loads(done.stdout)
    assert (figures["ok"], figures["problems"]) == (True, [])
    assert (figures["server"]["own"], figures["server"]["where"]) == (False, f"127.0.0.1:{redis_server.port}")
    together, parts = figures["together"], figures["processes"]
    assert [part["requests"] for part in parts] == [150, 150]
    for share in (together, *parts):
        assert share["done"] == share["requests"] == sum(share["counts"].values())
        assert share["wrong"] == 0
    for what in ("done", "queries", "threads"):
        assert together[what] == sum(part[what] for part in parts)
    assert figures["trace"]["users"] < figures["queries_apart"] < 300
    assert together["queries"] == figures["trace"]["users"] or together["outages"]  # then each loads for itself
    for tier in ("process", "cluster", "query"):
        assert together["counts"][tier] > 0
        assert together["latencies"][tier]["p50_us"] <= together["latencies"][tier]["p99_us"]
    assert list(figures["scenes"]) == SCENES
    delete, crowd, away = (figures["scenes"][name]["figures"] for name in SCENES)
    assert delete["updates"] == delete["next_reads_new"] + delete["next_reads_before_the_message"] == 10
    assert 0 < delete["dropped_after_us_median"] <= delete["dropped_after_us_most"] < 1e6
    assert (crowd["callers"], crowd["queries"], crowd["same_answers"]) == (100, 1, 100)
    assert (away["errors"], away["old_reads"]) == (0, 0)
    assert 0 < away["reads_while_away"] < away["reads"]
    assert figures["keys_removed"] >= figures["trace"]["users"]
    assert redis_server.cli("KEYS", "*") == [b"hs1:shop:profile:1"]
    assert not any(alive(pid) for part in parts for pid in part["pids"])


def test_a_server_of_its_own_is_started_stopped_and_gone(run: Run, tmp_path: Path) -> None:
    """Piped into a file, `--redis own` is plain text of 80 columns that tells the outage step by step."""
    done = run("demo", "--redis", "own", *SMALL, COLUMNS="200", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    told = " ".join(done.stdout.split())
    for words in (
        "started for this demo",
        "hits: cluster tier",
        "one load a key",
        "the server is stopped",
        "1 delete to be delivered",
        "the server runs again",
        "the delete is delivered; process 2 reads the new value",
    ):
        assert words in told
    assert len(re.findall(r"^ +ok ", done.stdout, re.MULTILINE)) == len(SCENES)
    assert "All of it held." in told
    assert list(tmp_path.iterdir()) == []
    [port] = re.findall(r"127\.0\.0\.1:(\d+)", done.stdout)
    with pytest.raises(StoreError):
        meet(Redis(f"redis://127.0.0.1:{port}"))


@pytest.mark.parametrize("how, kind", [("signal", "redis"), ("worker", "valkey")])
def test_an_early_end_leaves_no_key_and_no_process(
    start: Start, request: pytest.FixtureRequest, tmp_path: Path, how: str, kind: str
) -> None:
    """Ctrl-C, or the death of a worker, ends it with its exit code and one line; keys and processes are gone."""
    store_server: Server = request.getfixturevalue(f"{kind}_server")
    with start("demo", "--redis", store_server.url, *SMALL, "--requests", "10000", "--users", "20000") as process:
        seen = until(process, "namespace=")
        pids = [int(pid) for pid in re.findall(r"Processes (\d+) and (\d+)", seen)[0]]
        assert within(LONG, lambda: len(store_server.cli("KEYS", "*")) > 20)  # from here on it replays
        assert all(alive(pid) for pid in pids)
        if how == "signal":
            process.send_signal(signal.SIGINT)
        else:
            os.kill(pids[1], signal.SIGKILL)
        _, err = process.communicate(timeout=30)
    stopped = "hotset: stopped; keys, processes and the database are removed again\n"
    lost = f"hotset: process {pids[1]} has ended in the middle of it (exit code -9)\n"
    assert (process.returncode, err) == ((130, stopped) if how == "signal" else (1, lost))
    assert store_server.cli("KEYS", "*") == []
    assert not any(map(alive, pids))
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_killed_takes_its_processes_and_its_server_along(start: Start) -> None:
    """After SIGKILL nothing can be tidied up by the demo, and still no process of it goes on."""
    with start("demo", "--redis", "own", *SMALL) as process:
        seen = until(process, "namespace=")
        pids = [int(pid) for pid in re.findall(r"Processes (\d+) and (\d+)", seen)[0]]
        [port] = re.findall(r"127\.0\.0\.1:(\d+)", seen)
        meet(Redis(f"redis://127.0.0.1:{port}"))
        process.kill()
        process.communicate()

    def gone() -> bool:
        try:
            meet(Redis(f"redis://127.0.0.1:{port}"))
        except StoreError:
            return not any(map(alive, pids))
        return False

    assert within(LONG, gone)


@pytest.mark.parametrize(
    "url, complaint",
    [
        pytest.param("localhost", "--redis: url: one such as 'redis://localhost:6379/0', not 'localhost'", id="no url"),
        pytest.param("redit://localhost", "did you mean 'redis://'", id="no such scheme"),
        pytest.param("redis://localhost/one", "--redis: db: a whole number", id="no db"),
        pytest.param("redis://:hush@localhost:1", "--redis: localhost:1: ", id="nobody there"),
        pytest.param("redis://nowhere.invalid", "--redis: nowhere.invalid:6379: ", id="no such host"),
    ],
)
def test_a_server_that_cannot_be_used_is_said_at_once(
    capsys: pytest.CaptureFixture[str], url: str, complaint: str
) -> None:
    """A wrong url and a server that is not there end with exit code 2 and one line, before anything is built."""
    began = time.monotonic()
    assert main(["demo", "--redis", url]) == 2
    assert time.monotonic() - began < 5
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("hotset: ")
    assert complaint in said.err
    assert "hush" not in said.err


def test_a_server_that_lets_nobody_in_or_only_reads_is_refused(
    capsys: pytest.CaptureFixture[str], own_server: MakeServer
) -> None:
    """Without its password, and on a replica, the demo says what is missing."""
    locked = own_server("valkey", config={"requirepass": "secret"})
    assert main(["demo", "--redis", f"redis://127.0.0.1:{locked.port}"]) == 2
    assert "it wants a password" in capsys.readouterr().err
    replica = own_server("valkey", replica_of=locked, config={"requirepass": "secret"})
    assert main(["demo", "--redis", replica.url]) == 2
    assert "this is a replica, which only reads; name its master" in capsys.readouterr().err


def test_without_a_server_on_the_machine_it_says_what_brings_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where there is no program, or only an old one, one line names the ways to a server."""
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.2.14 sha=00000000:0\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for path, complaint in ((tmp_path, f"{old} is no Redis 7.0 or later, no server"), ("", "own: no server to start")):
        monkeypatch.setenv("PATH", str(path))
        assert main(["demo", "--redis", "own"]) == 2
        said = capsys.readouterr().err
        assert complaint in said
        assert "make demo-redis" in said


def test_own_servers_keep_what_they_hold_while_they_are_stopped() -> None:
    """Stopped and started again it has the same address and the same data; nobody answers in between."""
    with OwnServer() as server:
        store = server.description
        with Cache(store, namespace="demo-kept") as cache:
            assert cache.set("k", "v")
        server.stop()
        with pytest.raises(StoreError):
            meet(store)
        server.start(lambda: None)
        assert remove(store, "demo-other") == 0
        assert remove(store, "demo-kept") >= 1
        assert remove(store, "demo-kept") == 0
    with pytest.raises(StoreError):
        meet(store)


def test_a_relay_cuts_and_restores(store_server: Server) -> None:
    """Through a relay the server answers; cut, nobody does; restored, it answers at the same place."""
    with Relay(Redis(store_server.url)) as relay:
        there = meet(relay.description)
        assert there.kind == store_server.kind
        relay.cut()
        with pytest.raises(StoreError):
            meet(relay.description)
        relay.restore()
        assert meet(relay.description).run_id == there.run_id
    with pytest.raises(StoreError):
        meet(relay.description)


class Here:
    """Asks a worker that lives in this very process, so that a test can put a fault into it."""

    def __init__(self) -> None:
        self._worker = Worker()
        self._result: Any = None

    def ask(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Do it."""
        return method(self._worker, *arguments)

    def begin(self, method: Callable[..., Any], *arguments: Any) -> None:
        """Do it, and keep what came of it."""
        self._result = self.ask(method, *arguments)

    def result(self, method: Callable[..., Any]) -> Any:
        """Return what was kept."""
        return self._result


@pytest.fixture
def fleet(tmp_path: Path, redis_server: Server) -> Iterator[Any]:
    """Two workers over a small shop and one server."""
    path = tmp_path / "shop.db"
    list(shop.build(path, users=100, seed=1, check=lambda: None))
    workers = Here(), Here()
    for each in workers:
        each.ask(Worker.open, str(path), Redis(redis_server.url), "demo-here")
    yield workers
    for each in workers:
        each.ask(Worker.close)


def test_a_delete_that_does_not_reach_the_other_is_seen(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a delete that does nothing the first scene fails, and says that no copy was dropped."""
    monkeypatch.setattr(worker, "_MESSAGE", 0.01)

    def only_renamed(shelf: Shelf, user_id: int, name: str) -> Change:
        return Change(shelf.origin.rename(user_id, name), now(), now())

    monkeypatch.setattr(Shelf, "change", only_renamed)
    scene = scenes.delete_here_read_there(fleet)
    assert not scene.holds
    assert scene.figures["old_reads_after_it"] == 10
    assert scene.shown == "No process ever dropped its copy for a delete in the other."


def test_a_crowd_that_loads_twice_is_seen(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each caller loads for himself the second scene counts the queries."""
    for each in fleet:
        shelf = each.ask(lambda worker: worker.shelf)
        monkeypatch.setattr(shelf, "revenue", shelf.revenue.__wrapped__)
        monkeypatch.setattr(Worker, "forget_revenue", lambda self: None)
    scene = scenes.one_cold_key(fleet)
    assert not scene.holds
    assert scene.figures["queries"] == 100


class Nothing:
    """A switch that makes nothing go away."""

    claim, gone, back = "claim", "gone", "back"

    def off(self, check: Callable[[], None]) -> None:
        """Have nothing go away."""

    def on(self, check: Callable[[], None]) -> None:
        """Have nothing come back."""


def test_an_outage_that_did_not_happen_is_seen(fleet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store never goes away the third scene fails rather than report an outage."""
    monkeypatch.setattr(outage, "_PATIENCE", 1.5)
    monkeypatch.setattr(outage, "_CALM", 0.0)
    told = outage.outage(fleet, Nothing(), 100, lambda: None)
    scene = None
    while scene is None:
        try:
            next(told)
        except StopIteration as end:
            scene = end.value
    assert not scene.holds
    assert scene.shown == "Not so: both know that it is away."


def test_what_a_worker_cannot_do_is_said_where_it_was_asked() -> None:
    """A worker's error comes out in the demo with the worker's pid, and it goes on serving."""
    process = Process(lambda: None)
    try:
        with pytest.raises(WorkerFailed, match=f"process {process.pid}: AssertionError: nothing was opened"):
            process.ask(Worker.hold, 1)
        process.ask(Worker.halt)
    finally:
        process.close()
    assert not alive(process.pid)
