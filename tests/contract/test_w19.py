"""Row W19 without a store: what was saved in a file is restored unless it may have ended since."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hotset import Cache
from tests.contract.test_store_fork import forked, succeeded

KEY = "user:7"
TAGS = ["users"]


def committed(cache: Cache) -> None:
    """End it within a transaction."""
    with cache.transaction():
        cache.delete(KEY)


endings: dict[str, Callable[[Cache], object]] = {
    "delete": lambda cache: cache.delete(KEY),
    "aio.delete": lambda cache: asyncio.run(cache.aio.delete(KEY)),
    "expire": lambda cache: cache.expire(KEY),
    "delete by tag": lambda cache: cache.delete(tags=TAGS),
    "expire by tag": lambda cache: cache.expire(tags=TAGS),
    "delete by pattern": lambda cache: cache.delete(match="user:*"),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set(KEY, 2),
    "commit": committed,
    "compute": lambda cache: cache._alter(KEY, lambda _: 2),
}
each_ending = pytest.mark.parametrize("end", endings.values(), ids=endings.keys())
by_tag = pytest.mark.parametrize("end", [endings["delete by tag"], endings["expire by tag"]], ids=["delete", "expire"])


def sync_restore(cache: Cache, path: Path) -> int:
    """By the sync face."""
    return cache.restore(path)


def aio_restore(cache: Cache, path: Path) -> int:
    """By the async one."""
    return asyncio.run(cache.aio.restore(path))


each_face = pytest.mark.parametrize("restore", [sync_restore, aio_restore])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is saved."""
    return tmp_path / "saved"


def full(**settings: Any) -> Cache:
    """Return a cache that holds the key, with its tag, and one without."""
    cache = Cache(ttl="1h", stale_if_error="1h", **settings)
    cache.set(KEY, 1, tags=TAGS)
    cache.set("other", 1)
    return cache


@each_face
@each_ending
def test_w19_the_first_ending_takes_the_file_back(
    path: Path, end: Callable[[Cache], object], restore: Callable[[Cache, Path], int]
) -> None:
    """Before it returns: no process that starts later finds what has ended."""
    cache = full()
    assert cache.save(path) == 2
    end(cache)
    assert not path.exists()
    assert restore(Cache(), path) == 0


@each_face
@each_ending
def test_w19_a_copy_of_the_file_revives_nothing_where_it_has_ended(
    path: Path, end: Callable[[Cache], object], restore: Callable[[Cache, Path], int]
) -> None:
    """The process that saved it knows what it has ended since, though the entry itself has left it long ago."""
    cache = full()
    cache.save(path)
    copy = Path(shutil.copy(path, path.with_name("copy")))
    end(cache)
    cache.close()
    restored = restore(cache, copy)
    assert cache.get(KEY) is None
    assert cache.get("other") == (1 if restored else None)
    cache._space.engine.check()


@by_tag
def test_w19_what_ended_by_tag_is_known_by_tag(path: Path, end: Callable[[Cache], object]) -> None:
    """By counts, as of any entry: what carries no such tag comes back."""
    cache = full()
    cache.save(path)
    copy = shutil.copy(path, path.with_name("copy"))
    end(cache)
    cache.close()
    assert cache.restore(copy) == 1
    assert (cache.get(KEY), cache.get("other")) == (None, 1)


@each_face
@each_ending
def test_w19_what_a_process_has_ended_it_does_not_restore(
    path: Path, end: Callable[[Cache], object], restore: Callable[[Cache, Path], int]
) -> None:
    """Nor does one after it: the file has not seen that ending, so it goes."""
    full().save(path)
    after = Cache(ttl="1h")
    after.set("before", 1) if end is endings["compute"] else end(after)
    restore(after, path)
    assert after.get(KEY) in {None, 2}
    assert not path.exists()
    assert restore(Cache(), path) == 0


@each_face
@each_ending
def test_w19_what_is_ended_after_a_restore_stays_so_in_the_next_process(
    path: Path, end: Callable[[Cache], object], restore: Callable[[Cache, Path], int]
) -> None:
    """Though this one dies without saving anything."""
    full().save(path)
    second = Cache(ttl="1h", stale_if_error="1h")
    assert restore(second, path) == 2
    assert path.exists(), "until something ends it may be restored again"
    end(second)
    assert restore(Cache(), path) == 0


def test_w19_an_ending_elsewhere_leaves_the_file(path: Path) -> None:
    """In a namespace of which it holds nothing."""
    cache = full(namespace="shop")
    cache.child("in it").set("k", 1)
    cache.save(path)
    cache.child("beside").delete(KEY)
    assert path.exists()
    cache.child("in it").delete("k")
    assert not path.exists()


