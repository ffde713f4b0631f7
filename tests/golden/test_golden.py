"""Every byte that was ever released is still read, and today's code writes the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotset.entry import wire
from hotset.testing.same import same
from tests.golden.files import HERE, manifest, versions, write, written

FILES = [(version, file.name) for version in versions() for file in sorted((HERE / version).glob("*.bin"))]


def test_no_file_is_missing_and_none_is_left_over() -> None:
    """Each line of a manifest has its file, and each file its line."""
    assert versions()
    for version in versions():
        names = {name for of, name in FILES if of == version}
        told = manifest(version)
        records = {f"record-{name}.bin" for name in told.RECORDS if name != "value"}
        assert names == records | {f"value-{name}.bin" for name in told.VALUES}


@pytest.mark.parametrize("version, name", FILES)
def test_a_file_is_read_as_what_it_says(version: str, name: str) -> None:
    """The record field by field, the value by type and content."""
    told = manifest(version)
    read = wire.unpack((HERE / version / name).read_bytes())
    kind, _, of = name.removesuffix(".bin").partition("-")
    assert read is not None
    if kind == "record":
        assert read == told.RECORDS[of]
        return
    around = told.RECORDS["value"]
    assert (read.mark, read.generation, read.instant, read.version, read.began_at, read.soft, read.tags) == (
        *(around.mark, around.generation, around.instant, around.version, around.began_at, around.soft, around.tags),
    )
    assert same(told.CODEC.decode(read.body), told.VALUES[of])


@pytest.mark.parametrize("name", [name for version, name in FILES if version == f"v{wire.FORMAT}"])
def test_todays_code_writes_the_same_bytes(name: str) -> None:
    """Of the layout that it writes: a process of the last release reads what one of this release writes."""
    version = f"v{wire.FORMAT}"
    assert written(version)[name] == (HERE / version / name).read_bytes()


def test_the_files_are_never_written_again(tmp_path: Path) -> None:
    """What is there stands: a folder with a file in it is refused, an empty one is filled."""
    version = f"v{wire.FORMAT}"
    with pytest.raises(SystemExit, match="stand for ever"):
        write(version, HERE / version)
    assert write(version, tmp_path) == len(list(tmp_path.glob("*.bin"))) == len(written(version))
    with pytest.raises(SystemExit, match="stand for ever"):
        write(version, tmp_path)


def test_another_layout_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a layout come from the code of that layout."""
    version = f"v{wire.FORMAT}"
    monkeypatch.setattr(wire, "FORMAT", 99)
    with pytest.raises(SystemExit, match="layout 99"):
        write(version, tmp_path)
