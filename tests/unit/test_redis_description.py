"""Descriptions of Redis: what a url says, what is refused, and that no password is ever shown."""

from __future__ import annotations

import dataclasses
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotset.config.redis import Redis, masked
from hotset.config.tiers import from_url
from hotset.errors import ConfigError
from hotset.stores.base import Refused
from hotset.stores.redis.reply import refused

SECRET = "s3cr3t-pa55"


@pytest.mark.parametrize(
    "url, host, port, db, tls",
    [
        ("redis://localhost:6379/0", "localhost", 6379, 0, False),
        ("redis://", "localhost", 6379, 0, False),
        ("valkey://cache.internal", "cache.internal", 6379, 0, False),
        ("rediss://cache.internal:6380/2", "cache.internal", 6380, 2, True),
        ("valkeys://[::1]:7000?db=15", "::1", 7000, 15, True),
        ("REDIS://h/", "h", 6379, 0, False),
    ],
)
def test_a_url_says_where(url: str, host: str, port: int, db: int, tls: bool) -> None:
    """Scheme, host, port and db are read from it, each with its default."""
    redis = from_url(url)
    assert isinstance(redis, Redis)
    assert (redis.host, redis.port, redis.db, redis.tls, redis.path) == (host, port, db, tls, None)


def test_a_unix_socket_is_a_path() -> None:
    """The path is percent-decoded, the db stands in the query."""
    redis = Redis("unix:///run/my%20cache.sock?db=3")
    assert (redis.path, redis.db, redis.where) == ("/run/my cache.sock", 3, "/run/my cache.sock")


def test_what_errors_call_the_server_is_host_and_port() -> None:
    """IPv6 in brackets."""
    assert Redis("redis://u:p@h:1").where == "h:1"
    assert Redis("redis://[::1]").where == "[::1]:6379"


def test_settings_stand_in_the_url_or_beside_it() -> None:
    """Both ways give the same description; said twice in the same words is no error, so `replace` works."""
    url = f"rediss://app:{SECRET}@h?name=shop&max_connections=5&verify=no&ca_file=/ca.pem&cert_file=c&key_file=k"
    redis = Redis(url)
    assert (redis.username, redis.password, redis.name, redis.max_connections) == ("app", SECRET, "shop", 5)
    assert (redis.verify, redis.ca_file, redis.cert_file, redis.key_file) == (False, "/ca.pem", "c", "k")
    assert dataclasses.replace(redis, url=url) == redis
    assert pickle.loads(pickle.dumps(redis)) == redis
    assert Redis("rediss://h", ca_file=Path("ca.pem")).ca_file == Path("ca.pem")


CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a number": (7, {}, "url: one such as"),
    "no url": ("localhost", {}, "url: one such as"),
    "a scheme near": ("redsi://h", {}, "did you mean 'redis://'"),
    "a port in words": ("redis://h:many", {}, "port: a number from 1"),
    "port 0": ("redis://h:0", {}, "port: a number from 1"),
    "a port too high": ("redis://h:65536", {}, "port: a number from 1"),
    "a db in words": ("redis://h/one", {}, "db: a whole number"),
    "a db below 0": ("redis://h/-1", {}, "db: a whole number"),
    "a db and a path": ("redis://h/1/2", {}, "db: a whole number"),
    "two dbs": ("redis://h/1?db=2", {}, "db: .* names two"),
    "a setting near": ("redis://h?max_conections=1", {}, "did you mean 'max_connections'"),
    "a setting twice": ("redis://h?name=a&name=b", {}, "names name twice"),
    "a fragment": ("redis://h#x", {}, "where none can be"),
    "brackets": ("redis://[h", {}, "is no url"),
    "a host before a socket": ("unix://h/x.sock", {}, "unix:///path"),
    "a socket without a path": ("unix://", {}, "unix:///path"),
    "two passwords": (f"redis://:{SECRET}@h", {"password": "other"}, "password: given in the url and beside it"),
    "two users": (f"redis://a:{SECRET}@h", {"username": "b"}, "username: given in the url and beside it"),
    "two names": ("redis://h?name=a", {"name": "b"}, "name: given in the url and beside it"),
    "a password and credentials": (f"redis://:{SECRET}@h", {"credentials": lambda: ("u", "p")}, "credentials: takes"),
    "a user alone": ("redis://h", {"username": "u"}, "username: needs a password"),
    "credentials that are none": ("redis://h", {"credentials": ("u", "p")}, "credentials: a function"),
    "a password of bytes": ("redis://h", {"password": SECRET.encode()}, "password: a str"),
    "an empty password": ("redis://h", {"password": ""}, "password: a str"),
    "a password that can't be sent": ("redis://h", {"password": f"{SECRET}\udc00"}, "password: a str"),
    "no connections": ("redis://h", {"max_connections": 0}, "max_connections: a whole number from 1"),
    "connections in words": ("redis://h?max_connections=many", {}, "max_connections: a whole number from 1"),
    "true connections": ("redis://h", {"max_connections": True}, "max_connections: a whole number from 1"),
    "a name with a space": ("redis://h", {"name": "my shop"}, "name: printable ASCII"),
    "no name": ("redis://h", {"name": ""}, "name: printable ASCII"),
    "verify in words": ("rediss://h?verify=perhaps", {}, "verify: true or false"),
    "verify as a number": ("rediss://h", {"verify": 1}, "verify: True or False"),
    "a ca without tls": ("redis://h", {"ca_file": "ca.pem"}, "ca_file: needs TLS.*rediss://"),
    "no verify without tls": ("unix:///s", {"verify": False}, "verify: needs TLS"),
    "a ca that is no path": ("rediss://h", {"ca_file": 7}, "ca_file: the path"),
    "a key alone": ("rediss://h", {"key_file": "k"}, "key_file: .*cert_file"),
}


