"""Settings from the environment: `HOTSET_TIERS`, `HOTSET_NAMESPACE`, `HOTSET_TTL` …, and `HOTSET_DISABLE`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hotset.errors import ConfigError, unknown
from hotset.options import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_A_CACHE = ("codec", "heartbeat", "blind_ttl")
_BUILD = {"HOTSET_PURE", "HOTSET_REQUIRE_NATIVE"}  # read by the build of the compiled engine, not by a cache


def disabled(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether `HOTSET_DISABLE` switches every cache of the process off."""
    given = (os.environ if environment is None else environment).get("HOTSET_DISABLE", "").strip().lower()
    if given in {"", "0", "false", "no", "off"}:
        return False
    if given in {"1", "true", "yes", "on"}:
        return True
    raise ConfigError(f"HOTSET_DISABLE: 1 or 0, not {given!r}")


def from_environment(environment: Mapping[str, str] | None = None) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the tiers and the keyword settings that the environment names.

    `HOTSET_TIERS` holds urls parted by spaces, `HOTSET_TAGS` names parted by commas; every other option is
    `HOTSET_` and its name in capitals. A name that begins with `HOTSET_` and is none of these is an error.
    """
    variables = os.environ if environment is None else environment
    valid = {f"HOTSET_{name.upper()}": name for name in ("namespace", *_OF_A_CACHE, *NAMES)}
    tiers: tuple[str, ...] = ()
    settings: dict[str, object] = {}
    for variable, text in variables.items():
        if variable == "HOTSET_TIERS":
            tiers = tuple(text.split())
        elif name := valid.get(variable):
            settings[name] = _read(name, text)
        elif variable.startswith("HOTSET_") and variable != "HOTSET_DISABLE" and variable not in _BUILD:
            raise unknown("environment variable", variable, ["HOTSET_TIERS", "HOTSET_DISABLE", *valid])
    return tiers, settings


def _read(name: str, text: str) -> object:
    if name in {"namespace", "codec"}:
        return text
    if name == "tags":
        return [tag.strip() for tag in text.split(",") if tag.strip()]
    try:
        return float(text)  # a bare number is seconds
    except ValueError:
        return text
