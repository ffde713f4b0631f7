"""A process tier in a file, without a store: what is saved, what comes back, and in which order."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from hotset import Cache, CodecError, ConfigError, Hit, Memory, NotFound, Null
from hotset.core import saved
from hotset.core.saved import Moment
from hotset.core.savefile import Header
from hotset.testing import FakeClock, isolated

DAY = 86_400.0


class Calendar:
    """The clocks of a machine, by which what was saved grows older."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = Moment(1_700_000_000.0, "first start", 1_000.0)
        monkeypatch.setattr(saved.Moment, "now", classmethod(lambda _: self.now))

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Moment(self.now.wall + seconds, self.now.boot, self.now.up + seconds)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    """Clocks that stand still until they are moved."""
    return Calendar(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is saved."""
    return tmp_path / "hot set.saved"


@dataclass(frozen=True)
class User:
    name: str


def test_what_was_saved_is_there_again(path: Path) -> None:
    """By the next process, which is another cache; for its owner's eyes only, and with nothing beside it."""
    cache = Cache(ttl="1h")
    cache.set("a", {1, 2}, tags=["t", "ü"])
    cache.set(b"\x00\xff", (3, None))
    cache.set("long" * 100, "text")
    assert cache.save(path) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    after = Cache(ttl="1h")
    assert after.restore(str(path)) == 3
    assert (after.get("a"), after.get(b"\x00\xff"), after.get("long" * 100)) == ({1, 2}, (3, None), "text")
    hit = after.lookup("a")
    assert isinstance(hit, Hit)
    assert hit.tags == ("t", "ü")
    assert 3_599 < hit.ttl_left < 3_600 - hit.age + 0.1
    after._space.engine.check()
    assert after.delete(match="*long") == 1, "a key that is too long for a name is still matched by all of it"


def test_both_faces_save_and_restore(path: Path) -> None:
    """One cache, two faces."""
    cache = Cache()
    cache.set("a", 1)

    async def main() -> None:
        assert await cache.aio.save(path) == 1
        after = Cache().aio
        assert await after.restore(path) == 1
        assert await after.get("a") == 1

    asyncio.run(main())


def test_time_goes_on_while_nothing_runs(path: Path, calendar: Calendar) -> None:
    """By what is left of each life; the stale window behind it stays."""
    cache, after = Cache(), Cache()
    with isolated(cache, FakeClock(50.0)), isolated(after, clock := FakeClock(7_000.0)):
        cache.set("short", 1, ttl=100)
        cache.set("long", 2, ttl=1_000, stale_if_error=50)
        cache.save(path)
        calendar.pass_by(100)
        assert after.restore(path) == 1
        assert after.lookup("long") == Hit(2, "process", 100.0, 900.0, stale=False, tags=())
        clock.advance(949)
        assert after.lookup("long") == Hit(2, "process", 1_049.0, -49.0, stale=True, tags=())


@pytest.mark.parametrize(
    "later, passed",
    [
        (Moment(100.0, "a", 50.0), 0.0),
        (Moment(160.0, "a", 80.0), 60.0),  # the wall's clock was set forward: the more counts
        (Moment(40.0, "a", 80.0), 30.0),  # or back: the machine's own does not lie
        (Moment(100.0, "a", 49.0), 0.0),
        (Moment(160.0, "b", 1.0), 60.0),
        (Moment(99.0, "b", 1.0), None),
        (Moment(160.0), 60.0),
        (Moment(99.0), None),
    ],
)
def test_how_much_time_has_passed(later: Moment, passed: float | None) -> None:
    """The more by the wall's clock and the machine's; there is no telling if the first went back over a restart."""
    assert later.since(Moment(100.0, "a", 50.0)) == passed


def test_a_clock_that_went_back_over_a_restart_restores_nothing(path: Path, calendar: Calendar) -> None:
    """How long it was down nobody knows, so nothing is known to be alive."""
    cache = Cache(ttl="7d")
    cache.set("a", 1)
    cache.save(path)
    calendar.now = Moment(calendar.now.wall - 1, "another start", 5.0)
    assert Cache().restore(path) == 0


def test_the_machine_has_both_clocks() -> None:
    """On Linux; elsewhere the wall's counts alone."""
    first = Moment.now()
    passed = Moment.now().since(first)
    assert passed is not None
    assert 0 <= passed < 5


def test_what_has_no_value_to_serve_is_left_out(path: Path) -> None:
    """What is stale, a remembered NotFound, what was cleared, and what the codec cannot keep."""
    cache = Cache(ttl="1h", negative_ttl="1h", stale_if_error="1h")

    def none() -> None:
        raise NotFound

    for number in range(2_000):  # more than a clear lets go at once
        cache.set(f"cleared {number}", 1)
    cache.clear()
    cache.set("cleared 0", 2)
    with pytest.raises(NotFound):
        cache.get_or_load("none", none)
    cache.set("stale", 1)
    cache.expire("stale")
    cache.set("unknown", User("Ada"))
    cache.set("open", object())
    assert cache.save(path) == 1
    after = Cache()
    assert after.restore(path) == 1
    assert after.get("cleared 0") == 2


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_the_types_of_families_and_functions_are_known(path: Path, codec: str) -> None:
    """To who saves and to who restores; where a type is gone, its entries are."""
    cache = Cache(codec=codec)
    cache.family("user:{n}", User).set(1, User("Ada"))
    cache.family("users:{n}", list[User]).set(1, [User("Bob")])
    cache.set("plain", ["Ada"])
    cache.cached("made:{n}")(make)(1)
    assert cache.save(path) == 4
    after = Cache(codec=codec)
    after.family("user:{n}", User)
    after.family("users:{n}", list[User])
    assert after.restore(path) == 4
    assert (after.get("user:1"), after.get("users:1"), after.get("made:1")) == (User("Ada"), [User("Bob")], User("1"))
    assert Cache(codec=codec).restore(path) == 1


def make(n: int) -> User:
    """A loader with an annotation."""
    return User(str(n))


def test_another_codec_restores_nothing(path: Path) -> None:
    """Its bytes are none of its own."""
    Cache(codec="json").save(path)
    cache = Cache(codec="json")
    cache.set("a", 1)
    cache.save(path)
    assert Cache().restore(path) == 0


def test_the_hottest_come_back_and_stay(path: Path) -> None:
    """Where there is less room than was saved; and among those that come back the order is as it was."""
    cache = Cache(Memory(max_entries=5))
    for name in "abcde":
        cache.set(name, name)
    cache.get("b")
    cache.get("a")
    assert cache.save(path) == 5
    after = Cache(Memory(max_entries=3))
    assert after.restore(path) == 3
    assert sorted(after.scan()) == ["a", "b", "e"]
    for name in "xy":
        after.get_or_load(name, lambda: 1)
    assert sorted(after.scan()) == ["a", "x", "y"]
    after._space.engine.check()


def test_nothing_that_stands_there_gives_way(path: Path) -> None:
    """Neither to its own older value, nor for want of room; nor does a load in flight."""
    cache = Cache(Memory(max_entries=3))
    for name in "abc":
        cache.set(name, "old")
    cache.save(path)
    after = Cache(Memory(max_entries=4))
    after.get_or_load("a", lambda: "new")
    after.get_or_load("x", lambda: "new")

    def load() -> str:
        assert after.restore(path) == 1
        return "new"

    assert after.get_or_load("c", load) == "new"
    assert [after.get(name) for name in "abcx"] == ["new", "old", "new", "new"]
    assert Cache(Memory(max_entries=1)).restore(path) == 1


def test_namespaces_within_are_saved_with_it(path: Path) -> None:
    """Beside it, those are not; and a file of one namespace is none of another."""
    cache = Cache(namespace="shop")
    for face in cache, cache.child("a").child("b"), cache.child("c/d"):
        face.set("k", face._space.namespace)
    assert cache.child("a").save(path) == 1
    assert cache.save(path) == 3
    after = Cache(namespace="shop")
    assert after.restore(path) == 3
    for face in after, after.child("a").child("b"), after.child("c/d"):
        assert face.get("k") == face._space.namespace
    with pytest.raises(CodecError, match="is of namespace 'shop'; this one is 'shops'"):
        Cache(namespace="shops").restore(path)
    nameless = Cache()
    nameless.child("a").set("k", 1)
    assert nameless.save(path) == 1
    assert Cache().restore(path) == 1


def test_where_the_cache_is_off_nothing_is_restored(path: Path) -> None:
    """Nor anything put into a cache without a process tier; of a share, what is used."""
    cache = Cache()
    for number in range(100):
        cache.set(f"k{number}", number)
    cache.save(path)
    for other in Cache(mode="off"), Cache(Null()):
        assert other.restore(path) == 0
    other = Cache()
    with other.disabled():
        assert other.restore(path) == 0
    share = Cache(share=0.5)
    assert share.restore(path) == len(share) < 80
    shadow = Cache(mode="shadow")
    assert shadow.restore(path) == 100
    assert shadow.get("k1") is None
    strict = Cache(strict=True)
    assert strict.restore(path) == 100
    assert strict.get("k1") == 1


def test_a_signed_codec_trusts_its_own_alone(path: Path) -> None:
    """Bytes that somebody else has put into a file run nothing: they are no entry."""
    cache = Cache(codec="pickle", signing_keys=["a secret of thirty-two characters!"])
    cache.set("a", User("Ada"))
    assert cache.save(path) == 1
    assert Cache(codec="pickle", signing_keys=["another of thirty-two characters!!"]).restore(path) == 0
    same = Cache(codec="pickle", signing_keys=["a secret of thirty-two characters!"])
    assert same.restore(path) == 1
    assert same.get("a") == User("Ada")


def test_a_file_that_is_not_there_restores_nothing(path: Path) -> None:
    """As at the very first start."""
    assert Cache().restore(path) == 0


@pytest.mark.parametrize("path", [None, 7, "", object()])
@pytest.mark.parametrize("verb", ["save", "restore"])
def test_what_is_no_path_is_refused(verb: str, path: Any) -> None:
    """By name."""
    with pytest.raises(ConfigError, match="path: the path of a file"):
        getattr(Cache(), verb)(path)


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    """Who saves wants to know."""
    with pytest.raises(FileNotFoundError):
        Cache().save(tmp_path / "none" / "saved")


def test_what_fails_while_it_is_written_leaves_the_file_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing beside it."""
    cache = Cache()
    cache.set("a", 1)
    cache.save(path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# -- damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file with two entries."""
    path = tmp_path_factory.mktemp("saved") / "whole"
    cache = Cache(namespace="n")
    cache.set("a", 1, tags=["t"])
    cache.set("b" * 300, [2])
    cache.save(path)
    return path.read_bytes()


def refused(path: Path, data: bytes) -> bool:
    """Whether bytes are refused with the one error, and nothing of them is restored."""
    path.write_bytes(data)
    cache = Cache(namespace="n")
    with pytest.raises(CodecError, match=path.name):
        cache.restore(path)
    return len(cache._space.engine) == 0


def test_whatever_byte_is_damaged_the_file_is_refused(whole: bytes, path: Path) -> None:
    """Each of them, by one bit."""
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        assert refused(path, bytes(damaged)), at


def test_wherever_it_is_cut_the_file_is_refused(whole: bytes, path: Path) -> None:
    """Or something follows it."""
    for length in range(len(whole)):
        assert refused(path, whole[:length]), length
    assert refused(path, whole + b"\0")


def resummed(data: bytes) -> bytes:
    """Return bytes under a checksum that fits."""
    return data + blake2b(data, digest_size=32).digest()


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda data: b"", "no file that `save` has written"),
        (lambda data: b"# some text\n" * 20, "no file that `save` has written"),
        (lambda data: data[:8] + b"\x02\x00" + data[10:], "version 2"),
        (lambda data: data[:10], "no header"),
        (lambda data: data[:10] + b"\x04\x00\x00\x00null", "no header"),
        (lambda data: data[:10] + b"\x02\x00\x00\x00{}", "no header"),
        (lambda data: data + b"\x01", "holds an entry"),
        (lambda data: data + b"\x01\x00\x00\x00x", "holds an entry"),
    ],
)
def test_what_another_has_written_under_a_checksum_is_refused_too(
    whole: bytes, path: Path, change: Callable[[bytes], bytes], why: str
) -> None:
    """The error says what is wrong."""
    path.write_bytes(resummed(change(whole[:-32])))
    with pytest.raises(CodecError, match=why):
        Cache(namespace="n").restore(path)


def test_a_header_that_lies_restores_nothing_and_breaks_nothing(whole: bytes, path: Path) -> None:
    """An entry of a namespace that it does not name, one that is not within, what is of another type."""
    length = int.from_bytes(whole[10:14], "little")
    header = json.loads(whole[14 : 14 + length])
    assert set(header) == set(Header.__slots__)
    lies: list[dict[str, Any]] = [{"parts": []}, {"parts": [{"namespace": "x", "ended": 0, "count": 0}]}]
    for lie in [*lies, {"life": 7}, {"wall": "now"}]:
        text = json.dumps({**header, **lie}).encode()
        path.write_bytes(resummed(whole[:10] + len(text).to_bytes(4, "little") + text + whole[14 + length : -32]))
        with pytest.raises(CodecError, match=path.name):
            Cache(namespace="n").restore(path)


def test_a_copy_of_a_file_is_as_good_as_the_file(path: Path) -> None:
    """Nothing in it says where it was."""
    cache = Cache()
    cache.set("a", 1)
    cache.save(path)
    other = shutil.copy(path, path.with_name("copy"))
    assert Cache().restore(other) == 1