@pytest.mark.parametrize("url, settings, message", CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_named(url: Any, settings: dict[str, Any], message: str) -> None:
    """At construction, by the setting's name, with what would be valid and without the password."""
    with pytest.raises(ConfigError, match=message) as caught:
        Redis(url, **settings)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_repr_shows_settings_and_no_secret() -> None:
    """The url with `***`, what is not the default, and neither a password nor what a function was given."""
    assert repr(Redis()) == "Redis('redis://localhost:6379/0')"
    assert repr(Redis(f"redis://app:{SECRET}@h/1")) == ("Redis('redis://app:***@h/1', username='app', password='***')")
    assert repr(Redis("redis://h", password=SECRET, name="x")) == "Redis('redis://h', password='***', name='x')"
    by_function = Redis("redis://h", credentials=partial(lambda password: ("u", password), SECRET))
    assert repr(by_function) == "Redis('redis://h', credentials=…)"
    assert SECRET not in f"{by_function}"


@given(
    before=st.text("ab:/?#@%[]", max_size=4),
    after=st.text("ab:/?#@%[]01", max_size=8),
    scheme=st.sampled_from(["redis", "rediss", "unix", "memory", "memcached", "rdis", ""]),
)
def test_no_url_that_is_refused_shows_its_password(before: str, after: str, scheme: str) -> None:
    """However it was mistyped around a password that is followed by an @, written raw."""
    url = f"{scheme}://user:{before}{SECRET}{after}@host/0"
    assert SECRET not in shown(Redis, url) + shown(from_url, url)


def shown(read: Callable[[str], object], url: str) -> str:
    """What a log would have of a description that was made, or refused."""
    try:
        return repr(read(url))
    except ConfigError as error:
        return f"{error!r} {error.__cause__!r}"


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_password_in_a_url_is_percent_encoded(password: str) -> None:
    """Any text, quoted, comes out as it was."""
    redis = Redis(f"redis://u:{quote(password, safe='')}@h:1/2")
    assert (redis.password, redis.host, redis.port, redis.db) == (password, "h", 1, 2)


def test_a_secret_in_a_query_is_masked() -> None:
    """A setting that is none is shown by its name only."""
    assert masked(f"redis://h?password={SECRET}&x=1") == "redis://h?password=***&x=1"
    with pytest.raises(ConfigError, match="unknown setting of redis:// 'password'") as caught:
        Redis(f"redis://h?password={SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text, code, message",
    [
        ("OOM command not allowed", "OOM", "command not allowed"),
        ("ERR unknown command", "ERR", "unknown command"),
        ("something in lower case", "ERR", "something in lower case"),
        ("", "ERR", ""),
    ],
)
def test_an_error_reply_has_a_code_and_a_message(text: str, code: str, message: str) -> None:
    """The first word, if it is one of Redis' codes."""
    assert refused(text) == Refused(code, message)


@pytest.mark.parametrize("module", ["redis", "hiredis"])
@pytest.mark.parametrize("client", ["sync", "aio"])
def test_a_missing_driver_is_named_with_its_extra(module: str, client: str) -> None:
    """Where redis-py or hiredis is not installed, the error says what to install."""
    script = f"import sys; sys.modules[{module!r}] = None; import hotset.stores.redis.{client}"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    last = run.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        rf"hotset\.errors\.ConfigError: .*{module} is not installed: pip install 'hotset\[redis\]'", last
    )
