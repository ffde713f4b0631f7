"""Django's transactions: inside `atomic()` the project's cache waits for the commit (docs/guides/django.md).

Django tells nobody when a transaction begins or ends. So something is put around `Atomic.__enter__` and `__exit__`, a
wrapper around every statement sees the first that writes, and the cache looks for what is open when it is about to end,
write or load something. Endings wait in Django's own `on_commit`, which knows of savepoints and rollbacks.

The blocks that a `TestCase` puts around each test are none. Inside them the outermost block of the tested code counts:
left without an exception, it is as good as committed, since nothing else will ever be.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.backends.signals import connection_created
from django.db.transaction import Atomic, get_connection

from hotset.core.transaction import Transaction, _perform
from hotset.engine.within import look_before
from hotset.integrations.django.shared import by_engine
from hotset.integrations.statements import freezes, writes
from hotset.ports.sync import SYNC, run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hotset.engine.memory import MemoryEngine

_COMMITTED: Final = frozenset({"READ COMMITTED", "READ UNCOMMITTED"})


class Part(Transaction):
    """What one cache knows of the block that is open on one connection."""

    __slots__ = ("_block",)

    def __init__(self, cache: Any, block: Block, *, changed: bool) -> None:
        self._block = block
        super().__init__([cache], changed=changed, snapshot=_on_snapshot(block.connection))

    def record(self, endings: Mapping[Any, Any]) -> bool:
        """Have Django perform endings after the commit, if what is open now is not rolled back."""
        if self.live:
            self._block.record(Endings(endings))
        return self.live


class Endings:
    """What Django calls after the commit; once."""

    __slots__ = ("_endings",)

    def __init__(self, endings: Mapping[Any, Any]) -> None:
        self._endings = endings

    def __call__(self) -> None:
        """Perform them."""
        endings, self._endings = self._endings, {}
        run_sync(_perform(lambda _: SYNC, {ending: space for ending, (space, _) in endings.items()}))


class Block:
    """The outermost block that is open on a connection, and what the caches know of it."""

    __slots__ = ("_parts", "_recorded", "_wrote", "connection")

    def __init__(self, connection: Any, *, wrote: bool) -> None:
        self.connection = connection
        self._wrote = wrote
        self._parts: dict[MemoryEngine, Part] = {}
        self._recorded: list[Endings] = []

    def record(self, endings: Endings) -> None:
        """Have endings happen after the commit, before any callback of the project's, which may read what ended."""
        self._recorded.append(endings)
        self.connection.on_commit(endings)
        hooks, blocks = self.connection.run_on_commit, self.connection.atomic_blocks
        if blocks and not any(each._from_testcase for each in blocks):  # noqa: SLF001  as below
            at = sum(isinstance(call, Endings) for _, call, *_ in hooks)  # these are in front, but for the new one
            hooks.insert(at - 1, hooks.pop())

    def perform(self) -> None:
        """Perform all that was recorded and has not happened yet, also in savepoints that were rolled back."""
        for endings in self._recorded:
            endings()

    @property
    def is_new(self) -> bool:
        """Whether no cache takes part yet."""
        return not self._parts

    def take_part(self, engine: MemoryEngine, cache: Any) -> None:
        """Have this context take part, for one cache."""
        part = self._parts.get(engine)
        if part is None:
            self._parts[engine] = Part(cache, self, changed=self._wrote)
        else:
            part.join()

    def wrote(self) -> None:
        """A statement has changed something, or is about to."""
        if not self._wrote:
            self._wrote = True
            for engine, cache in list(by_engine.items()):
                self.take_part(engine, cache)
                self._parts[engine].change()

    def end(self) -> None:
        """It has been left."""
        for part in self._parts.values():
            part.end()


_NAME: Final = "_hotset_block"


def _block(connection: Any) -> Block | None:
    """Return the block that is open on a connection. None: there is none; one that was left is ended."""
    block: Block | None = connection.__dict__.get(_NAME)
    if any(not each._from_testcase for each in connection.atomic_blocks):  # noqa: SLF001  how Django itself tells
        if block is None:
            block = connection.__dict__[_NAME] = Block(connection, wrote=not _watched(connection))
            _watch(connection)
        return block
    if block is not None:
        del connection.__dict__[_NAME]
        block.end()
    return None


def _take_part(engine: MemoryEngine) -> None:
    """Have this context take part in what is open on the connections of its thread."""
    cache = by_engine.get(engine)
    if cache is not None:
        for connection in connections.all(initialized_only=True):
            block = _block(connection)
            if block is not None:
                block.take_part(engine, cache)


def _statement(connection: Any, execute: Callable[..., Any], sql: Any, *given: Any) -> Any:
    """See a statement before it is executed."""
    if connection.in_atomic_block and (not isinstance(sql, str) or writes(sql) or freezes(sql)):
        block = _block(connection)
        if block is not None:
            block.wrote()
    return execute(sql, *given)


def _watched(connection: Any) -> bool:
    return any(getattr(each, "func", None) is _statement for each in connection.execute_wrappers)


def _watch(connection: Any, **_: Any) -> None:
    """See every statement of a connection from now on."""
    if not _watched(connection):
        connection.execute_wrappers.append(functools.partial(_statement, connection))


def _entered(using: str | None) -> None:
    """A block has been entered; if it is the outermost, all caches take part, in whichever thread they will be used."""
    block = _block(get_connection(using))
    if block is not None and block.is_new:
        for engine, cache in list(by_engine.items()):
            block.take_part(engine, cache)


def _left(using: str | None, *, good: bool, unsure: bool = False) -> None:
    """A block has been left; if it was the outermost, its caches go on as outside."""
    connection = get_connection(using)
    block = connection.__dict__.get(_NAME)
    if block is None or _block(connection) is not None:
        return
    if unsure:  # the commit failed, or what came after it: an ending too many is a load too many
        block.perform()
    elif connection.in_atomic_block and good and not connection.needs_rollback:  # in a test's, which is never committed
        for _, call, *_ in list(connection.run_on_commit):
            if isinstance(call, Endings):
                call()


def _enter(enter: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(enter)
    def entered(self: Atomic) -> None:
        enter(self)
        _entered(self.using)

    return entered


def _exit(exit_: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(exit_)
    def left(self: Atomic, kind: Any, error: Any, trace: Any) -> Any:
        try:
            answer = exit_(self, kind, error, trace)
        except BaseException:
            _left(self.using, good=False, unsure=kind is None)
            raise
        _left(self.using, good=kind is None)
        return answer

    return left


def _on_snapshot(connection: Any) -> bool:
    """Tell whether what a transaction reads may be older than what is committed by now; where unknown, it may."""
    if connection.vendor == "oracle":
        return False
    level = getattr(connection, "isolation_level", None)
    if connection.vendor == "postgresql" and level is None:
        return False
    name = str(getattr(level, "name", level)).replace("_", " ").upper()
    return name not in _COMMITTED


def install() -> None:
    """Have every transaction of the project seen, from now on. Needs no settings."""
    look_before(_take_part)
    connection_created.connect(_watch, dispatch_uid="hotset", weak=False)
    Atomic.__enter__ = _enter(Atomic.__enter__)
    Atomic.__exit__ = _exit(Atomic.__exit__)
