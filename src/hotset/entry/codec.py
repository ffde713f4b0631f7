"""Codecs: from a value to bytes and back to the same value, or a `CodecError`; never to another type.

`Msgpack` keeps Python's values exactly; `Json` is for bytes that other programs read, and refuses what JSON would turn
into something else. `hotset.entry.pickled` has a third, for what neither of them keeps.
"""

from __future__ import annotations

import sys
from math import isfinite
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hotset.entry.forms import titled
from hotset.entry.registry import Registry
from hotset.entry.values import Reader, Writer
from hotset.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from hotset.entry.names import Name


class Codec(Protocol):
    """Turns values into bytes and back."""

    @property
    def name(self) -> str:
        """What it is called in settings."""
        ...

    @property
    def id(self) -> int:
        """What it is called in an envelope: 1 to 255."""
        ...

    @property
    def registry(self) -> Registry:
        """The classes that bytes may name."""
        ...

    def within(self, namespace: str) -> Codec:
        """Return this codec for one namespace: where bytes are signed, they are for that namespace alone."""
        ...

    def encode(self, value: Any, key: Name, type: Any = None) -> bytes:
        """Return bytes that `decode` makes an equal value of the same types from.

        Args:
            value: what to keep.
            key: whose value it is, for the message of an error, and for the signature where bytes are signed.
            type: a class or hint such as `list[User]`, if known; classes that it leads to need no registration.

        Raises:
            CodecError: it would come back as something else, or not at all; names the key and the type at fault.
        """
        ...

    def decode(self, body: bytes, type: Any = None, key: Name = "") -> Any:
        """Return the value; `type` and `key` as they were given to `encode`.

        Imports nothing because bytes say so, unless their signature was proven first.

        Raises:
            CodecError: these are no bytes of this codec, or they name a class that is not known here, or has changed.
        """
        ...


class Msgpack:
    """Python's values as MessagePack with extensions: exact, nested, and compact."""

    name = "msgpack"
    id = 1

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = Registry() if registry is None else registry

    def within(self, namespace: str) -> Self:  # noqa: ARG002  nothing is signed
        """As `Codec.within`."""
        return self

    def encode(self, value: Any, key: Name, type: Any = None) -> bytes:
        """As `Codec.encode`."""
        return encoded(lambda: Writer(self.registry.known(type)).write(value), value, key)

    def decode(self, body: bytes, type: Any = None, key: Name = "") -> Any:  # noqa: ARG002  nothing is signed
        """As `Codec.decode`. The value is what was encoded, and is not coerced to `type`."""
        return decoded(lambda: Reader(self.registry.known(type)).read(body), self.name)


class Json:
    """What JSON can hold as is: None, bool, int of 64 bits, finite float, text, list, dict with text for keys.

    With a `type`, whatever msgspec (or pydantic) writes and reads as JSON, provided that it comes back exactly; this is
    tried at each `encode`.
    """

    name = "json"
    id = 2

    def __init__(self, registry: Registry | None = None) -> None:
        self._exact = Msgpack(registry)
        self.registry = self._exact.registry

    def within(self, namespace: str) -> Self:  # noqa: ARG002  nothing is signed
        """As `Codec.within`."""
        return self

    def encode(self, value: Any, key: Name, type: Any = None) -> bytes:
        """As `Codec.encode`."""
        return encoded(lambda: _json_of(value) if type is None else self._proven(value, key, type), value, key)

    def decode(self, body: bytes, type: Any = None, key: Name = "") -> Any:  # noqa: ARG002  nothing is signed
        """As `Codec.decode`; what other programs wrote is checked against `type`, and read as it."""
        return decoded(lambda: _from_json(body, type), self.name)

    def _proven(self, value: Any, key: Name, type: Any) -> bytes:
        from msgspec import json

        body = json.encode(value, enc_hook=_dumped)
        back = _from_json(body, type)
        if self._exact.encode(back, key, type) != self._exact.encode(value, key, type):
            raise CodecError(f"JSON would bring it back as another value of {type!r:.80}")
        return body


_JSON_SCALARS = frozenset({NoneType, bool, str})
_INT_RANGE = range(-(2**63), 2**64)


def _json_of(value: Any) -> bytes:
    from msgspec import json

    _check_json(value, set())
    return json.encode(value)


def _check_json(value: Any, path: set[int]) -> None:
    """Raise `CodecError` unless JSON holds a value as it is."""
    kind = type(value)
    if kind in _JSON_SCALARS:
        return
    if kind is int:
        if value not in _INT_RANGE:
            raise CodecError("an int beyond 64 bits, which other programs would round")
    elif kind is float:
        if not isfinite(value):
            raise CodecError(f"the float {value}, which JSON does not have")
    elif kind is list or kind is dict:
        if id(value) in path:
            raise CodecError(f"a {kind.__name__} that holds itself")
        path.add(id(value))
        if kind is dict and any(type(key) is not str for key in value):
            raise CodecError(
                f"a dict with a key of type {next(type(key).__name__ for key in value if type(key) is not str)}"
            )
        for item in value.values() if kind is dict else value:
            _check_json(item, path)
        path.discard(id(value))
    else:
        raise CodecError(f"{titled(kind)}, which JSON would bring back as another type")


def _from_json(body: bytes, type: Any) -> Any:
    from msgspec import json

    return json.decode(body, type=Any if type is None else type, dec_hook=_validated)


def _is_model(cls: Any) -> bool:
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return base is not None and isinstance(cls, type) and issubclass(cls, base)


def _dumped(value: Any) -> Any:
    """Return what a pydantic model is as JSON; msgspec asks for what it does not know."""
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    raise CodecError(f"{titled(type(value))} is no type that JSON can hold")


def _validated(type: Any, data: Any) -> Any:
    if _is_model(type):
        return type.model_validate(data)
    raise CodecError(f"{type!r:.80} is no type that can be read from JSON")


T = TypeVar("T")


def encoded(write: Callable[[], T], value: Any, key: Name) -> T:
    """Return what `write` makes of a value; whatever it raises is a `CodecError` that names the key and the type."""
    try:
        return write()
    except Exception as error:  # noqa: BLE001  a value's own properties, hashes and hooks may raise anything
        raise CodecError(f"the value of {key!r}, of type {titled(type(value))}, cannot be kept: {_words(error)}") from (
            None if isinstance(error, CodecError) else error
        )


def decoded(read: Callable[[], T], name: str) -> T:
    """Return what `read` makes of bytes; whatever it raises is a `CodecError` that names the codec."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  as above; and these bytes may be anybody's
        raise CodecError(f"bytes that {name} cannot read back: {_words(error)}") from (
            None if isinstance(error, CodecError) else error
        )


def _words(error: BaseException) -> str:
    if isinstance(error, CodecError):
        return str(error)
    if isinstance(error, RecursionError):
        return "too many containers in one another"
    return f"{type(error).__name__}: {error}"
