"""Landing: what a loader returned or raised settles its flight, and becomes an entry where it may."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hotset.core.decide import AfterFailure, after_failure, refuse
from hotset.entry.entry import make
from hotset.entry.names import text_of

if TYPE_CHECKING:
    from hotset.core.load import Load
    from hotset.core.space import Space
    from hotset.engine.flight import Flight
    from hotset.options import Options


def land(
    space: Space, flight: Flight, key: str | bytes, load: Load, options: Options, value: Any, made: tuple[str, ...]
) -> None:
    """Settle a flight with a value: its life counts from when the load began, its instant from before that.

    `made` are the tags that the value brings with it, beside those of the options and of the loader.
    """
    refused = refuse(value, key)
    if refused is not None:
        fail(space, flight, key, refused, options)
        return
    tags = tuple(dict.fromkeys((*options.tags, *load.tags, *made)))
    entry = None
    if not load.skipped:
        life, window = load.ttl or options.ttl, options.stale_if_error
        entry = make(value, flight.work.began, life, window=window, tags=tags, instant=flight.instant)
    outcome = space.table.fill(flight, entry, tags=tags, result=value)
    _told(space, "loaded", flight, cause=outcome, tags=tags)


def fail(space: Space, flight: Flight, key: str | bytes, error: Exception, options: Options) -> None:
    """Settle a flight with an error, which everybody who waits gets; a NotFound is remembered if that is asked for."""
    _note(error, f"hotset: while loading {key!r}")
    what = after_failure(error, options)
    if what is AfterFailure.FALL_BACK:
        space.table.give_up(flight, error)
    else:
        entry = None
        if what is AfterFailure.REMEMBER:
            life = options.negative_ttl or 0.0
            remembered = fresh_copy(error)
            entry = make(
                remembered,
                flight.work.began,
                life,
                window=None,
                tags=options.tags,
                instant=flight.instant,
                negative=True,
            )
        space.table.fill(flight, entry, tags=options.tags, result=None, error=error)
    _told(space, "load_failed", flight, cause=type(error).__name__, error=error)


def fresh_copy(error: Exception) -> Exception:
    """Return an exception like this one without its traceback, so that raising it again keeps no frames alive."""
    kind = type(error)
    try:
        twin = kind.__new__(kind, *error.args)  # without its __init__, which may make other args of these
        twin.args = error.args
        twin.__dict__.update(error.__dict__)
        if hasattr(error, "__notes__"):
            twin.__notes__ = list(error.__notes__)
    except Exception:  # noqa: BLE001  a __new__ of its own may take other arguments: then the one is raised again
        twin = error
    return twin.with_traceback(None)


def _note(error: Exception, note: str) -> None:
    if note in getattr(error, "__notes__", ()):  # one exception object, raised again and again
        return
    with suppress(Exception):  # a frozen exception takes no note; it is still the loader's own
        error.add_note(note)


def _told(space: Space, kind: str, flight: Flight, **details: Any) -> None:
    if space.events.heard(kind):
        seconds = space.engine.clock() - flight.work.began
        space.events.emit(kind, text_of(flight.name), seconds=seconds, **details)
