"""The examples that are commands: run as a person runs them, twice."""

from __future__ import annotations

import re

from tests.examples.served import run
from tests.services.servers import Server


def test_a_second_run_of_the_script_finds_what_the_first_has_fetched(redis_server: Server) -> None:
    """The rate is fetched once; `--new` fetches it again, for whoever asks next."""
    told = [
        run("cli_script", f"python rates.py EUR USD 250 {more}", redis_server.url).stdout
        for more in ("", "", "--new", "")
    ]
    assert all(each.startswith("250 EUR = 270.62 USD\n") for each in told)
    assert [re.findall(r"rate (fetched|from the cluster)", each) for each in told] == [
        ["fetched"], ["from the cluster"], ["fetched"], ["from the cluster"],
    ]  # fmt: skip


def test_the_script_works_without_a_server() -> None:
    """Where Redis is not, the rate is fetched each time, and nothing else is different."""
    ran = run("cli_script", "python rates.py EUR USD 250", "redis://127.0.0.1:1/0")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "rate fetched" in ran.stdout


def test_the_file_fills_in_what_the_environment_leaves_unsaid(redis_server: Server) -> None:
    """In production two processes share a greeting; what the environment says of the tiers goes over the file."""

    def greet(**environment: str) -> list[str]:
        ran = run("settings", "python settings.py", redis_server.url, **environment)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()

    first, second = greet(APP_ENV="production"), greet(APP_ENV="production")
    assert first == second
    assert first[1] == "process over cluster"
    alone = greet(APP_ENV="production", HOTSET_TIERS="memory://")
    assert alone[1] == "process"
    assert alone[0] != first[0]


def test_a_setting_that_there_is_not_is_named() -> None:
    """A wrong name in the environment is an error before anything is served."""
    ran = run("settings", "python settings.py", "redis://127.0.0.1:1/0", HOTSET_TLL="5m")
    assert ran.returncode == 1
    assert "HOTSET_TLL" in ran.stderr
    assert "HOTSET_TTL" in ran.stderr


def test_the_tests_of_the_service_pass_without_a_server() -> None:
    """As a stranger runs them who has copied the folder."""
    command = "python -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider -p no:randomly"
    ran = run("unit_tests", command, "redis://127.0.0.1:1/0")
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr
