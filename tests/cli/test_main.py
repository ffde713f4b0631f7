"""The command line around the demo: what it says when it can't do what was asked."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import hotset
from hotset.cli import main
from tests.cli.conftest import Run, environment


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        pytest.param(["demo", "--threads", "0"], "--threads", id="too few threads"),
        pytest.param(["demo", "--threads", "many"], "--threads", id="no number"),
        pytest.param(["demo", "--tasks", "0"], "--tasks", id="no tasks"),
        pytest.param(["demo", "--users", "9"], "--users", id="too few users"),
        pytest.param(["demo", "--requests", "-5"], "--requests", id="negative requests"),
        pytest.param(["demo", "--seed", "-1"], "--seed", id="negative seed"),
        pytest.param(
            ["demo", "--trace", "no/such/file"], "no/such/file: No such file or directory; valid:", id="no file"
        ),
        pytest.param(["demo", "--speed", "9"], "--speed", id="no such option"),
        pytest.param(["demo", "more"], "more", id="an argument too many"),
        pytest.param(["demon"], "demon", id="no such command"),
        pytest.param(["--nothing"], "--nothing", id="no such option at all"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    """Bad arguments end with exit code 2 and one line on stderr that names the argument; stdout stays empty."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hotset: ")
    assert complaint in said.err
    assert said.err.count("\n") == 1


def test_a_file_that_is_no_trace_is_refused(run: Run, tmp_path: Path) -> None:
    """A picture given as a trace is refused before anything is built."""
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    done = run("demo", "--trace", str(picture))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"hotset: {picture}: line 1 is no text; valid: text or gzip; a first line that names the columns "
        "(`key`, or `time,key,size`), then one request a line\n"
    )


@pytest.mark.parametrize("value", ["1", "perhaps"])
def test_a_disabled_cache_is_no_demo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """With HOTSET_DISABLE set, or set to nonsense, the demo says in one line that this is in its way."""
    monkeypatch.setenv("HOTSET_DISABLE", value)
    assert main(["demo"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("hotset: HOTSET_DISABLE")


def test_the_version_is_the_packages(run: Run) -> None:
    """`hotset --version` prints the version."""
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hotset {hotset.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["demo", "--help"]])
def test_help_fits_80_columns(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Help names the command, in plain text of at most 80 columns."""
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "demo" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    assert "\x1b" not in said.out


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_it_says_what_to_install(tmp_path: Path, missing: str) -> None:
    """Where typer or rich is missing one line names the extra, and the exit code is 2."""
    script = f"import sys; sys.modules[{missing!r}] = None; from hotset.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(tmp_path, {}),
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hotset: the command line needs {missing}: pip install 'hotset[cli]'\n"


def test_another_missing_module_is_no_missing_extra(tmp_path: Path) -> None:
    """A module that is missing for any other reason is not blamed on the extra."""
    script = "import sys; sys.modules['sqlite3'] = None; from hotset.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment(tmp_path, {}),
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_the_entry_point_is_main() -> None:
    """Where hotset is installed its command is `hotset.cli:main`."""
    scripts = metadata.entry_points(group="console_scripts", name="hotset")
    assert {script.value for script in scripts} <= {"hotset.cli:main"}
