"""Guards of the protocol that a checked run can do without, to show that the checker would see it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from hotset.core import behind, fly, land, lease
from hotset.core.near import Near
from hotset.engine.flight import Flight
from hotset.engine.near import NearTable
from hotset.entry import known
from hotset.entry.entry import BURIED
from hotset.entry.epochs import Verdict, aged
from hotset.stores.redis import scripts


def _fill_over_anything() -> None:
    """A fill stores whatever stands there now (PROTOCOL 7, `fill_is_cas`)."""
    fenced = "if h == '' or mark(h) ~= ARGV[1] then return 0 end\n"
    source = scripts.SWAP.source
    assert fenced in source
    scripts.SWAP = type(scripts.SWAP)(source.replace(fenced, ""))  # type: ignore[misc]


def _refresh_over_anything() -> None:
    """What is loaded behind a reader is stored whatever stands there now; who waits for a load is fenced."""
    load, fill = fly.load, lease.fill
    is_behind = ContextVar("is_behind", default=False)

    async def load_behind(*given: Any) -> None:
        token = is_behind.set(True)
        try:
            await load(*given)
        finally:
            is_behind.reset(token)

    async def fill_over(ports: Any, held: Any, copies: Any, *gone: Any) -> Any:
        if is_behind.get():
            stands = await held.far.look_many(ports, list(copies), None, ())
            held.bases.update(zip(copies, (each.mark for each in stands), strict=True))
        return await fill(ports, held, copies, *gone)

    behind.load = load_behind  # type: ignore[attr-defined, assignment]
    land.fill = fill_over  # type: ignore[attr-defined, assignment]


def _hear_nothing() -> None:
    """What the link says has changed is not dropped."""

    def deaf(self: Near, keys: object) -> None:
        self.heard += 1

    Near.changed = deaf  # type: ignore[method-assign]


def _share_everything() -> None:
    """Who joined a flight takes its value whatever its proof says (`joiners_retry`)."""
    settle: Callable[..., None] = Flight.settle

    def sharing(self: Flight, result: Any, error: BaseException | None, *, shareable: bool) -> None:
        settle(self, result, error, shareable=shareable or error is None)

    Flight.settle = sharing  # type: ignore[method-assign]


def _keep_unconfirmed() -> None:
    """A copy is kept as it came, and the link is not asked for it (`confirm_in_order`, `confirm_registers`)."""

    def offer(self: Near, far: Any, name: Any, copy: Any) -> None:
        self.start()
        far.table.learn(copy.generation, dict.fromkeys(copy.tags, (copy.instant, copy.instant)), far.table.endings)
        far.table.keep(far.table.ticket(name), copy)

    Near.offer = offer  # type: ignore[method-assign]


def _leave_flights() -> None:
    """Delete leaves the flight of its own process on the table (`flight_token`)."""
    delete = NearTable.delete

    def keeping(self: NearTable, name: Any, cause: str) -> bool:
        slot = self._slots.get(name)
        return True if isinstance(slot, Flight) else delete(self, name, cause)

    NearTable.delete = keeping  # type: ignore[method-assign]
    _share_everything()


def _ignore_epochs() -> None:
    """Generation and tags are not compared (`generation`, `lost_epoch_hides`)."""
    from hotset.core import far, lease

    def by_age(copy: known.Copy, generation: object, records: object, now: float) -> Verdict:
        if copy.flags & BURIED or now >= copy.hard:
            return Verdict.DEAD
        return aged(copy, now, Verdict.FRESH)

    for module in (known, far, lease):
        module.judge = by_age  # type: ignore[attr-defined]


STORE: dict[str, Callable[[], None]] = {
    "fill_is_cas": _fill_over_anything,
    "fill_is_cas, behind": _refresh_over_anything,
    "epochs": _ignore_epochs,
    "joiners_retry": _share_everything,
    "flight_token": _leave_flights,
}
"""Of the way to a store: answers lag behind endings elsewhere by nothing, so that each is seen there."""
NEAR: dict[str, Callable[[], None]] = {"messages": _hear_nothing, "confirm": _keep_unconfirmed}
"""Of copies near: those may lag, and what comes before them is hidden in that lag."""


def take_out(name: str) -> None:
    """Take a guard out of this process, for good."""
    (STORE | NEAR)[name]()
