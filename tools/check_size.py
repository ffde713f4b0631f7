"""Refuses hand-written files of more than 400 lines: a file holds one idea, and the longest of them fits into this."""

import sys
from pathlib import Path

LIMIT = 400
ROOMS = ("src", "tests", "benchmarks", "examples", "tools")
KINDS = {".py", ".pyi", ".pyx", ".pxd"}


def too_long(root: Path) -> dict[str, int]:
    """The files under `root` that are over the limit, with their lines."""
    files = sorted(file for room in ROOMS for file in (root / room).rglob("*") if file.suffix in KINDS)
    lengths = {str(file.relative_to(root)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    return {name: lines for name, lines in lengths.items() if lines > LIMIT}


def main() -> int:
    offenders = too_long(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
    for name, lines in offenders.items():
        print(f"{name}: {lines} lines, {LIMIT} at most. Which idea of it wants a file of its own?")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
