"""What is wrong is said when the cache is made, or is a miss; never code that somebody else has planted."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hotset import ConfigError
from hotset.entry.wire import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrations.django.conftest import Caches
    from tests.services.servers import Server


class Bomb:
    """Its pickle runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "location, options, complaint",
    [
        ("", {"MAX_ENTRY": 7}, r"unknown setting in OPTIONS 'MAX_ENTRY': did you mean 'MAX_ENTRIES'\?"),
        ("", {"CLIENT_CLASS": "django_redis.client.DefaultClient"}, "unknown setting in OPTIONS 'CLIENT_CLASS'"),
        ("", {"CULL_FREQUENCY": 3}, "CULL_FREQUENCY: nothing is culled here"),
        ("", {"MAX_ENTRIES": 0}, "max_entries: a whole number from 1 on"),
        ("", {"ttl": "soon"}, "ttl: a duration"),
        ("", {"ttl": {"minutes": 5}}, "ttl: a duration"),
        ("", {"tags": [["users"]]}, "tags: a list of names"),
        ("", {"codec": {}}, "unknown codec"),
        ("unique-snowflake", {}, "CACHES, LOCATION: the tiers of the cache.*is no url"),
        (["redis://localhost", "memory://"], {}, "LOCATION.*from near to far"),
        (7, {}, "LOCATION.*not 7"),
        ("redis://localhost:1", {"MAX_ENTRIES": 7}, "MAX_ENTRIES: bounds the process tier, and LOCATION has none"),
        ("memcached://localhost", {}, "LOCATION.*memcached"),
        ("redis://localhost:1", {"signing_keys": ["short"]}, "signing_keys: each of at least 16"),
    ],
)
def test_a_wrong_setting_is_refused(caches: Caches, location: object, options: dict[str, Any], complaint: str) -> None:
    """With its name, and what to write instead."""
    with pytest.raises(ConfigError, match=complaint):
        caches(location, options)


def test_a_missing_secret_key_is_refused_where_values_leave_the_process(caches: Caches) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=r"SECRET_KEY: .*set it"):
        caches("redis://localhost:1", of_all={"SECRET_KEY": ""})


@pytest.mark.parametrize(
    "location, options",
    [("", {}), ("redis://localhost:1", {"signing_keys": ["a secret for the cache alone"]})],
    ids=["process", "keys"],
)
def test_a_secret_key_is_not_asked_for_without_need(caches: Caches, location: str, options: dict[str, Any]) -> None:
    """The process tier alone signs nothing; and other keys may be given."""
    caches(location, options, of_all={"SECRET_KEY": ""})


def test_what_cannot_be_pickled_is_refused_and_nothing_changes(caches: Caches) -> None:
    """With pickle's own error, as in every Django cache; of many, none is stored."""
    cache = caches()
    cache.set("k", 1)
    bad: Any = lambda: 1  # noqa: E731  what no pickle keeps
    with pytest.raises((pickle.PickleError, AttributeError)):
        cache.set("k", bad)
    with pytest.raises((pickle.PickleError, AttributeError)):
        cache.set_many({"j": 1, "k": bad})
    with pytest.raises((pickle.PickleError, AttributeError)):
        cache.get_or_set("i", lambda: bad)
    with pytest.raises((pickle.PickleError, AttributeError)):
        asyncio.run(cache.aget_or_set("i", lambda: bad))
    assert cache.get_many(["i", "j", "k"]) == {"k": 1}


def test_a_planted_pickle_is_a_miss_and_never_loaded(caches: Caches, redis_server: Server, tmp_path: Path) -> None:
    """By who may write to Redis: plain, in a stolen envelope, moved from another key; each is counted, and replaced."""
    cache = caches(redis_server.url)
    counted = lambda: cache._keys.stats().garbled  # noqa: E731
    cache.set("victim", ["good"])
    [stored] = redis_server.cli("KEYS", "hs1:*victim")
    good = bytes(redis_server.cli("GET", stored))
    bomb = pickle.dumps(Bomb(tmp_path / "boom"))
    redis_server.cli("SET", stored, bomb)
    assert cache.get("victim") is None
    assert cache.add("victim", ["mine"]) is True
    body = len(pickle.dumps(["good"], 5)) + 33

    record = unpack(good)
    assert record is not None
    assert len(record.body) == body
    forged = pack(replace(record, body=b"\0" * 32 + b"v" + bomb))
    before = counted()
    redis_server.cli("SET", stored, forged)
    assert cache.get("victim") is None
    assert cache.has_key("victim") is False
    assert counted() > before
    cache.set("donor", ["moved"])
    [donor] = redis_server.cli("KEYS", "hs1:*donor")
    redis_server.cli("COPY", donor, stored, "REPLACE")
    assert cache.get("victim") is None
    assert cache.get_or_set("victim", lambda: ["new"]) == ["new"]
    assert cache.get("donor") == ["moved"]
    assert not (tmp_path / "boom").exists()


def test_a_secret_key_is_changed_without_losing_what_it_signed(caches: Caches, redis_server: Server) -> None:
    """The new one first, the old one among the fallbacks; without it, what it signed is a miss."""
    where = {"location": redis_server.url, "options": {"namespace": "rotated"}}
    caches(**where, of_all={"SECRET_KEY": "the old one"}).set("k", [1])  # type: ignore[arg-type]
    both = {"SECRET_KEY": "the new one", "SECRET_KEY_FALLBACKS": ["the old one"]}
    assert caches(**where, of_all=both).get("k") == [1]  # type: ignore[arg-type]
    alone = {"SECRET_KEY": "the new one", "SECRET_KEY_FALLBACKS": []}
    assert caches(**where, of_all=alone).get("k") is None  # type: ignore[arg-type]


def test_a_value_of_a_class_that_is_gone_is_a_miss(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a deploy, say: it is counted, `get_or_set` loads anew, nothing is raised."""
    cache = caches()
    cache.set("k", Bomb.__new__(Kept))
    monkeypatch.delattr(sys.modules[__name__], "Kept")
    assert cache.get("k", "default") == "default"
    assert cache.get_many(["k"]) == {}
    assert cache._keys.stats().garbled == 2
    assert cache.get_or_set("k", lambda: [1]) == [1]
    assert cache.get("k") == [1]


class Kept:
    """What is gone later."""


def test_without_django_the_import_says_what_to_install(tmp_path: Path) -> None:
    """`pip install 'hotset[django]'`."""
    (tmp_path / "django.py").write_text("raise ImportError('no such thing')")
    done = subprocess.run(
        [sys.executable, "-c", "import hotset.integrations.django"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "pip install 'hotset[django]'" in done.stderr
