"""`make bench`: the table of targets, as far as they are built."""

from __future__ import annotations

import platform
import sys

import hotset
from benchmarks import hit, miss, slow, tags


def main() -> None:
    """Print every figure with what it is a ratio to; losses are shown like gains."""
    out = sys.stdout.write
    out(f"hotset {hotset.__version__}, plain Python; {platform.python_implementation()} {platform.python_version()}\n")
    out("Absolute figures are this machine's; compare ratios.\n\n")
    out(f"{'case':<48}{'ns':>9}{'ratio':>9}  to\n")
    for name, nanoseconds, ratio, base in (*hit.measure(), *miss.measure(), *tags.measure(), *slow.measure()):
        out(f"{name:<48}{nanoseconds:>9.0f}{ratio:>8.1f}x  {base}\n")


if __name__ == "__main__":
    main()
