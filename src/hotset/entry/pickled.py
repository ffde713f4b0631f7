"""Pickle, signed: for values that nothing else keeps, where whoever may write to the store must not run code here.

Bytes are looked at only once their signature has proven that a holder of a key made them, for this very key of this
very namespace. What this does not prove is when: who may write to the store may put an older value of the same key
back, or give one another life, as with any codec.
"""

from __future__ import annotations

import hmac
import pickle
import struct
from typing import TYPE_CHECKING, Any, Final

from hotset.entry.codec import decoded, encoded
from hotset.entry.names import Digest, text_of
from hotset.entry.registry import Registry
from hotset.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.entry.names import Name

_ALGORITHM: Final = "sha256"
_SIZE: Final = 32
_PURPOSE: Final = b"hotset pickle 1"
"""What is signed begins with it: a key that something else signs with too makes no signature that is good here."""
_PROTOCOL: Final = 5
"""Since Python 3.8: processes of two Python versions read each other's bytes."""
_SHORTEST: Final = 16
"""Bytes of a key: fewer could be guessed by whoever has one signed value."""
_VALUE: Final = b"v"
_COPY: Final = b"c"


class Pickled:
    """A value as its pickle, to be kept near in this form: each who unpickles it gets a copy of its own."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    @classmethod
    def of(cls, value: Any) -> Pickled:
        """Return the pickle of a value. Raises what its pickling raises."""
        return cls(pickle.dumps(value, _PROTOCOL))

    def value(self) -> Any:
        """Return a copy of the value. Raises what its unpickling raises."""
        return pickle.loads(self.body)  # noqa: S301  made in this process, or its signature was good

    def __repr__(self) -> str:
        return f"<Pickled, {len(self.body)} bytes>"


class SignedPickle:
    """Whatever pickle keeps, behind an HMAC-SHA256 over the namespace, the key and the bytes.

    A `Pickled` comes back as one, its signature proven and its pickle not read yet.
    """

    name = "pickle"
    id = 3

    def __init__(self, keys: Sequence[bytes], registry: Registry | None = None, namespace: str = "") -> None:
        self.registry = Registry() if registry is None else registry
        self._keys = tuple(keys)
        self._namespace = namespace.encode()

    def within(self, namespace: str) -> SignedPickle:
        """As `Codec.within`: what was signed for one namespace is nothing in another."""
        return SignedPickle(self._keys, self.registry, namespace)

    def encode(self, value: Any, key: Name, type: Any = None) -> bytes:  # noqa: ARG002  pickle needs no type
        """As `Codec.encode`, under the first of the keys."""
        return encoded(lambda: self._signed(value, key), value, key)

    def decode(self, body: bytes, type: Any = None, key: Name = "") -> Any:  # noqa: ARG002  as above
        """As `Codec.decode`, if one of the keys has signed it. Nothing is unpickled before that is proven."""
        return decoded(lambda: self._proven(body, key), self.name)

    def _signed(self, value: Any, key: Name) -> bytes:
        content = _COPY + value.body if type(value) is Pickled else _VALUE + pickle.dumps(value, _PROTOCOL)
        return self._signature(self._keys[0], key, content) + content

    def _proven(self, body: bytes, key: Name) -> Any:
        signature, content = body[:_SIZE], body[_SIZE:]
        good = [hmac.compare_digest(self._signature(each, key, content), signature) for each in self._keys]
        if not any(good):
            raise CodecError("no signature of ours for this key")
        kept = Pickled(content[1:])
        return kept if content[:1] == _COPY else kept.value()

    def _signature(self, secret: bytes, key: Name, content: bytes) -> bytes:
        """Return the signature; each part comes behind its length, so that none can be moved into the next."""
        name = text_of(key).encode()
        lengths = struct.pack("<?QQ", isinstance(key, Digest), len(self._namespace), len(name))
        signed = hmac.new(secret, _PURPOSE + lengths + self._namespace + name, _ALGORITHM)
        signed.update(content)
        return signed.digest()

    def __repr__(self) -> str:
        return f"<SignedPickle, {len(self._keys)} keys>"


def signing_keys(given: object) -> tuple[bytes, ...]:
    """Return keys as bytes, or raise a `ConfigError`, which shows none of them."""
    valid = "signing_keys: a list of secrets, text or bytes; the first signs, each of them is accepted"
    if isinstance(given, str | bytes):
        raise ConfigError(f'{valid}; not one secret alone: signing_keys=["…"]')
    try:
        keys: list[Any] = list(given)  # type: ignore[call-overload]  # callers may be untyped
    except TypeError:
        raise ConfigError(f"{valid}; not {type(given).__name__}") from None
    for key in keys:
        if not isinstance(key, str | bytes):
            raise ConfigError(f"{valid}; none of {type(key).__name__}")
        if len(key) < _SHORTEST:
            raise ConfigError(f"signing_keys: each of at least {_SHORTEST} characters or bytes; one has {len(key)}")
    return tuple(key.encode() if isinstance(key, str) else key for key in keys)
