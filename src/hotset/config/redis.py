"""The description of a Redis or Valkey server: `Redis("rediss://cache.internal", password=…)`. Opens nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from hotset.errors import ConfigError, unknown

if TYPE_CHECKING:
    from urllib.parse import SplitResult

Credentials: TypeAlias = Callable[[], tuple[str | None, str]]
"""Returns the user (None is the server's default user) and the password for the next connection."""

SCHEMES: Final = ("redis", "rediss", "unix", "valkey", "valkeys")
_TLS: Final = ("rediss", "valkeys")
_IN_URL: Final = ("ca_file", "cert_file", "db", "key_file", "max_connections", "name", "verify")
_PORT: Final = 6379
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


@dataclass(frozen=True, slots=True, repr=False)
class Redis:
    """The cluster tier: a Redis or Valkey server, Redis 7 or later, shared by every process that names it.

    What is wrong is a ConfigError at once, which names the setting; nothing is opened before the first use. Neither
    `repr` nor any error shows the password. A setting may stand in the url or beside it: `redis://…?name=shop` is
    `Redis("redis://…", name="shop")`. In a url, a password with `/ ? # @ : %` in it is written percent-encoded.
    """

    url: str = "redis://localhost:6379/0"
    """`redis://user:password@host:port/db`, `valkey://` the same; `rediss://` and `valkeys://` speak TLS;
    `unix:///path/of/the.sock?db=0`."""
    _: KW_ONLY
    username: str | None = None
    """The user for AUTH; None is the server's default user."""
    password: str | None = None
    credentials: Credentials | None = None
    """In place of user and password: called before each new connection, for passwords that change. It must be quick."""
    max_connections: int = 32
    """How many connections a client holds at the most; an async one, for each event loop."""
    ca_file: str | os.PathLike[str] | None = None
    """Whom to trust, in place of the system's authorities: a file of PEM certificates."""
    cert_file: str | os.PathLike[str] | None = None
    """The certificate to show to the server, where it asks for one."""
    key_file: str | os.PathLike[str] | None = None
    """The key of `cert_file`, if it is in a file of its own."""
    verify: bool = True
    """Whether the server must prove that it is who the url says. False trusts anybody who answers."""
    name: str = "hotset"
    """What CLIENT LIST shows of the connections."""

    host: str = field(init=False, compare=False)
    port: int = field(init=False, compare=False)
    path: str | None = field(init=False, compare=False)
    """The unix socket, in place of host and port."""
    db: int = field(init=False, compare=False)
    tls: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts, query = _split(self.url)
        tcp = parts.scheme != "unix"
        self._derive("tls", parts.scheme in _TLS)
        self._derive("path", None if tcp else unquote(parts.path))
        self._derive("host", unquote(parts.hostname or "localhost") if tcp else "")
        self._derive("port", _port(parts, self.url) if tcp else 0)
        self._derive("db", _db(parts.path.strip("/") if tcp else "", query.pop("db", None), self.url))
        for name, given in (("username", parts.username), ("password", parts.password)):
            if given:
                self._settle(name, unquote(given))
        for name, text in query.items():
            self._settle(name, _read(name, text))
        self._check()

    @property
    def where(self) -> str:
        """What errors call the server: `host:port`, or the path of the socket."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

    def __repr__(self) -> str:
        shown = [repr(masked(self.url))]
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name != "url" and setting.init and value != setting.default:
                hidden = {"password": "'***'", "credentials": "…"}.get(setting.name)
                shown.append(f"{setting.name}={hidden or repr(value)}")
        return f"Redis({', '.join(shown)})"

    def _derive(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _settle(self, name: str, value: object) -> None:
        """Take a setting from the url; where the argument says something else, nobody knows which one is meant."""
        given = getattr(self, name)
        if given not in (type(self).__dataclass_fields__[name].default, value):
            raise ConfigError(f"{name}: given in the url and beside it, and not the same; say it once")
        self._derive(name, value)

    def _check(self) -> None:
        connections: Any = self.max_connections  # callers may be untyped, here and below
        if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
            raise ConfigError(f"max_connections: a whole number from 1 on, not {connections!r}")
        name: Any = self.name
        if not isinstance(name, str) or not re.fullmatch(r"[!-~]+", name):
            raise ConfigError(f"name: printable ASCII without spaces, as in 'hotset', not {name!r}")
        _check_login(self.username, self.password, self.credentials)
        self._check_trust()

    def _check_trust(self) -> None:
        verify: Any = self.verify
        if not isinstance(verify, bool):
            raise ConfigError(f"verify: True or False, not {verify!r}")
        given = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        path: Any
        for name, path in given.items():
            if path is not None and not (isinstance(path, str | os.PathLike) and os.fspath(path)):
                raise ConfigError(f"{name}: the path of a file, not {path!r}")
        for name, needless in {**given, "verify": not verify}.items():
            if needless and not self.tls:
                raise ConfigError(f"{name}: needs TLS, which has the urls rediss:// and valkeys://")
        if self.key_file is not None and self.cert_file is None:
            raise ConfigError("key_file: the key of a certificate; name that one too, as cert_file")


def masked(url: str) -> str:
    """Return a url as it may be shown: without the password, wherever somebody may have tried to write one."""
    scheme, mark, rest = url.partition("://")
    if "@" in scheme or not mark:
        scheme, mark, rest = "", "", url
    user, colon, after = rest.partition(":")
    if colon and "@" in after:
        url = f"{scheme}{mark}{user}:***@{after.rpartition('@')[2]}"
    return re.sub(r"(?i)([?&][^=&#]*(?:pass|pwd|secret|token)[^=&#]*=)[^&]*", r"\1***", url)


def _split(url: Any) -> tuple[SplitResult, dict[str, str]]:
    """Return the parts of a url and its query by name. No error shows what could be a piece of a password."""
    if not isinstance(url, str) or "://" not in url:
        shown = masked(url) if isinstance(url, str) else url
        raise ConfigError(f"url: one such as 'redis://localhost:6379/0', not {shown!r}")
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"url: {masked(url)!r} is no url such as 'redis://localhost:6379/0'") from None
    if parts.scheme not in SCHEMES:
        raise unknown("scheme of url", f"{parts.scheme}://", (f"{scheme}://" for scheme in SCHEMES))
    if parts.fragment or "@" in parts.query or (parts.scheme != "unix" and "@" in parts.path):
        raise ConfigError(
            f"url: {masked(url)!r} has a / ? # or @ where none can be; in a password write it as %2F %3F …"
        )
    if parts.scheme == "unix" and (not parts.path.strip("/") or parts.netloc.rpartition("@")[2]):
        raise ConfigError(f"url: a unix socket is written unix:///path/of/the.sock, not {masked(url)!r}")
    settings: dict[str, str] = {}
    for name, text in query:
        if name not in _IN_URL:
            raise unknown(f"setting of {parts.scheme}://", name, _IN_URL)
        if name in settings:
            raise ConfigError(f"url: {masked(url)!r} names {name} twice")
        settings[name] = text
    return parts, settings


def _port(parts: SplitResult, url: str) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(f"port: a number from 1 to 65535, as in redis://localhost:6379/0; not as in {masked(url)!r}")
    return port or _PORT


def _db(by_path: str, by_query: str | None, url: str) -> int:
    if by_path and by_query is not None and by_path != by_query:
        raise ConfigError(f"db: {masked(url)!r} names two")
    text = by_path or by_query or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigError(f"db: a whole number from 0 on, as in redis://localhost:6379/0; not as in {masked(url)!r}")
    return int(text)


def _read(name: str, text: str) -> object:
    if name == "max_connections" and re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    if name == "verify":
        if text.lower() not in _TRUE | _FALSE:
            raise ConfigError(f"verify: true or false, not {text!r}")
        return text.lower() in _TRUE
    return text


def _check_login(username: object, password: object, credentials: object) -> None:
    for name, value in (("username", username), ("password", password)):
        if value is not None and not (isinstance(value, str) and value and can_be_sent(value)):
            raise ConfigError(f"{name}: a str that is not empty and can be written in UTF-8, or None")
    if credentials is not None and not callable(credentials):
        raise ConfigError("credentials: a function that returns (user, password)")
    if credentials is not None and (username is not None or password is not None):
        raise ConfigError("credentials: takes the place of username and password; give one or the other")
    if username is not None and password is None and credentials is None:
        raise ConfigError("username: needs a password, or credentials in place of both")


def can_be_sent(text: str) -> bool:
    """Tell whether a text can be written in UTF-8: one with a lone surrogate can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
