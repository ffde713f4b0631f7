"""A client whose round trips are places: held before they are sent, and again before their replies are delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from hotset.stores.base import Client, Command, Connections, Identity, Reply
from hotset.stores.redis import scripts
from tests.contract.conftest import PATIENCE
from tests.contract.orders.actor import pass_by

if TYPE_CHECKING:
    from hotset.core.store import Store
    from hotset.stores.base import Build

_TELLING: Final = (
    *("LEASE", "SWAP", "EXTEND", "PUT", "EXPIRE", "TAGS", "RENEW", "RELEASE", "TOUCH"),
    *("UNLINK", "CLEAR", "CHECK", "LOOK", "EPOCHS", "BEGIN", "PING"),
)
"""The words by which a packet goes, the most telling first."""

_STRANGER: Final = Identity("redis", (7,), "", "", "master", 0, 0.0)


def words(commands: Sequence[Command]) -> list[str]:
    """Return the commands of a packet in the words of the protocol."""
    return [_word(command) for command in commands]


def _word(command: Command) -> str:
    if command.script is not None:
        return next(name for name, script in vars(scripts).items() if script is command.script)
    match command.args[0]:
        case "MGET":
            key = command.args[1]
            return "EPOCHS" if isinstance(key, bytes) and key.startswith(b"hs1:{") else "LOOK"
        case "GETRANGE":
            return "CHECK"
        case "SET":
            return "CLEAR"
        case name:
            return str(name)


class Background:
    """Where the round trips of the background thread stop, until they are let go."""

    def __init__(self) -> None:
        self.stops: set[str] = set()
        self.stands: str | None = None
        self.passed: list[str] = []

    async def pass_by(self, step: str) -> None:
        """Stand at a step while it is one of the stops."""
        while step in self.stops:
            self.stands = step
            await asyncio.sleep(0.001)  # the loop is everybody's: it must not be blocked
        self.stands = None
        self.passed.append(step)


class Tapped:
    """A client before another one; what came back is noted, by step."""

    def __init__(
        self, client: Client, store: Store, background: Background, answers: list[tuple[str, list[Reply]]]
    ) -> None:
        self._client = client
        self._store = store
        self._background = background
        self._answers = answers
        self.patient = True
        """Whether an answer may take as long as it takes on a busy machine; if not, as long as is asked."""
        self.packets: list[list[str]] = []
        """What was sent, in words."""

    async def run(self, build: Build, seconds: float) -> list[Reply]:
        """Send when it may be sent, and deliver when it may be delivered."""
        sent = words(build(self._store.identity or _STRANGER))
        step = min(sent, key=lambda word: _TELLING.index(word) if word in _TELLING else len(_TELLING))
        if not pass_by(step):
            await self._background.pass_by(step)

        def noted(identity: Identity) -> Sequence[Command]:
            commands = build(identity)
            self.packets.append(words(commands))
            return commands

        replies = await self._client.run(noted, PATIENCE if self.patient else seconds)
        self._answers.append((step, replies))
        pass_by(f"after {step}")
        return replies

    def close(self) -> None:
        """Close what is behind it."""
        self._client.close()

    @property
    def connections(self) -> Connections:
        """How many there are behind it."""
        return self._client.connections
