"""Settings by name, from the environment or a framework: `HOTSET_TIERS`, `HOTSET_TTL` …, and `HOTSET_DISABLE`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hotset.config.tiers import Null
from hotset.errors import ConfigError, unknown
from hotset.options import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotset.config.tiers import Tier

_OF_A_CACHE = "codec", "heartbeat", "blind_ttl", "hold_off", "mode", "share", "verify", "strict", "refresh_concurrency"
_BUILD = {"HOTSET_PURE", "HOTSET_REQUIRE_NATIVE"}  # read by the build of the compiled engine, not by a cache


def disabled(settings: Mapping[str, object] | None = None) -> bool:
    """Tell whether `HOTSET_DISABLE` is set: in the environment it switches every cache of the process off."""
    return _flag("HOTSET_DISABLE", (os.environ if settings is None else settings).get("HOTSET_DISABLE", ""))


def _flag(setting: str, value: object) -> bool:
    given = str(value).strip().lower()
    if given in {"", "0", "false", "no", "off"}:
        return False
    if given in {"1", "true", "yes", "on"}:
        return True
    raise ConfigError(f"{setting}: 1 or 0, not {value!r}")


def from_environment(environment: Mapping[str, str] | None = None) -> tuple[tuple[str | Tier, ...], dict[str, object]]:
    """Return the tiers and the keyword settings that the environment names.

    `HOTSET_TIERS` holds urls parted by spaces, `HOTSET_TAGS` names parted by commas; every other option is
    `HOTSET_` and its name in capitals. A name that begins with `HOTSET_` and is none of these is an error.
    """
    variables = os.environ if environment is None else environment
    given = {name: text for name, text in variables.items() if name not in {"HOTSET_DISABLE", *_BUILD}}
    return from_settings(given, "environment variable")


def from_settings(settings: Mapping[str, object], what: str) -> tuple[tuple[str | Tier, ...], dict[str, object]]:
    """Return the tiers and the keyword settings that a framework's settings name, as the environment would name them.

    A value is text, as in the environment, or what the text stands for: a list of tiers, a `Redis(...)`, a number of
    seconds. `HOTSET_DISABLE` leaves a cache that keeps nothing. Other names than `HOTSET_…` are not looked at.
    """
    valid = {f"HOTSET_{name.upper()}": name for name in ("namespace", *_OF_A_CACHE, *NAMES)}
    tiers: tuple[str | Tier, ...] = ()
    keywords: dict[str, object] = {}
    for setting, value in settings.items():
        if setting == "HOTSET_TIERS":
            tiers = _tiers(value)
        elif name := valid.get(setting):
            keywords[name] = _read(name, value) if isinstance(value, str) else value
        elif setting.startswith("HOTSET_") and setting != "HOTSET_DISABLE":
            raise unknown(what, setting, ["HOTSET_TIERS", "HOTSET_DISABLE", *valid])
    return (Null(),) if disabled(settings) else tiers, keywords


def _tiers(value: Any) -> tuple[str | Tier, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _read(name: str, text: str) -> object:
    if name in {"namespace", "codec", "mode"}:
        return text
    if name == "on":
        raise ConfigError("HOTSET_ON: text names no exception; say on=(ConnectionError, TimeoutError) in code")
    if name == "strict":
        return _flag("HOTSET_STRICT", text)
    if name == "tags":
        return [tag.strip() for tag in text.split(",") if tag.strip()]
    try:
        return int(text) if name == "refresh_concurrency" else float(text)  # a bare number is seconds
    except ValueError:
        return text
