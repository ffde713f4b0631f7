"""Reading traces: which files are taken, and what is said of the others."""

import gzip
from pathlib import Path

import pytest

from hotset.cli import trace
from hotset.cli.trace import BadTrace, Trace

EVERYTHING = 1_000_000


def written(folder: Path, content: str | bytes, name: str = "trace.txt") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("key\n7\n8\n7\n", id="key column"),
        pytest.param("time,key,size\n0,7,512\n1,8,512\n2,7,512\n", id="three columns"),
        pytest.param("time,key,size,ttl\n0,7,512,60\n1,8,512,60\n2,7,512,60\n", id="four columns"),
        pytest.param("Key , Time\n7,0\n8 ,1\n 7,2", id="other order, spaces, no last newline"),
        pytest.param("7\n8\n7\n", id="no header"),
        pytest.param("\ufeffkey\r\n7\r\n\r\n8\r\n7\r\n", id="as Windows writes it"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_each_way_to_write_a_trace_gives_the_same_keys(tmp_path: Path, content: str, packed: bool) -> None:
    """Text and gzip, each with one column, several or none named, are read alike, whatever the file's name."""
    raw = content.encode()
    assert trace.read(written(tmp_path, gzip.compress(raw) if packed else raw), EVERYTHING).keys == ["7", "8", "7"]


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    """What comes after the last request asked for is not looked at."""
    assert trace.read(written(tmp_path, b"key\na\nb\n\xff\xff\n"), 2).keys == ["a", "b"]


def test_a_comma_in_the_only_column_belongs_to_the_key(tmp_path: Path) -> None:
    """A trace of one column may have keys such as URLs with commas and spaces."""
    assert trace.read(written(tmp_path, "key\n/a?b=1,2\n/c d\n"), EVERYTHING).keys == ["/a?b=1,2", "/c d"]


@pytest.mark.parametrize(
    "content, complaint",
    [
        pytest.param(b"", "there is nothing in it", id="empty"),
        pytest.param(b"\n\n", "there is nothing in it", id="blank"),
        pytest.param(b"key\n", "there is no request in it", id="only a header"),
        pytest.param(b"time,size\n0,1\n", "line 1 names no column `key`", id="no key column"),
        pytest.param(b"0,7,512\n", "line 1 names no column `key`", id="columns without a header"),
        pytest.param(b"time,key,size\n0,7,512\n1,8\n", "line 3 has not the 3 columns", id="short line"),
        pytest.param(b"time,key,size\n0,,512\n", "line 2 has not the 3 columns", id="empty key"),
        pytest.param(b"Dear all,\n", "line 1 names no column `key`", id="a letter"),
        pytest.param(b"Dear all\n", "line 1 is no single key", id="prose"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00", "line 1 is no text", id="a picture"),
        pytest.param(b"key\nab\x00c\n", "line 2 is no text", id="a zero byte"),
        pytest.param(b"key\n" + b"x" * 10_000, "line 2 is longer than 4096 bytes", id="an endless line"),
        pytest.param(gzip.compress(b"key\n1\n" * 99)[:-9], "the gzip data is damaged or cut off", id="gzip cut off"),
        pytest.param(b"\x1f\x8bkey\n1\n", "the gzip data is damaged or cut off", id="gzip in name only"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    """The error names the file, says where it is wrong and what would be valid."""
    path = written(tmp_path, content)
    with pytest.raises(BadTrace) as refused:
        trace.read(path, EVERYTHING)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert complaint in said
    assert said.endswith(trace.VALID)
    assert "\n" not in said


@pytest.mark.parametrize("name, complaint", [("nowhere", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path: Path, name: str, complaint: str) -> None:
    """A missing file and a directory are refused like a bad one."""
    with pytest.raises(BadTrace, match=complaint):
        trace.read(tmp_path / name, EVERYTHING)


def test_the_carried_trace_is_small_whole_and_attributed() -> None:
    """The package carries 55,000 requests in at most 100 KiB, and says whose they are."""
    data = Path(trace.__file__).parent / "data"
    keys = trace.carried(EVERYTHING).keys
    assert (len(keys), len(set(keys))) == (55_000, 10_413)
    assert (data / "web12-head.txt.gz").stat().st_size <= 100 * 1024
    note = (data / "README.md").read_text(encoding="utf-8")
    assert all(word in note for word in ("headissue GmbH, Jens Wilke", "CC BY 4.0", "first 55,000"))


@pytest.mark.parametrize("users", [1, 2, 10, 97, 1000, 99_991, 100_000])
def test_different_keys_are_different_users_while_there_are_enough(users: int) -> None:
    """As many keys as users are every user once; the same key is the same user each time."""
    keys = [str(number) for number in range(users)]
    assert sorted(Trace("all", keys).user_ids(users)) == list(range(1, users + 1))
    assert Trace("twice", [*keys, *keys]).user_ids(users)[users:] == Trace("once", keys).user_ids(users)


def test_more_keys_than_users_share_them() -> None:
    """With too few users each is asked for equally often."""
    ids = Trace("many", [str(number) for number in range(30)]).user_ids(10)
    assert sorted(ids) == sorted([*range(1, 11)] * 3)
