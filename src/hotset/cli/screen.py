"""What a reader sees of the demo, in 80 columns: alive on a terminal, plain lines elsewhere. It decides nothing.

Figures are bold or plain, in the terminal's own colour. Green and red only stress what the words say already; both are
shades that stand out from black and from white alike (a contrast of 4 to 5), which the terminal's own green does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from hotset.cli.demo import Building, Played, Playing, Ran, Ready, Running
from hotset.cli.figures import Report

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import RenderableType

    from hotset.cli.demo import Event
    from hotset.cli.figures import Phase

_WIDTH = 80
_BAR = 24
_NOTHING = "-"
_GOOD = "bold color(28)"
_BAD = "bold color(160)"


def console(file: TextIO) -> Console:
    """Make a console that writes to `file`, at most 80 columns wide, with the colours that the terminal has."""
    made = Console(file=file, highlight=False, markup=False, emoji=False)
    return (
        made if made.width <= _WIDTH else Console(file=file, highlight=False, markup=False, emoji=False, width=_WIDTH)
    )


@final
class Screen:
    """Draws the story's events, one after another, while its `with` block lasts."""

    __slots__ = ("_console", "_live", "_phases", "_scenes")

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._phases: dict[str, Phase] = {}
        self._scenes = 0

    def __repr__(self) -> str:
        return f"<Screen {self._console.width} columns, phases={list(self._phases)} scenes={self._scenes}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Draw what has just happened."""
        match event:
            case Building(part):
                self._draw(Text(f"building the database: {part}"))
            case Ready():
                self._print(self._head(event))
            case Running(phase):
                self._phases[phase.name] = phase
                self._draw(Group(Text(), self._table(), Text(), self._bar(phase)))
            case Ran(phase):
                self._phases[phase.name] = phase
                if not self._console.is_terminal:
                    self._print(
                        *[Text()] * (len(self._phases) == 1),
                        Text(f"{_title(phase)}: {phase.done:,} requests in {phase.seconds:.1f} s"),
                    )
            case Playing(claim):
                if not self._scenes:
                    self._print(Text(), self._table(), Text(), self._gain())
                self._scenes += 1
                self._print(Text(), Text(f"{self._scenes}. {claim}", style="bold"))
            case Played(scene):
                label = Text("   ok     ", style=_GOOD) if scene.holds else Text("   FAILED ", style=_BAD)
                self._print(self._beside(label, Text(scene.shown)))
            case Report():
                self._print(Text(), _end(event))

    def _draw(self, what: RenderableType) -> None:
        if self._console.is_terminal:
            self._live.start()
            self._live.update(what, refresh=True)

    def _print(self, *lines: RenderableType) -> None:
        self._live.stop()
        for line in lines:
            self._console.print(line)

    def _head(self, ready: Ready) -> RenderableType:
        database, trace = ready.database, ready.trace
        about = {
            "Database": f"SQLite {database.sqlite}, {_size(database.size_bytes)}, built in "
            f"{database.build_seconds:.1f} s: {database.users:,} users, {database.orders:,} orders, "
            f"{database.order_lines:,} order lines",
            "Query": "a user's profile: totals, favourite category, rank in the city; "
            f"{self._duration(database.query.p50_us)} when asked alone (p99 {self._duration(database.query.p99_us)})",
            "Trace": f"{trace.name}: {trace.requests:,} requests for {trace.users:,} users",
        }
        return Group(
            Text("hotset demo: user profiles, without a cache and through hotset", style="bold"),
            Text(),
            *(self._beside(Text(f"{label:10}", style="bold"), Text(text)) for label, text in about.items()),
        )

    def _beside(self, label: Text, text: Text) -> Text:
        """Return the text wrapped beside its label; no line ends in spaces, as those of a table would."""
        lines = text.wrap(self._console, max(20, self._console.width - len(label)))
        for line in lines:
            line.rstrip()
        return Text().join([label, Text("\n" + " " * len(label)).join(lines)])

    def _table(self) -> Table:
        phases = list(self._phases.values())
        wide = 12 if self._console.width >= _WIDTH else None
        table = Table(
            Column(),
            *(
                Column(_title(phase, "\n"), justify="right", style="bold" if phase.cached else "", min_width=wide)
                for phase in phases
            ),
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
            header_style="bold",
        )
        rows: dict[str, list[str]] = {
            "requests": [f"{phase.done:,}" for phase in phases],
            "requests/s": [f"{phase.per_second:,.0f}" for phase in phases],
            "queries": [f"{phase.queries:,}" for phase in phases],
            "queries saved": [_percent(phase.queries_saved) if phase.cached else _NOTHING for phase in phases],
            "hit ratio": [_percent(phase.hit_ratio) if phase.cached else _NOTHING for phase in phases],
        }
        for what in ("hit", "miss", "query"):
            latencies = [getattr(phase, what) for phase in phases]
            rows[f"{what} p50"] = [self._duration(latency.p50_us) for latency in latencies]
            rows[f"{what} p99"] = [self._duration(latency.p99_us) for latency in latencies]
        for label, cells in rows.items():
            table.add_row(label, *cells)
        return table

    def _bar(self, phase: Phase) -> Text:
        full = _BAR * phase.done // phase.requests
        bar = Text("[")
        bar.append(("#" if self._console.options.ascii_only else "━") * full, style=_GOOD)
        return bar.append(f"{' ' * (_BAR - full)}] {_title(phase)}: {phase.done:,} of {phase.requests:,}")

    def _gain(self) -> RenderableType:
        pairs = [(self._phases[f"{kind}_without"], self._phases[f"{kind}_hotset"]) for kind in ("threads", "tasks")]
        queries, asked = (sum(pair[cached].queries for pair in pairs) for cached in (True, False))
        times = [f"{after.per_second / before.per_second:.1f} times" for before, after in pairs if before.per_second]
        faster = " and ".join(f"{much} with {pair[0].kind}" for much, pair in zip(times, pairs, strict=False))
        gain = Text("Through hotset ")
        gain.append(f"{asked - queries:,} of {asked:,} queries", style=_GOOD)
        gain.append(f" were saved, and the requests per second grew {faster}.")
        legend = Text(
            "Each replay begins with an empty cache. A hit was in it when it was asked for; a miss waited for a query, "
            "its own or one under way; the query is the database's part of that."
        )
        return Group(self._beside(Text(), legend), Text(), self._beside(Text(), gain))

    def _duration(self, microseconds: float | None) -> str:
        if microseconds is None:
            return _NOTHING
        micro = "us" if self._console.options.ascii_only else "µs"
        value, unit = microseconds, micro
        if value >= 999.5:  # noqa: PLR2004  it would be shown as 1000
            value, unit = value / 1000, "ms"
        if value >= 999.5:  # noqa: PLR2004  as above
            value, unit = value / 1000, "s"
        return f"{value:.{1 if value < 9.95 else 0}f} {unit}"  # noqa: PLR2004  two digits say enough


def _title(phase: Phase, separator: str = ", ") -> str:
    return f"{phase.workers} {phase.kind}{separator}{'hotset' if phase.cached else 'no cache'}"


def _end(report: Report) -> Text:
    if report.problems:
        return Text(f"FAILED: {'; '.join(report.problems)}", style=_BAD)
    return Text(f"All of it held. {report.seconds:.0f} s; the database is removed again.")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004  units