@by_tag
def test_w19_endings_by_tag_that_a_table_has_taken_with_it_hide(path: Path, end: Callable[[Cache], object]) -> None:
    """A namespace that nobody uses is gone, and with it what it knew: then nothing comes back into it."""
    cache = Cache(namespace="shop")
    cache.set(KEY, 1)
    cache.child("tenant").set(KEY, 1, tags=TAGS)
    assert cache.save(path) == 2
    after = Cache(namespace="shop")
    end(after.child("tenant"))
    gc.collect()
    assert after.restore(path) == 1
    assert (after.get(KEY), after.child("tenant").get(KEY)) == (1, None)
    assert not path.exists()


def test_w19_a_file_that_another_process_has_put_there_is_left(path: Path) -> None:
    """It knows nothing of what that one has ended."""
    first, second = full(), full()
    first.save(path)
    second.save(path)
    first.delete(KEY)
    assert path.exists()
    second.delete(KEY)
    assert not path.exists()


@pytest.mark.parametrize("end", [endings["delete"], endings["delete by tag"], endings["set"], endings["clear"]])
@pytest.mark.parametrize("times", [1, 100])
def test_w19_what_ends_while_it_is_saved_is_not_in_the_file(
    path: Path, end: Callable[[Cache], object], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is begun again; and there is none at all if things go on ending."""
    cache = full()
    encode, left = cache._space.codec.encode, times

    def encoded(*given: Any) -> bytes:
        nonlocal left
        body = encode(*given)
        if left:  # it is in the file already
            left -= 1
            end(cache)
            cache.set("other", 1)
        return body

    monkeypatch.setattr(cache._space.codec, "encode", encoded)
    assert bool(cache.save(path)) == path.exists() == (times == 1)
    assert list(path.parent.glob(".*")) == []
    monkeypatch.undo()
    after = Cache()
    after.restore(path)
    assert after.get(KEY) in ({2, None} if end is endings["set"] else {None})


@pytest.mark.parametrize("end", [endings["delete"], endings["delete by tag"], endings["clear"]])
def test_w19_what_ends_while_it_is_restored_is_not_revived(
    path: Path, end: Callable[[Cache], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read already, and not yet in its slot: what is read after it is the moment."""
    cache = Cache(ttl="1h")
    cache.set("read last", 1)
    cache.set(KEY, 1, tags=TAGS)
    cache.save(path)
    after = Cache()
    decode = after._space.codec.decode

    def decoded(body: bytes, kind: Any, key: Any) -> Any:
        if key == "read last":
            end(after)
        return decode(body, kind, key)

    monkeypatch.setattr(after._space.codec, "decode", decoded)
    after.restore(path)
    assert after.get(KEY) is None
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_w19_a_forked_child_has_endings_of_its_own(path: Path) -> None:
    """It has ended what its parent saved later: counts that look the same are not."""
    cache = full()
    go_on, wake = os.pipe()

    def act() -> None:
        cache.delete(KEY)
        os.read(go_on, 1)
        cache.restore(path)
        assert cache.get(KEY) is None

    child = forked(act)
    cache.delete("nobody")  # as many endings as the child has
    assert cache.save(path) == 2
    os.write(wake, b"x")
    assert succeeded(child)
    os.close(go_on)
    os.close(wake)


def test_w19_a_file_that_cannot_be_removed_is_emptied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder that has become read-only."""
    cache = full()
    cache.save(path)

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    cache.delete(KEY)
    assert path.stat().st_size == 0


class Dying:
    """A value that does something when it dies, which is while it is ended, with no lock held."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def __del__(self) -> None:
        self._act()


def test_w19_what_is_restored_in_the_midst_of_an_ending_is_not_revived(path: Path) -> None:
    """Its slot is empty already, and the ending has not returned."""
    full().save(path)
    copy = Path(shutil.copy(path, path.with_name("copy")))
    after = Cache(ttl="1h")
    after.get_or_load("dying", lambda: Dying(lambda: after.restore(copy)))
    assert after.delete(KEY, "dying") == 1
    assert after.get(KEY) is None


def test_w19_what_is_saved_in_the_midst_of_an_ending_is_taken_back(path: Path) -> None:
    """The entry stands still, and the ending has begun."""
    cache, saved = full(), list[int]()
    cache.get_or_load("dying", lambda: Dying(lambda: saved.append(cache.save(path))))
    assert cache.delete("dying", KEY) == 2
    assert saved == [2]
    assert not path.exists()
