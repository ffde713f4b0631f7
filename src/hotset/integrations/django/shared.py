"""One hotset cache for all backend objects of the same settings: Django makes one of those for each thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

from hotset.cache import Cache
from hotset.config.tiers import Memory, from_url, in_order
from hotset.engine.within import within
from hotset.entry.pickled import SignedPickle, signing_keys
from hotset.errors import ConfigError, unknown
from hotset.integrations.django.connections import around_load
from hotset.integrations.django.keys import AtOnce
from hotset.options import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.config.tiers import Tier
    from hotset.engine.memory import MemoryEngine

_SETTINGS: Final = (
    *("namespace", "around_load", "codec", "signing_keys", "heartbeat", "blind_ttl", "hold_off"),
    *("mode", "share", "verify", "strict"),
)
_NAMESPACE: Final = "django"
_KEYS: Final = "keys"
"""The namespace of Django's own keys, within the project's: Django's `clear` ends these alone."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The cache that the backends of the same settings have in common."""

    cache: Cache
    """The project's: families, cached functions, tags."""
    keys: AtOnce
    """Where Django's own keys live."""
    keys_aio: AtOnce
    """The same for async callers."""


_shared: dict[object, Shared] = {}
by_engine: dict[MemoryEngine, Cache] = {}
"""The caches of the project, by what tells them from those of somebody else."""


def shared(location: object, options: Mapping[str, Any]) -> Shared:
    """Return the cache that LOCATION and OPTIONS describe: the same for the same. Opens nothing."""
    tiers = _tiers(location, options)
    given = _checked(options)
    described = in_order(tiers)
    keys = signing_keys(given.pop("signing_keys", None) or _secrets()) if described.store is not None else ()
    if given.get("codec") == "pickle":
        given["signing_keys"] = keys or signing_keys(_secrets())
    name = (tiers, keys, tuple((option, _hashable(value)) for option, value in sorted(given.items())))
    found = _shared.get(name)
    if found is None:  # two threads may make one each: nothing is opened before it is used, and one of them stays
        found = _shared.setdefault(name, _made(tiers, keys, given))
        engine = found.cache._space.engine  # noqa: SLF001  a door of the same house
        by_engine[engine] = found.cache
        within(engine)  # this thread may be inside a transaction that has written already
    return found


def _made(tiers: tuple[Tier, ...], keys: tuple[bytes, ...], given: dict[str, Any]) -> Shared:
    described: dict[str, Any] = {"namespace": _NAMESPACE, "around_load": around_load, **given}
    cache = Cache(*tiers, **described)
    space = cache._space  # noqa: SLF001  a door of the same house
    codec = SignedPickle(keys) if keys else space.codec
    djangos = Cache._over(space.child(_KEYS, space.options, codec))  # noqa: SLF001  as above
    return Shared(cache, AtOnce(djangos), AtOnce(djangos.aio))


def _tiers(location: object, options: Mapping[str, Any]) -> tuple[Tier, ...]:
    """Return the tiers of LOCATION, none for the process tier alone, with MAX_ENTRIES put into the process tier."""
    given = [location] if isinstance(location, str) else location
    if not isinstance(given, list | tuple):
        given = [given]
    try:
        tiers: list[Any] = [from_url(tier) if isinstance(tier, str) else tier for tier in given if tier != ""]
        in_order(tuple(tiers))
    except ConfigError as error:
        raise ConfigError(
            'CACHES, LOCATION: the tiers of the cache, as in ["memory://", "redis://localhost:6379/0"]; empty is the '
            f"process tier alone. {error}"
        ) from None
    if "MAX_ENTRIES" in options:
        tiers = tiers or [Memory()]
        if not isinstance(tiers[0], Memory):
            raise ConfigError("MAX_ENTRIES: bounds the process tier, and LOCATION has none; put memory:// before it")
        tiers[0] = replace(tiers[0], max_entries=options["MAX_ENTRIES"])
    return tuple(tiers)


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `Cache` among OPTIONS; ConfigError for what is none."""
    valid = ("MAX_ENTRIES", *_SETTINGS, *NAMES)
    for name in options:
        if name == "CULL_FREQUENCY":
            raise ConfigError(
                "CULL_FREQUENCY: nothing is culled here, the least recently used entry leaves when there is no room; "
                "leave it out"
            )
        if name not in valid:
            raise unknown("setting in OPTIONS", name, valid)
    return {name: value for name, value in options.items() if name != "MAX_ENTRIES"}


def _secrets() -> list[bytes]:
    """Return what signs the pickles in a store: made of SECRET_KEY, and, to be accepted, of its fallbacks."""
    try:
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    except ImproperlyConfigured as error:
        raise ConfigError(
            "SECRET_KEY: values are pickles, signed with a key made of it where they leave the process; set it, or "
            'OPTIONS = {"signing_keys": […]}'
        ) from error
    return [salted_hmac("hotset.integrations.django", "", secret, algorithm="sha256").digest() for secret in secrets]


def _hashable(value: Any) -> Any:
    given = tuple(value) if isinstance(value, list | set) else value
    try:
        hash(given)
    except TypeError:  # no setting is of such a type: it is refused where it is read
        return repr(given)
    return given
