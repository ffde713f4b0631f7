"""Runs one page: its Python in one process and one namespace, its commands in one shell, its files in one directory.

Nothing of the user's machine is touched: each port that the page names (`localhost:6379`, `--port 8000`) is replaced by
a free one, Redis's by that of the tests' server, and put back in what is printed before it is compared.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.blocks import ROOT, RUN, SHOWN, Block, blocks
from tests.docs.shell import PATIENCE, Shell
from tests.docs.shown import said, same
from tests.services.ports import free_port

REDIS = 6379
_PORT = re.compile(r"((?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):|--port[ =]|-p |\bport=|PORT=)(\d{4,5})\b")
_STORE = re.compile(r"redis://|valkey://|redis-cli|REDIS_|CachingService|:6379\b")
_GOES_ON = re.compile(r"(?:uvicorn|gunicorn|celery .*\bworker|flask .*\brun|python -m http\.server)\b")
"""Commands that serve until they are ended: in the foreground, and with nothing shown, the page would wait for ever."""

_EXTRAS = re.compile(r"hotset\[([\w, -]+)\]")
_SERVES = {"uvicorn": 8000, "gunicorn": 8000, "fastapi": 8000, "runserver": 8000, "flask": 5000}
"""Where a command that names no port listens."""

NOT_RUN = ("pip install", "make ", "git ", "docker ", "apt-get ", "redis-server", "cd path/to")
"""How commands begin that would change the machine: `make` targets and extras are checked to exist, no more."""


def needs_store(page: str) -> bool:
    """Whether a page's blocks talk to Redis."""
    return any(_STORE.search(block.text) for block in blocks(page) if block.language in RUN)


def needs_curl(page: str) -> bool:
    """Whether a page's commands ask a server by curl."""
    return any(command.startswith("curl ") for block in _consoles(page) for command, _, _ in commands(block))


def _consoles(page: str) -> Iterator[Block]:
    return (block for block in blocks(page) if block.language == "console")


