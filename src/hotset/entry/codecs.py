"""The codecs by their names in settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotset.entry.codec import Json, Msgpack
from hotset.errors import ConfigError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotset.entry.codec import Codec
    from hotset.entry.registry import Registry

MSGPACK = Msgpack()
"""The default codec; `MSGPACK.registry` has the classes that every cache of the process knows."""
JSON = Json(MSGPACK.registry)

_CODECS: dict[str, Msgpack | Json] = {codec.name: codec for codec in (MSGPACK, JSON)}


def codec_of(name: str, registry: Registry | None = None, signing_keys: Sequence[bytes] = ()) -> Codec:
    """Return the codec of a name, "msgpack", "json" or "pickle"; with the classes of a `registry`, if given.

    Raises:
        ConfigError: there is no such codec, or no key for the one that signs; the message says what there is.
    """
    if name == "pickle":
        if not signing_keys:
            raise ConfigError(
                "codec: 'pickle' runs whatever its bytes say, so they have to be signed: Cache(…, codec='pickle', "
                f"signing_keys=[…]), the keys a secret of yours; {' and '.join(sorted(_CODECS))} need none"
            )
        from hotset.entry.pickled import SignedPickle  # few caches need it

        return SignedPickle(signing_keys, registry)
    if signing_keys:
        raise ConfigError(f"signing_keys: for codec='pickle' alone; {name!r} signs nothing")
    codec = _CODECS.get(name) if isinstance(name, str) else None  # type: ignore[redundant-expr]  # callers may be untyped
    if codec is None:
        raise unknown("codec", name, (*_CODECS, "pickle"))
    return codec if registry is None else type(codec)(registry)
