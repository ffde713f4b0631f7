"""The plugin as a user runs it: a project of its own, and pytest in a process of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SRC = str(Path(__file__).parents[2] / "src")
SHOP = """
from hotset import Cache

cache = Cache("memory://", "redis://127.0.0.1:1/0", namespace="shop", ttl="10m")

@cache.cached("user:{user_id}")
def load_user(user_id: int) -> dict:
    return {"id": user_id}
"""


class Project:
    """A folder with a module `shop` and tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.write("shop.py", SHOP)

    def write(self, name: str, text: str) -> None:
        """Put a file there."""
        (self._folder / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def pytest(self, *options: str) -> tuple[int, str]:
        """Run its tests; return the exit code and all that was printed."""
        installed = any(point.name == "hotset" for point in importlib.metadata.entry_points(group="pytest11"))
        plugin = () if installed else ("-p", "hotset.testing.plugin")
        command = (sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *plugin, *options)
        environment = {"PYTHONPATH": f"{SRC}:{self._folder}"}
        child = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return child.returncode, child.stdout + child.stderr


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_test_says_what_it_expects_and_a_failure_says_what_was(project: Project) -> None:
    """Over a Redis that is nowhere: the passing test passes, the failing one lists what happened."""
    project.write(
        "test_shop.py",
        """
        import shop

        def test_once(isolated):
            seen = isolated(shop.cache)
            shop.load_user(7), shop.load_user(7)
            seen.assert_loaded("user:7", times=1)
            seen.advance("10m")
            shop.load_user(7)
            seen.assert_loaded("user:7", times=2)

        def test_never(isolated):
            seen = isolated(shop.cache)
            shop.load_user(7)
            seen.assert_deleted("user:7")

        async def _read():
            return await shop.cache.aio.get_or_load("k", lambda: 1)

        def test_async(isolated):
            import asyncio
            seen = isolated(shop.cache.aio, strict=True)
            asyncio.run(_read())
            assert seen.loaded == ["k"]
        """,
    )
    code, said = project.pytest()
    assert (code, "2 passed" in said, "1 failed" in said) == (1, True, True), said
    assert "'user:7' was deleted never, not at least once" in said
    assert "  loaded: user:7" in said


def test_a_value_that_a_test_changed_is_an_error_of_that_test(project: Project) -> None:
    """With `strict=True`, at its end, by the name of its key; the next test starts empty."""
    project.write(
        "test_shop.py",
        """
        import shop

        def test_changes(isolated):
            isolated(shop.cache, strict=True)
            shop.load_user(7)["name"] = "Eve"

        def test_next(isolated):
            isolated(shop.cache)
            assert shop.load_user(7) == {"id": 7}
        """,
    )
    code, said = project.pytest()
    assert (code, "2 passed, 1 error" in said) == (1, True), said
    assert "ERROR at teardown of test_changes" in said
    assert "\nthe value of 'user:7' was changed after it was cached" in said


def test_one_line_gives_every_test_an_empty_cache(project: Project) -> None:
    """`hotset_isolated` names them; a test that wants the clock isolates once more, within."""
    project.write("pytest.ini", "[pytest]\nhotset_isolated = shop:cache\n")
    project.write(
        "test_shop.py",
        """
        import shop

        def test_one():
            assert shop.cache.stats().loads == 0
            shop.load_user(7)
            assert shop.cache.stats().loads == 1

        test_two = test_one

        def test_three(isolated):
            seen = isolated(shop.cache)
            shop.load_user(7)
            seen.assert_loaded("user:7", times=1)
        """,
    )
    code, said = project.pytest()
    assert (code, "3 passed" in said) == (0, True), said


@pytest.mark.parametrize(
    "name, told",
    [
        ("shop:nothing", "no cache is called 'shop:nothing'"),
        ("nowhere:cache", "no cache is called 'nowhere:cache'"),
        ("shop", "no cache is called 'shop'"),
        ("shop:load_user", "'shop:load_user' is no cache"),
    ],
)
def test_a_name_that_leads_to_no_cache_says_so(project: Project, name: str, told: str) -> None:
    """In every test that it would have been for."""
    project.write("pytest.ini", f"[pytest]\nhotset_isolated = {name}\n")
    project.write("test_shop.py", "def test_one(): ...\n")
    code, said = project.pytest()
    assert (code != 0, f"hotset_isolated: {told}" in said) == (True, True), said


def test_help_and_the_list_of_fixtures_say_what_there_is(project: Project) -> None:
    """The setting in `--help`, the fixture and its first line in `--fixtures`."""
    help_said = " ".join(project.pytest("--help")[1].split())
    assert "hotset_isolated (linelist): hotset: caches that every test starts with empty" in help_said
    fixtures = project.pytest("--fixtures", "-q")[1]
    assert "Return a function that empties a cache for this test" in fixtures
