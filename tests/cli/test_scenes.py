"""The scenes put their claims to the test: each is able to see that its claim does not hold."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotset import Cache, Family, Miss
from hotset.cli import scenes, shop
from hotset.cli.figures import Database, Latency, Replayed, Report, Scene
from hotset.cli.origin import Origin


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    """A small shop, open."""
    list(shop.build(tmp_path / "shop.db", users=100, seed=1, check=lambda: None))
    with Origin(tmp_path / "shop.db") as origin:
        yield origin


def check() -> None:
    """Let it go on."""


def test_an_old_value_after_delete_is_seen(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a delete that does nothing every next read is old, and the first scene says so."""
    monkeypatch.setattr(Family, "delete", lambda *_: 0)
    scene = scenes.update_and_delete(origin, threads=2, tasks=3, check=check)
    assert not scene.holds
    assert scene.figures["old_reads"] >= scene.figures["first_reads"] == 10 * 5
    assert f"{scene.figures['old_reads']} of them old" in scene.shown


def test_a_second_query_is_seen(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each thread loads for itself the second scene counts the queries and says so."""

    def each_for_itself(cache: Cache, key: str, loader: Callable[[], object]) -> object:
        del cache, key
        return loader()

    monkeypatch.setattr(Cache, "get_or_load", each_for_itself)
    scene = scenes.one_cold_key(origin, check=check)
    assert not scene.holds
    assert scene.figures["queries"] > 100
    assert scene.figures["same_answers"] == 200


def test_a_stale_value_that_is_not_called_so_is_seen(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `lookup` does not tell of the stale value the third scene names what is missing."""
    monkeypatch.setattr(Cache, "lookup", lambda *_: Miss("absent"))
    monkeypatch.setattr(scenes, "_PATIENCE", 3.0)  # it waits for what will not come
    scene = scenes.failing_source(origin, check=check)
    assert not scene.holds
    assert scene.shown == "Not so: lookup says that it is stale; it is fresh again once the source is back."


def test_a_report_with_a_failed_scene_is_not_ok() -> None:
    """What did not hold is named in the report, for people and for machines."""
    nothing = Latency(None, None)
    failed = Scene(name="one_cold_key", claim="one query", holds=False, shown="2 queries.", seconds=0.1, figures={})
    report = Report("0", Database(1, 1, 1, 1, 0.1, "3", nothing), Replayed("t", 1, 1), (), (failed,), 1.0)
    assert report.problems == ("one_cold_key: 2 queries.",)
    assert (report.as_json()["ok"], report.as_json()["problems"]) == (False, ["one_cold_key: 2 queries."])
