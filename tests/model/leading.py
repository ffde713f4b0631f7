"""Leading a flight: lease, load, close, fill and prove, settle (PROTOCOL 4.1, 4.2). A refresh has no waiters."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.model.checker import Floors, judge
from tests.model.flights import ERROR, RETRY, Outcome, close, settle
from tests.model.near import Seen, keep, new_ticket
from tests.model.outage import reachable
from tests.model.reading import Found, after_error, ask_store, look
from tests.model.rules import Rules
from tests.model.state import NOT_ENDED, Placeholder, Value, World
from tests.model.steps import WAIT, Program, Then, Wait, do, then
from tests.model.store import Leased, begin, lease, release, swap
from tests.model.verdict import Verdict, verdict


class Work(NamedTuple):
    """What a load carries to its fill: the lease, and the instant and generation of its beginning."""

    leased: Leased
    instant: int
    gen: int


def lead(
    rules: Rules, p: int, held_to: Floors, token: int, found: Found, judged: Verdict, fallback: int | None
) -> Program:
    """The leader asks for the lease. If somebody else holds it, or the key has changed, the flight starts over."""
    leased: Leased = yield do("LEASE", ask_lease, p, found, judged)
    if leased.how == "busy":
        yield do("waits for the holder", wait_for_holder, leased.base)
    if leased.how != "won":
        yield do("settles: start over", _give_up, p, held_to, token)
    yield do("load begins", _load, p, held_to, token, found, leased, fallback)


def ask_lease(w: World, p: int, found: Found, judged: Verdict) -> Leased:
    """LEASE with BEGIN before it."""
    if not reachable(w, p):
        return Leased("away")
    return lease(w, p, found.entry, judged, found.gen, whole=found.gen is not None and found.seq is not None)


def wait_for_holder(w: World, mark: int) -> Wait | None:
    """Until the key is pushed, the lease ends, or the store is away."""
    holding = w.entry is not None and w.entry.mark == mark and (isinstance(w.entry, Placeholder) or w.side is not None)
    return WAIT if w.up and holding else None


def _give_up(w: World, p: int, held_to: Floors, token: int) -> Then:
    settle(w, p, token, RETRY)
    return look(w, p, held_to)


def _load(w: World, p: int, held_to: Floors, token: int, found: Found, leased: Leased, fallback: int | None) -> Then:
    if not w.source_up:
        return then(failed, held_to, token, leased, fallback)
    assert found.gen is not None
    assert found.seq is not None
    return then(loaded, held_to, token, w.source, Work(leased, found.seq, found.gen))


def failed(rules: Rules, p: int, held_to: Floors, token: int, leased: Leased, fallback: int | None) -> Program:
    """The loader raised: the lease goes back, and everybody answers the stale value that he read himself, or raises."""

    def act(w: World) -> Then:
        done(w, leased)
        release(w, leased.lease)
        others = ERROR if rules.on("own_fallback") or fallback is None else Outcome("error", fallback)
        settle(w, p, token, others)
        return after_error(held_to, fallback)

    yield do("load failed: RELEASE, settles with the error", act)


def loaded(rules: Rules, p: int, held_to: Floors, token: int, version: int, work: Work) -> Program:
    """The value is there: close the flight, fill, prove, settle, answer."""
    work = yield from late_instant(rules, p, work)
    stands: bool = yield do("closes the flight", close, p, token)
    proof: tuple[bool, Seen] | None = None
    if stands or not rules.on("flight_token"):
        proof = yield do("SWAP, then gen and record", fill_and_prove, p, version, work)

    def act(w: World) -> None:
        done(w, work.leased)
        accepted = proof is not None and proof[0]
        fresh = proof is not None and verdict(rules, proof[1].value, proof[1].gen, proof[1].record) == "fresh"
        shared = accepted and (fresh or not rules.on("joiners_judged"))
        settle(w, p, token, Outcome("value", version) if shared or not rules.on("joiners_retry") else RETRY)
        if shared and proof is not None:
            keep(w, p, proof[1])
        judge(held_to, version, f"p{p} (led)")

    yield do("settles and answers", act)


def late_instant(rules: Rules, p: int, work: Work) -> Any:
    """Only where a guard is out: the instant is the count at the load's end, or comes from the process's own clock."""
    if not rules.on("instant_at_start"):
        instant: int | None = yield do("takes the instant after the load", lambda w: w.seq)
        work = work._replace(instant=instant or 0)
    if not rules.on("one_counter"):
        work = work._replace(instant=work.instant + (1, -1, 0)[p])
    return work


def fill_and_prove(w: World, p: int, version: int, work: Work) -> tuple[bool, Seen] | None:
    """SWAP and the epochs in one pipeline: (was it stored, what it is judged by); None if the store may not be used.

    If the result names a tag whose record is unknown, BEGIN stands in place of the MGET, and its records judge.
    """
    if not reachable(w, p):
        return None
    ticket = new_ticket(w, p) if w.rules.bus == "pubsub" else None
    value = Value(w.fresh(p), version, work.instant, work.gen)
    stored = swap(w, work.leased.base, value)
    asked = w.rules.foreseen or w.on("result_tags")
    if w.rules.tags and not w.rules.foreseen and asked:
        begin(w, p, tagged=True)
    return stored, Seen(value, w.gen, w.record if asked else NOT_ENDED, ticket)


def done(w: World, leased: Leased) -> None:
    """The load is over: its lease is no longer renewed."""
    w.loading = frozenset(pair for pair in w.loading if pair[0] != leased.lease)


def refresh(rules: Rules, p: int) -> Program:
    """A background refresh, or what goes on after a soft timeout. It starts from an entry that is still served."""
    found: Found | None = yield do("MGET key gen seq record", ask_store, p)
    if found is None or verdict(rules, found.entry, found.gen, found.record) == "dead":
        return
    leased: Leased = yield do("LEASE of the side key", ask_lease, p, found, "stale")
    if leased.how != "won" or found.seq is None or found.gen is None:
        return
    lagging = rules.versioned and p == 1  # with `version=` the source may be a replica that lags
    version: int = yield do("load begins", lambda w: max(w.source - 1, 0) if lagging else w.source)
    work = yield from late_instant(rules, p, Work(leased, found.seq, found.gen))

    def act(w: World) -> None:
        done(w, leased)
        fill_and_prove(w, p, version, work)

    yield do("SWAP", act)
