"""Ports that nobody uses, and that stay free while their owner is away."""

from __future__ import annotations

import random
import socket

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up): a server that is killed
# and started again on its port must not find a stranger's connection there. Plus 10000, a cluster's
# bus, is below it too.
LOWEST, HIGHEST = 12_000, 21_999

_chance = random.SystemRandom()  # not the generator that each test seeds alike: two runs would want the same ports


def free_port() -> int:
    """A port of 127.0.0.1 that could be bound just now, and its port + 10000 too."""
    for _ in range(1000):
        port = _chance.randint(LOWEST, HIGHEST)
        if _bindable(port) and _bindable(port + 10_000):
            return port
    raise OSError(f"no free port found between {LOWEST} and {HIGHEST}")


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
