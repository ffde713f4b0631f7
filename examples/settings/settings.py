"""Settings from a file and from the environment: the file fills in what the environment leaves unsaid."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from hotset import Cache


def read(file: Path, where: str) -> dict[str, Any]:
    """Return the settings for one place: the defaults, and what its own table says over them."""
    tables = tomllib.loads(file.read_text())
    return {**tables["default"], **tables[where]}


def cache_for(settings: dict[str, Any]) -> Cache:
    """Return the cache; a setting that there is not, in the file or the environment, is an error that names it."""
    for name, value in settings.items():
        os.environ.setdefault(f"HOTSET_{name.upper()}", " ".join(value) if name == "tiers" else str(value))
    return Cache.from_env()


cache = cache_for(read(Path(__file__).with_name("hotset.toml"), os.environ.get("APP_ENV", "development")))


@cache.cached("greeting:{name}")
def greeting(name: str) -> str:
    return f"Hello {name}, from process [{os.getpid()}]"


if __name__ == "__main__":
    with cache:
        print(greeting("Ada"))
        print(cache.status().tier)
