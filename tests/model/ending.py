"""Endings and writes: commit to the source, end at the store, then in this process, then return (from far to near)."""

from __future__ import annotations

from typing import Literal

from tests.model.checker import returned
from tests.model.flights import tear
from tests.model.near import forget
from tests.model.outage import connect
from tests.model.rules import Rules
from tests.model.state import GEN, KEY, TAG, Value, World, at
from tests.model.steps import WAIT, Phase, Program, Wait, do
from tests.model.store import begin, end_tag, expire, new_generation, put, tell, unlink

Kind = Literal["delete", "expire", "delete_tag", "expire_tag", "clear", "set"]


def ending(kind: Kind) -> Phase:
    """The program of one ending, or of an untagged write: one round trip."""

    def program(rules: Rules, p: int) -> Program:
        version: int = yield do("commits to the source", commit)
        if not rules.on("far_to_near"):
            yield do("ends in this process", near, p, kind)
        delivered: bool = yield do("ends at the store", far, p, kind, version)
        if rules.on("far_to_near") or not delivered:
            yield do("ends in this process, returns", _return_near, p, kind, version, delivered)
        else:
            yield do("returns", lambda w: returned(w, p, version, expire=_is_expire(kind)))

    program.__name__ = kind
    return program


def commit(w: World) -> int:
    """The source has a new version."""
    w.source += 1
    return w.source


def far(w: World, p: int, kind: Kind, version: int) -> bool:
    """The store's part. False if it did not answer, or older endings wait in the outbox."""
    if not w.up or w.outbox[p]:
        return False
    connect(w, p)
    if kind == "delete":
        unlink(w, version)
    elif kind == "expire":
        expire(w, p, version)
    elif kind == "delete_tag":
        end_tag(w, p, "delete", version)
    elif kind == "expire_tag":
        end_tag(w, p, "expire", version)
    elif kind == "clear":
        new_generation(w, p, version)
    else:
        begin(w, p, tagged=False)
        assert w.seq is not None
        assert w.gen is not None
        put(w, p, version, w.seq, w.gen)
    return True


def near(w: World, p: int, kind: Kind) -> None:
    """This process's part: what its own message would do. Tags and `clear` leave the flight: its proof judges it."""
    by_epoch = {"delete_tag": TAG, "expire_tag": TAG, "clear": GEN}
    forget(w, p, by_epoch.get(kind, KEY))
    if kind not in by_epoch:
        tear(w, p)


def _is_expire(kind: Kind) -> bool:
    return kind in ("expire", "expire_tag")


def _return_near(w: World, p: int, kind: Kind, version: int, delivered: bool) -> None:
    near(w, p, kind)
    if not delivered:
        w.outbox = at(w.outbox, p, version)
    returned(w, p, version, expire=_is_expire(kind), everywhere=delivered)


def set_tagged(rules: Rules, p: int) -> Program:
    """`set` with tags: BEGIN makes the missing records and says the count, which is the written value's instant.

    No other writer commits between this one's commit and its BEGIN: what orders two writers is `version=`, not this.
    """
    version, instant, gen = yield do("commits to the source; BEGIN", _commit_and_begin, p)
    yield do("PUT", _put_tagged, p, version, instant, gen)
    yield do("ends in this process, returns", _return_near, p, "set", version, True)


def _commit_and_begin(w: World, p: int) -> tuple[int, int | None, int | None]:
    version = commit(w)
    connect(w, p)
    begin(w, p, tagged=True)
    return version, w.seq, w.gen


def _put_tagged(w: World, p: int, version: int, instant: int, gen: int) -> None:
    connect(w, p)
    if not w.on("set_begins_first"):
        instant = w.seq or 0
    put(w, p, version, instant, gen)


def set_gives_up(rules: Rules, p: int) -> Program:
    """A `set` whose answer never comes. PUT carries a deadline, and the caller gives up only when that has passed."""
    version: int = yield do("commits to the source", commit)
    yield do("PUT is sent, no answer comes", _send_late, p, version)
    yield do("gives up; its delete is delivered, returns", _give_up, p, version)


def _send_late(w: World, p: int, version: int) -> None:
    assert w.seq is not None
    assert w.gen is not None
    w.late_write = Value(w.fresh(p), version, w.seq, w.gen)


def _give_up(w: World, p: int, version: int) -> None:
    if w.on("deadline"):
        w.late_write = None  # the script refuses it from now on
    near(w, p, "set")
    w.entry = None
    tell(w, KEY, version)
    returned(w, p, version, expire=False)


def later(rules: Rules, p: int) -> Program:
    """What follows begins when process 0 has ended something."""

    def act(w: World) -> Wait | None:
        return None if w.here[0][0] else WAIT

    yield do("process 0 has returned", act)
