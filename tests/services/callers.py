"""The two clients under one face, so that a test states its fact once for both."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hotset.config.redis import Redis
from hotset.ports.sync import run_sync
from hotset.stores.base import Command, Connections, Identity, Reply
from hotset.stores.redis.aio import AsyncClient
from hotset.stores.redis.sync import SyncClient

Build = Callable[[Identity], Sequence[Command]]
Ask = tuple[bytes | str | int, ...] | Command

PATIENCE = 10.0
"""Seconds that are never used up unless something is wrong."""


def sending(*asked: Ask) -> Build:
    """A `build` for the same commands whatever the server is."""
    commands = [ask if isinstance(ask, Command) else Command(ask) for ask in asked]
    return lambda _: commands


class Caller(ABC):
    """A client, and the way to call it from a plain test."""

    client: SyncClient | AsyncClient

    @abstractmethod
    def build(self, build: Build, seconds: float = PATIENCE) -> list[Reply]:
        """Run what `build` returns."""

    @abstractmethod
    def close(self) -> None:
        """Close the client, and what it was called by."""

    def run(self, *asked: Ask, seconds: float = PATIENCE) -> list[Reply]:
        """Run these commands."""
        return self.build(sending(*asked), seconds)

    @property
    def connections(self) -> Connections:
        """How many connections the client holds."""
        return self.client.connections


class SyncCaller(Caller):
    """Calls from this thread."""

    client: SyncClient

    def __init__(self, description: Redis) -> None:
        self.client = SyncClient(description)

    def build(self, build: Build, seconds: float = PATIENCE) -> list[Reply]:
        """Run it at once."""
        return run_sync(self.client.run(build, seconds))

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class AsyncCaller(Caller):
    """Calls from an event loop that lives as long as the caller."""

    client: AsyncClient

    def __init__(self, description: Redis) -> None:
        self.client = AsyncClient(description)
        self._runner = asyncio.Runner()

    def build(self, build: Build, seconds: float = PATIENCE) -> list[Reply]:
        """Run it in the loop."""
        return self._runner.run(self.client.run(build, seconds))

    def close(self) -> None:
        """End the loop, as asyncio.run does."""
        self._runner.close()


CALLERS: dict[str, Callable[[Redis], Caller]] = {"sync": SyncCaller, "async": AsyncCaller}

Reach = Callable[..., Caller]
"""Makes callers: takes a url and the settings of a description."""


def reaching(kind: str) -> Iterator[Reach]:
    """Make callers of one kind, and close them in the end."""
    made: list[Caller] = []

    def make(url: str, **settings: Any) -> Caller:
        made.append(CALLERS[kind](Redis(url, **settings)))
        return made[-1]

    yield make
    for caller in made:
        caller.close()
