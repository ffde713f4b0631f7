"""The command line, `hotset`: its entry point, which needs nothing but Python to say what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

# Which extra brings what.
_EXTRAS = {"rich": "cli", "typer": "cli", "redis": "cli,redis", "hiredis": "cli,redis"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: what follows the program's name; by default those of this process.

    Returns:
        0 when all went well, 1 when something that was claimed did not hold, 2 when the arguments, a file that they
        name or the installation cannot be used, 128 plus the signal's number when a signal ended it (130: Ctrl-C).
    """
    try:
        # Late, so that a plain `pip install hotset` gets a sentence here and not a traceback.
        from hotset.cli.app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name not in _EXTRAS:
            raise
        sys.stderr.write(f"hotset: the command line needs {name}: pip install 'hotset[{_EXTRAS[name]}]'\n")
        return 2
    except KeyboardInterrupt:
        return 130
