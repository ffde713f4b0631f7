"""Runs a page's Python in a process of its own, block after block in one namespace. Started by `page.py`.

A request is a line of JSON on standard input: what to do, the text, the page's name and the line. The answer is a line
on what was standard output: what went wrong, or null. What the blocks print goes to standard error.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import io
import json
import os
import shlex
import sys
import tokenize
import traceback
import types
from typing import Any

from tests.docs.shown import same

SHOWS = "# ->"
"""Behind an expression: what its value looks like."""


class Session:
    """The namespace of one page, and the loop on which its top-level `await`s run."""

    def __init__(self) -> None:
        module = sys.modules["page"] = types.ModuleType("page")  # where libraries look up what an annotation names
        self.names: dict[str, Any] = vars(module)
        self.names["__show__"] = show
        self.runner: asyncio.Runner | None = None

    def python(self, text: str, page: str, line: int) -> None:
        """Run a block; `await` may stand at its top level, and a value behind `# ->` is compared."""
        tree = ast.parse("\n" * (line - 1) + text, page)
        _compare(tree, _shown(text, line))
        code = compile(tree, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            self._loop().run(eval(code, self.names))
        else:
            exec(code, self.names)

    def module(self, name: str, page: str, line: int) -> None:
        """Import a file that the page has named, so that its names are there as if it had been run here."""
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        made = vars(importlib.import_module(name))
        self.names.update({key: value for key, value in made.items() if not key.startswith("__")})

    def pycon(self, text: str, page: str, line: int) -> None:
        """Run a session of the interpreter and compare each answer, as doctest does."""
        test = doctest.DocTestParser().get_doctest(text, self.names, page, page, line - 1)
        report = io.StringIO()
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
        runner.run(test, out=report.write, clear_globs=False)
        self.names.update(test.globs)
        if report.getvalue():
            raise AssertionError(report.getvalue())

    def export(self, text: str, page: str, line: int) -> None:
        """Set what a command of the page has exported: its Python is run with it as its commands are."""
        os.environ.update(dict(word.split("=", 1) for word in shlex.split(text)))

    def close(self) -> None:
        """End the loop, if there was one."""
        if self.runner is not None:
            self.runner.close()

    def _loop(self) -> asyncio.Runner:
        self.runner = self.runner or asyncio.Runner()
        return self.runner


def show(value: object, expected: str, line: int) -> None:
    """Compare a value with what the page shows of it."""
    if not same(expected, repr(value)):
        raise AssertionError(f"line {line}: the page shows {expected}, and the value is {value!r}")


def _shown(text: str, line: int) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    return {row + line - 1: comment[len(SHOWS) :].strip() for row, comment in comments if comment.startswith(SHOWS)}


def _compare(tree: ast.Module, shown: dict[int, str]) -> None:
    """Put `__show__(…)` around each expression of the top level whose value the page shows."""
    for node in tree.body:
        if isinstance(node, ast.Expr) and (expected := shown.pop(node.end_lineno or 0, None)) is not None:
            arguments = [node.value, ast.Constant(expected), ast.Constant(node.lineno)]
            node.value = ast.Call(ast.Name("__show__", ast.Load()), arguments, [])
    if shown:
        raise AssertionError(f"line {min(shown)}: `{SHOWS}` stands behind an expression of the top level only")
    ast.fix_missing_locations(tree)


def _leave_the_checkout() -> None:
    """Let `tests` and the rest of this checkout be no part of what a page imports."""
    sys.path.remove(os.environ.pop("PYTHONPATH"))
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _leave_the_checkout()
    session = Session()
    for request in sys.stdin:
        do, text, page, line = json.loads(request)
        error: str | None = None
        try:
            getattr(session, do)(text, page, line)
        except BaseException:  # noqa: BLE001  whatever the page's own code raises is the answer
            error = traceback.format_exc()
        answers.write(json.dumps(error) + "\n")
        answers.flush()
    session.close()


if __name__ == "__main__":
    main()