@dataclass
class Run:
    """One run of one page."""

    page: Path
    directory: Path
    redis_port: int | None = None
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.page.relative_to(ROOT).as_posix()
        self.text = self.page.read_text(encoding="utf-8")
        self.work = self.directory / "work"
        self.logs = self.directory / "logs"
        self.logs.mkdir(parents=True)
        if self.page.parent.parent == ROOT / "examples":  # it speaks of the files beside it
            shutil.copytree(self.page.parent, self.work, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            self.work.mkdir()
        if self.redis_port is not None:
            self.ports[str(REDIS)] = self.redis_port
        self._shell: Shell | None = None
        self._python: subprocess.Popen[str] | None = None

    def all(self) -> None:
        """Run the page from its first block to its last; AssertionError names the line that is not as it says."""
        try:
            for block in blocks(self.text):
                self._one(block)
        finally:
            self._close()

    # -- blocks

    def _one(self, block: Block) -> None:
        if block.language not in RUN | SHOWN:
            valid = ", ".join(sorted(RUN | SHOWN))
            raise AssertionError(
                f"{self._at(block.line)}: a block of {block.language or 'no language'}; valid are {valid}"
            )
        if block.sketch:
            compile(block.text, self.name, "exec")
        elif block.language == "console":
            for command in commands(block):
                self._command(*command)
        elif block.file is not None:
            self._file(block, block.file)
        elif block.language in RUN:
            self._ask(block.language, self._mapped(block.text), block.line)

    def _file(self, block: Block, name: str) -> None:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._mapped(block.text), encoding="utf-8")
        module = name.removesuffix(".py").replace("/", ".")
        importable = name.endswith(".py") and all(part.isidentifier() for part in module.split("."))
        if importable and not re.search(rf"python3? {re.escape(name)}\b", self.text):
            self._ask("module", module, block.line)

    def _command(self, command: str, shown: str, line: int) -> None:
        if command.startswith(NOT_RUN):
            check_named(command)
            return
        mapped = self._mapped(command)
        if command.endswith("&"):
            ports = [self._port(str(port)) for word, port in _SERVES.items() if word in command]
            ready = (lambda printed: said(shown, self._unmapped(printed))) if shown.strip() else None
            self._in_shell().serve(mapped, ready, ports)
            return
        if not shown.strip() and _GOES_ON.match(command):
            raise AssertionError(f"{self._at(line)}: $ {command}\nserves until it is ended: write ` &` at its end")
        if command.startswith("export "):
            self._ask("export", mapped.removeprefix("export "), line)
        shell = self._in_shell()
        printed, status = (shell.foreground(), 0) if command == "fg" else shell.run(mapped)
        printed = self._unmapped(printed)
        if shown.strip() and not same(shown, printed):
            raise AssertionError(f"{self._at(line)}: $ {command}\nthe page shows:\n{shown}\nprinted was:\n{printed}")
        if status and not shown.strip():
            raise AssertionError(f"{self._at(line)}: $ {command}\nended with status {status}:\n{printed}")

    def _at(self, line: int) -> str:
        return f"{self.name}:{line}"

    # -- ports

    def _mapped(self, text: str) -> str:
        return _PORT.sub(lambda found: f"{found[1]}{self._port(found[2])}", text)

    def _port(self, named: str) -> int:
        return self.ports.setdefault(named, free_port())

    def _unmapped(self, text: str) -> str:
        for named, real in self.ports.items():
            text = re.sub(rf"\b{real}\b", named, text)
        return text

    # -- the two processes

    def _environment(self) -> dict[str, str]:
        tools = self.directory / "bin"
        if not tools.exists():
            tools.mkdir()
            self._redis_cli(tools / "redis-cli")
        path = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTEST_ADDOPTS": "-p no:randomly -p no:valkey -p no:cacheprovider",
            "UVICORN_PORT": str(self._port("8000")),
            "PORT": str(self._port("8000")),
            "FLASK_RUN_PORT": str(self._port("5000")),
            **({"REDIS_PORT": str(self.redis_port)} if self.redis_port is not None else {}),
        }

    def _redis_cli(self, tool: Path) -> None:
        found = shutil.which("redis-cli")
        if found is not None and self.redis_port is not None:
            tool.write_text(f'#!/bin/sh\nexec {found} -p {self.redis_port} --no-raw "$@"\n')
            tool.chmod(0o755)

    def _in_shell(self) -> Shell:
        self._shell = self._shell or Shell(self.work, self._environment(), self.logs)
        return self._shell

    def _ask(self, do: str, text: str, line: int) -> None:
        self._python = self._python or self._start_python()
        error = json.loads(self._exchange(self._python, json.dumps([do, text, self.name, line])))
        if error is not None:
            raise AssertionError(f"{self._at(line)}: this block fails\n{error}")

    def _start_python(self) -> subprocess.Popen[str]:
        with (self.logs / "python.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.docs.driver"],
                cwd=self.work,
                env={**self._environment(), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _exchange(self, python: subprocess.Popen[str], request: str) -> str:
        assert python.stdin is not None
        assert python.stdout is not None
        python.stdin.write(request + "\n")
        python.stdin.flush()
        if not select.select([python.stdout], [], [], PATIENCE)[0]:
            raise AssertionError(f"{self.name}: a block does not end:\n{request}")
        answer = python.stdout.readline()
        if not answer:
            raise AssertionError(f"{self.name}: the page's Python has ended\n{(self.logs / 'python.log').read_text()}")
        return answer

    def _close(self) -> None:
        if self._shell is not None:
            self._shell.close()
        if self._python is not None:
            with self._python as python:
                try:
                    python.communicate(timeout=PATIENCE)
                finally:
                    python.kill()


def commands(block: Block) -> Iterator[tuple[str, str, int]]:
    """The commands of a console block: what stands behind `$ `, what is shown under it, and its line."""
    command, start, number = "", 0, block.line
    shown: list[str] = []
    lines = block.text.splitlines()
    while lines:
        line = lines.pop(0)
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(shown), start
            command, shown, start = line[2:].strip(), [], number
            while command.endswith("\\"):
                command, number = f"{command[:-1].rstrip()} {lines.pop(0).removeprefix('>').strip()}", number + 1
        elif command:
            shown.append(line)
        elif line.strip():
            raise AssertionError(f"line {number}: a console block begins with a command, `$ …`, not {line!r}")
        number += 1
    if command:
        yield command, "\n".join(shown), start


def check_named(text: str) -> None:
    """Check that the extras that a text tells to install exist, and the `make` target that a command names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {extra.strip() for found in _EXTRAS.findall(text) for extra in found.split(",")}
    unknown = named - set(project["optional-dependencies"])
    assert not unknown, f"no such extra of hotset: {', '.join(sorted(unknown))}"
    target = re.match(r"make (?:\w+=\S+ )*([\w-]+)", text)
    if target:
        assert re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), text
