"""The golden files of one layout: what they are called and what today's code would write.

`python -m tests.golden.files v2` writes those of a new layout, once: it refuses a folder that has files already.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from hotset.entry import wire

HERE = Path(__file__).parent


def versions() -> list[str]:
    """The layouts that have a folder."""
    return sorted(folder.name for folder in HERE.glob("v[0-9]*") if folder.is_dir())


def manifest(version: str) -> Any:
    """What the files of a layout say."""
    return import_module(f"tests.golden.{version}.manifest")


def written(version: str) -> dict[str, bytes]:
    """The files of a layout by their names, as today's code writes them."""
    told = manifest(version)
    around = told.RECORDS["value"]
    bare = {f"record-{name}.bin": wire.pack(record) for name, record in told.RECORDS.items() if name != "value"}
    full = {
        f"value-{name}.bin": wire.pack(replace(around, body=told.CODEC.encode(value, name)))
        for name, value in told.VALUES.items()
    }
    return bare | full


def write(version: str, folder: Path) -> int:
    """Write the files of a new layout; returns how many, or exits with what is in the way."""
    there = sorted(file.name for file in folder.glob("*.bin"))
    if there:
        sys.exit(f"{folder} has {len(there)} files, which stand for ever; a new layout gets a new folder")
    if manifest(version).LAYOUT != wire.FORMAT:
        sys.exit(f"{version} is layout {manifest(version).LAYOUT}, and this code writes layout {wire.FORMAT}")
    files = written(version)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return len(files)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in versions():
        sys.exit(f"usage: python -m tests.golden.files VERSION, where VERSION is one of {', '.join(versions())}")
    sys.stdout.write(f"wrote {write(sys.argv[1], HERE / sys.argv[1])} files\n")
