"""What a read does at each age of what it finds, for docs/concepts/staleness.md: asked of the functions that decide it.

`python -m tools.windows` writes the tables and the picture into the page; a test fails when page and functions differ.
Whatever stands in them was answered by a real entry in a cache on a fake clock, `decide`, `patience`, `may_fall_back`.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from hotset import Cache, ConfigError, Hit, LoadTimeout, NotFound
from hotset.core.decide import Step, decide, may_fall_back, patience, softly
from hotset.engine.aside import entry_of
from hotset.entry.entry import NEGATIVE
from hotset.testing import isolated

PAGE = Path(__file__).parents[1] / "docs/concepts/staleness.md"
BEGIN, END = "<!-- windows -->", "<!-- /windows -->"

TTL, REVALIDATE, IF_ERROR, AHEAD, MAX_AGE = 10.0, 5.0, 15.0, 0.8, 0.5
"""As the page has them, in minutes; what is said of an age does not depend on how long a minute is."""
WINDOWS: dict[str, dict[str, Any]] = {
    "no window": {},
    "`stale_while_revalidate`": {"stale_while_revalidate": REVALIDATE},
    "`stale_if_error`": {"stale_if_error": IF_ERROR},
    "both": {"stale_while_revalidate": REVALIDATE, "stale_if_error": IF_ERROR},
}
TIMEOUTS: dict[str, dict[str, Any]] = {
    "no timeout": {},
    "soft timeout": {"soft_timeout": 0.1},
    "load timeout": {"load_timeout": 0.2},
    "both": {"soft_timeout": 0.1, "load_timeout": 0.2},
}


class Found(NamedTuple):
    """What a read finds: how old it is, what was done with it, and what the read asks for beside its windows."""

    said: str
    age: float = 1.0
    verb: str = "set"
    """How it came to be what it is: "set", "expire", "delete", or "not found"."""
    options: dict[str, Any] = {}  # noqa: RUF012  never changed


class Gets(Enum):
    """What a caller gets."""

    VALUE = "the value"
    STALE = "the stale value"
    NEW = "the new value"
    ERROR = "the error"
    NOT_FOUND = "`NotFound`"
    WAITS = "the new value, however late"
    SOFT = "the stale value, after `soft_timeout`"
    LATE = "the stale value, after `load_timeout`"
    TIMEOUT = "`LoadTimeout`"


class Row(NamedTuple):
    """What a read does with what it finds, and what its caller gets, by how the source answers."""

    does: Step
    in_time: Gets
    fails: Gets
    slow: tuple[Gets | None, ...]
    """For each of `TIMEOUTS`; None where options contradict each other."""
    alone: str
    """What reads without a loader get: `get`, then `lookup`."""


DOES = {
    Step.ANSWER: "answers",
    Step.REFRESH: "answers, and loads behind",
    Step.REVALIDATE: "answers it as stale, and loads behind",
    Step.LOAD_OR_STALE: "loads",
    Step.LOAD: "loads",
}


def founds(windows: str) -> list[Found]:
    """What a read may find under these windows, in the order of its age."""
    given = WINDOWS[windows]
    inside = next((f", inside `{name}`" for name in given), "")
    found = [
        Found("fresh"),
        Found("fresh, and `refresh_ahead` is due", TTL - 0.5, options={"refresh_ahead": AHEAD}),
        Found(f"past its ttl{inside}", TTL + 1.0),
    ]
    if len(given) > 1:
        found.append(Found("past `stale_while_revalidate`, inside `stale_if_error`", TTL + REVALIDATE + 1.0))
    if given:
        found.append(Found(f"past {'both windows' if len(given) > 1 else 'its window'}", TTL + IF_ERROR + 1.0))
    found += [
        Found("made stale by `expire`", verb="expire"),
        Found("deleted, or never there", verb="delete"),
        Found("fresh, older than the read's `max_age`", options={"max_age": MAX_AGE}),
    ]
    if given:
        found.append(Found("stale, older than the read's `max_age`", TTL + 1.0, options={"max_age": MAX_AGE}))
    return [*found, Found("a remembered `NotFound`", verb="not found")]


def row(windows: str, found: Found) -> Row:
    """Ask what a read does, and what its caller gets."""
    each = [_asked(WINDOWS[windows] | timeouts, found) for timeouts in TIMEOUTS.values()]
    does, in_time, fails, _, alone = next(one for one in each if one is not None)
    if any((DOES[one[0]], *one[1:3]) != (DOES[does], in_time, fails) for one in each if one is not None):
        raise ValueError(f"{windows}, {found.said}: the timeouts decide more than what a slow source leads to: {each}")
    softly = next((one[4] for name, one in zip(TIMEOUTS, each, strict=True) if one and "soft" in name), alone)
    if softly != alone:
        alone += f", with `soft_timeout` {softly.partition('; ')[2]}"
    return Row(does, in_time, fails, tuple(one[3] if one is not None else None for one in each), alone)


def _asked(given: dict[str, Any], found: Found) -> tuple[Step, Gets, Gets, Gets, str] | None:
    """Have a cache hold what is found and ask about it; None where these options contradict each other."""
    of_the_read = found.options if "max_age" in found.options else {}
    kept = {} if of_the_read else found.options
    try:
        cache = Cache(ttl=TTL, negative_ttl=TTL, **given, **kept)
    except ConfigError:
        return None
    with isolated(cache) as clock:
        hold(cache, found.verb)
        clock.advance(found.age)
        if found.verb == "expire":
            cache.expire("k")
        space = cache._space  # noqa: SLF001  a door of the same house
        options = space.options.override(of_the_read)
        slot, _, verdict = space.table.peek("k")
        entry, now = entry_of(slot), clock()
        alone = _alone(cache, of_the_read)
        step = decide(entry, verdict, now, options)

    if entry is not None and entry.flags & NEGATIVE and step is Step.ANSWER:
        return step, Gets.NOT_FOUND, Gets.NOT_FOUND, Gets.NOT_FOUND, alone
    if step in {Step.ANSWER, Step.REFRESH, Step.REVALIDATE}:
        said = Gets.STALE if step is Step.REVALIDATE else Gets.VALUE
        return step, said, said, said, alone

    def instead(error: Exception) -> bool:
        return step is Step.LOAD_OR_STALE and entry is not None and may_fall_back(error, entry, now, options)

    fails = Gets.STALE if instead(OSError()) else Gets.ERROR
    late = Gets.LATE if instead(LoadTimeout()) else Gets.TIMEOUT
    slow = Gets.WAITS if patience(step, options) is None else Gets.SOFT if softly(step, options) else late
    return step, Gets.NEW, fails, slow, alone


def hold(cache: Cache, verb: str) -> None:
    """Have something stand under "k", or nothing."""
    if verb == "not found":

        def load() -> None:
            raise NotFound("k")

        try:
            cache.get_or_load("k", load, soft_timeout=inf, load_timeout=inf)
        except NotFound:
            return
    elif verb != "delete":
        cache.set("k", "old")


def _alone(cache: Cache, of_the_read: dict[str, Any]) -> str:
    said = "the value" if cache.get("k", **of_the_read) is not None else "a miss"
    found = cache.lookup("k")
    return f"{said}; {'a stale `Hit`' if found.stale else 'a `Hit`'}" if isinstance(found, Hit) else f"{said}; a `Miss`"


# -- the page


def table(windows: str) -> str:
    """The rows of these windows as a table; what is the same for several is said once."""
    asked = {found.said: row(windows, found) for found in founds(windows)}
    named = [name for at, name in enumerate(TIMEOUTS) if any(each.slow[at] is not None for each in asked.values())]
    heads = ["what stands there", "the read", "its source answers", "fails"]
    heads += [*(f"is slow, {name}" for name in named), "without a loader: `get`; `lookup`"]
    rows: dict[tuple[str, ...], list[str]] = {}
    for said, each in asked.items():
        slow = [gets.value for gets in each.slow if gets is not None]
        cells = (DOES[each.does], each.in_time.value, each.fails.value, *slow, each.alone)
        rows.setdefault(cells, []).append(said)
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    lines += ["| " + " | ".join([" *or* ".join(names), *cells]) + " |" for cells, names in rows.items()]
    return "\n".join(lines)


def picture() -> str:
    """What a read does while an entry grows old, a lane for each choice of windows, as a block of `timeline`."""
    lanes = {name.strip("`").removeprefix("stale_").replace("_", " "): given for name, given in WINDOWS.items()}
    lanes["both, ahead"] = lanes["both"] | {"refresh_ahead": AHEAD}
    return "\n".join(["```timeline", *(_lane(name, given) for name, given in lanes.items()), "```"])


SHORT = {
    Step.ANSWER: "fresh",
    Step.REFRESH: "loads behind",
    Step.REVALIDATE: "stale, loads behind !",
    Step.LOAD_OR_STALE: "loads; stale if that fails !",
    Step.LOAD: "loads",
}


def _lane(name: str, given: dict[str, Any]) -> str:
    last, parts, begun = int(TTL + IF_ERROR + 5), [], 0
    steps = [_step(given, age + 0.5) for age in range(last)]
    for age in range(1, last + 1):
        if age == last or steps[age] is not steps[begun]:
            parts.append(f"{begun}-{age} {SHORT[steps[begun]]}")
            begun = age
    return f"{name}: {' | '.join(parts)}"


def _step(given: dict[str, Any], age: float) -> Step:
    asked = _asked(given, Found("", age))
    return asked[0] if asked is not None else Step.LOAD


def made() -> str:
    """All that the page shows of it."""
    titles = {name: "Both windows" if name == "both" else name[0].upper() + name[1:] for name in WINDOWS}
    return "\n\n".join([picture(), *(f"### {title}\n\n{table(name)}" for name, title in titles.items())])


def written(page: str) -> str:
    """The page with what is made between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
