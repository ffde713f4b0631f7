"""What a reader sees of the demo: what is built, a table that fills, scenes with their verdicts. It decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from hotset.cli.demo import Building, Played, Playing, Ran, Ready, Running
from hotset.cli.figures import Report
from hotset.cli.paper import GOOD, NOTHING, WIDTH, Paper, percent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hotset.cli.demo import Event
    from hotset.cli.figures import Phase

_BAR = 24


@final
class Screen:
    """Draws the story's events, one after another, while its `with` block lasts."""

    __slots__ = ("_paper", "_phases", "_scenes")

    def __init__(self, console: Console) -> None:
        self._paper = Paper(console)
        self._phases: dict[str, Phase] = {}
        self._scenes = 0

    def __repr__(self) -> str:
        return f"<Screen {self._paper.width} columns, phases={list(self._phases)} scenes={self._scenes}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._paper.close()

    def show(self, event: Event) -> None:
        """Draw what has just happened."""
        match event:
            case Building(part):
                self._paper.draw(Text(f"building the database: {part}"))
            case Ready():
                self._paper.print(self._head(event))
            case Running(phase):
                self._phases[phase.name] = phase
                self._paper.draw(Group(Text(), self._table(), Text(), self._bar(phase)))
            case Ran(phase):
                self._phases[phase.name] = phase
                if not self._paper.is_terminal:
                    self._paper.print(
                        *[Text()] * (len(self._phases) == 1),
                        Text(f"{_title(phase)}: {phase.done:,} requests in {phase.seconds:.1f} s"),
                    )
            case Playing(claim):
                if not self._scenes:
                    self._paper.print(Text(), self._table(), Text(), self._gain())
                self._scenes += 1
                self._paper.claim(self._scenes, claim)
            case Played(scene):
                self._paper.verdict(scene)
            case Report():
                self._paper.end(event.problems, f"{event.seconds:.0f} s; the database is removed again.")

    def _head(self, ready: Ready) -> RenderableType:
        about = self._paper.source(ready.database, ready.trace)
        return self._paper.about("hotset demo: user profiles, without a cache and through hotset", about)

    def _table(self) -> Table:
        phases = list(self._phases.values())
        wide = 12 if self._paper.width >= WIDTH else None
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
            "queries saved": [percent(phase.queries_saved) if phase.cached else NOTHING for phase in phases],
            "hit ratio": [percent(phase.hit_ratio) if phase.cached else NOTHING for phase in phases],
        }
        for what in ("hit", "miss", "query"):
            latencies = [getattr(phase, what) for phase in phases]
            rows[f"{what} p50"] = [self._paper.duration(latency.p50_us) for latency in latencies]
            rows[f"{what} p99"] = [self._paper.duration(latency.p99_us) for latency in latencies]
        for label, cells in rows.items():
            table.add_row(label, *cells)
        return table

    def _bar(self, phase: Phase) -> Text:
        full = _BAR * phase.done // phase.requests
        bar = Text("[")
        bar.append(("#" if self._paper.ascii_only else "━") * full, style=GOOD)
        return bar.append(f"{' ' * (_BAR - full)}] {_title(phase)}: {phase.done:,} of {phase.requests:,}")

    def _gain(self) -> RenderableType:
        pairs = [(self._phases[f"{kind}_without"], self._phases[f"{kind}_hotset"]) for kind in ("threads", "tasks")]
        queries, asked = (sum(pair[cached].queries for pair in pairs) for cached in (True, False))
        times = [f"{after.per_second / before.per_second:.1f} times" for before, after in pairs if before.per_second]
        faster = " and ".join(f"{much} with {pair[0].kind}" for much, pair in zip(times, pairs, strict=False))
        gain = Text("Through hotset ")
        gain.append(f"{asked - queries:,} of {asked:,} queries", style=GOOD)
        gain.append(f" were saved, and the requests per second grew {faster}.")
        legend = Text(
            "Each replay begins with an empty cache. A hit was in it when it was asked for; a miss waited for a query, "
            "its own or one under way; the query is the database's part of that."
        )
        return Group(self._paper.beside(Text(), legend), Text(), self._paper.beside(Text(), gain))


def _title(phase: Phase, separator: str = ", ") -> str:
    return f"{phase.workers} {phase.kind}{separator}{'hotset' if phase.cached else 'no cache'}"
