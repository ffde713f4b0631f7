"""What the conformance suite of stores is made of: how the store is reached, and what its tests say in a word."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import pytest

from hotset.entry.names import name_of
from hotset.entry.wire import Record, new_mark
from hotset.ports.sync import run_sync
from hotset.stores.protocol import Won

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hotset.entry.names import Name
    from hotset.stores.base import Build, Clients, Command, Identity, Reply
    from hotset.stores.protocol import Epochs, Operation, Operations, Seen

T = TypeVar("T")

HOUR = 3_600.0
SOON = 0.02
"""A life that ends while a test looks."""
PATIENCE = 10.0
"""Seconds after which a test gives up."""
NEVER = 2**62
"""A deadline that no clock reaches."""
NAMES: tuple[Name, ...] = (
    *("a", "{a}", "a}b{c", "%", "%25", "100%~", "a:b", "a/b", "hs1:a:b", "*", "a*b?[c]\\^-", " ", "\n", "\x00", "é→"),
    *(name_of(b"\x00\xff"), name_of("long {é}%" * 40), name_of(b""), "\U0001f600", "gen", "}:r", "%~" + "0" * 40),
)
"""Names that a store may take for something else."""


class Ask(Protocol):
    """Performs an operation and returns its answer; `run_id`: as if the server were another run of it."""

    def __call__(self, operation: Operation[T], run_id: str | None = None) -> T:
        """Perform it."""
        ...


def entry(generation: bytes, **said: Any) -> Record:
    """Return an entry under a mark of its own, with a window to be stale in."""
    return Record(**{"mark": new_mark(), "generation": generation, "window": 60_000_000, "body": b"value", **said})


def perform(operation: Operation[T], run: Callable[[Build], list[Reply]], run_id: str | None = None) -> T:
    """Return what an operation answers; `run_id`: as if the server were another run of it."""
    met: list[Identity] = []

    def build(identity: Identity) -> Sequence[Command]:
        met.append(identity if run_id is None else replace(identity, run_id=run_id))
        return operation.build(met[0])

    replies = run(build)
    return operation.parse(met[0], replies)


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "what was waited for never happened"
        pause.wait(0.002)


class StoreSuite:
    """How a store is reached. Each test has a namespace of its own."""

    names: ClassVar[tuple[Name, ...]] = NAMES

    def make_clients(self) -> Clients:
        """Return the clients of the store; to be overridden."""
        raise NotImplementedError("a conformance suite says how its store is reached: override make_clients")

    def make_operations(self, namespace: str) -> Operations:
        """Return the steps on a namespace, by somebody who has not met the server yet; to be overridden."""
        raise NotImplementedError("a conformance suite says what its steps are: override make_operations")

    def spoil(self, operations: Operations, name: Name, data: bytes) -> None:
        """Have these bytes stand under a name, for an hour at the least; to be overridden."""
        raise NotImplementedError("a conformance suite says how bytes get under a name: override spoil")

    def lose(self, operations: Operations, what: str) -> None:
        """Lose the "generation", the "count", or the record of a "tag:…"; to be overridden."""
        raise NotImplementedError("a conformance suite says how an epoch is lost: override lose")

    @pytest.fixture(params=["sync", "async"])
    def ask(self, request: pytest.FixtureRequest) -> Iterator[Ask]:
        """Return what performs operations: in a blocking client, or in one that is awaited."""
        clients = self.make_clients()

        def run(build: Build) -> list[Reply]:
            if request.param == "sync":
                return run_sync(clients.sync.run(build, PATIENCE))
            return runner.run(clients.aio.run(build, PATIENCE))

        def ask(operation: Operation[T], run_id: str | None = None) -> T:
            return perform(operation, run, run_id)

        with asyncio.Runner() as runner:
            yield ask
            clients.sync.close()

    @pytest.fixture
    def steps(self) -> Operations:
        """Return the steps on a namespace that nobody has used."""
        return self.make_operations(f"suite-{secrets.token_hex(6)}")

    @pytest.fixture
    def began(self, ask: Ask, steps: Operations) -> Epochs:
        """Return the epochs of that namespace, made."""
        return ask(steps.begin(()))

    @pytest.fixture
    def generation(self, began: Epochs) -> bytes:
        """Return its generation."""
        assert began.generation is not None
        return began.generation

    @staticmethod
    def see(ask: Ask, steps: Operations, name: Name) -> Seen:
        """Return what stands under a name."""
        [seen], _ = ask(steps.look([name], ()))
        return seen

    @staticmethod
    def put(ask: Ask, steps: Operations, name: Name, record: Record, life: float = HOUR) -> Record:
        """Have an entry stand under a name."""
        assert ask(steps.put(name, record, life, NEVER, None)) in {"stored", "hidden"}
        return record

    @staticmethod
    def take(ask: Ask, steps: Operations, name: Name, generation: bytes, seen: bytes = b"", **more: Any) -> bytes:
        """Win a lease and return its id."""
        lease = new_mark()
        [won] = ask(steps.lease([name], [seen], lease, generation, more.pop("seconds", HOUR), **more))
        assert isinstance(won, Won)
        return lease

    @staticmethod
    def swap(ask: Ask, steps: Operations, name: Name, base: bytes, record: Record, life: float = HOUR) -> bool:
        """Fill, and tell whether it was accepted."""
        [accepted], _ = ask(steps.swap([(name, base, record, life)], (), begin=False))
        return accepted == "stored"
