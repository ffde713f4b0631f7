"""Redis and Valkey: `sync` and `aio` are the clients; `dial`, `greet`, `reply` and `pool` are what both are made of.

Imported when the first client is made. ConfigError: redis-py or hiredis is not installed.
"""

from hotset.errors import ConfigError

try:
    import hiredis  # noqa: F401  redis-py works without it, we don't
    import redis  # noqa: F401
except ImportError as missing:
    raise ConfigError(
        f"tiers: a Redis tier needs redis-py with hiredis, and {missing.name} is not installed: "
        "pip install 'hotset[redis]'"
    ) from None
