"""What a reader sees of the fleet: who shares what, a table that fills, scenes as they happen. It decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, final

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from hotset.cli.demo import Building, Played, Playing
from hotset.cli.fleet.figures import TIERS, FleetReport
from hotset.cli.fleet.outage import Step, Watched
from hotset.cli.fleet.story import Assembled, Shared
from hotset.cli.paper import GOOD, WIDTH, Paper, percent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hotset.cli.fleet.figures import Share, Tier
    from hotset.cli.fleet.story import Event
    from hotset.cli.fleet.traffic import Flow

_BAR: Final = 24
_TIERS: Final[dict[Tier, str]] = {"process": "process tier", "cluster": "cluster tier", "query": "query"}


@final
class FleetScreen:
    """Draws the story's events, one after another, while its `with` block lasts."""

    __slots__ = ("_own", "_paper", "_scenes")

    def __init__(self, console: Console) -> None:
        self._paper = Paper(console)
        self._scenes = 0
        self._own = False

    def __repr__(self) -> str:
        return f"<FleetScreen {self._paper.width} columns, scenes={self._scenes}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._paper.close()

    def show(self, event: Event) -> None:
        """Draw what has just happened."""
        paper = self._paper
        match event:
            case Building(part):
                paper.draw(Text(f"building the database: {part}"))
            case Assembled():
                self._own = event.server.own
                paper.print(self._head(event))
            case Shared():
                if event.over:
                    paper.print(Text(), self._table(event), Text(), self._gain(event))
                else:
                    paper.draw(Group(Text(), self._table(event), Text(), self._bar(event.together)))
            case Playing(claim):
                self._scenes += 1
                paper.claim(self._scenes, claim)
            case Played(scene):
                paper.verdict(scene)
            case Step(seconds, text):
                paper.print(paper.beside(Text(f"   {seconds:4.1f} s "), Text(text)))
            case Watched(flows):
                paper.draw(Group(*(_flow(number, flow) for number, flow in enumerate(flows, 1))))
            case FleetReport():
                gone = "both processes, the server and the database" if self._own else "both processes and the database"
                paper.end(
                    event.problems, f"{event.seconds:.0f} s; its {event.keys_removed:,} keys, {gone} are gone again."
                )

    def _head(self, event: Assembled) -> RenderableType:
        server, paper = event.server, self._paper
        started = "started for this demo" if server.own else "which others may use too; it is left as it is"
        source = paper.source(event.database, event.trace)
        facts = source | {
            "Trace": f"{source['Trace']}, half of them to each process",
            "Server": f"{server.version} at {server.where}, {started}",
            "Processes": f"{' and '.join(map(str, event.pids))}, each with "
            f'Cache("memory://", "redis://...", namespace="{event.namespace}")',
        }
        return paper.about("hotset demo: two processes, each with a process tier over one Redis", facts)

    def _table(self, event: Shared) -> Table:
        shares = (*event.shares, event.together)
        wide = 14 if self._paper.width >= WIDTH else None
        names = [*(f"process {share.pids[0]}" for share in event.shares), "both"]
        columns = [
            Column(f"{name}\n{share.threads} threads", justify="right", min_width=wide)
            for name, share in zip(names, shares, strict=True)
        ]
        columns[-1].style = "bold"
        table = Table(Column(), *columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        rows: dict[str, list[str]] = {
            "requests": [f"{share.done:,}" for share in shares],
            "requests/s": [f"{share.per_second:,.0f}" for share in shares],
            "queries": [f"{share.queries:,}" for share in shares],
            **{
                f"{'hits: ' if tier != 'query' else 'waited for a '}{_TIERS[tier]}": [
                    percent(share.ratio(tier)) for share in shares
                ]
                for tier in TIERS
            },
        }
        for tier in TIERS:
            latencies = [share.latencies[tier] for share in shares]
            rows[f"{_TIERS[tier]} p50"] = [self._paper.duration(latency.p50_us) for latency in latencies]
            rows[f"{_TIERS[tier]} p99"] = [self._paper.duration(latency.p99_us) for latency in latencies]
        for label, cells in rows.items():
            table.add_row(label, *cells)
        return table

    def _bar(self, together: Share) -> Text:
        full = _BAR * together.done // together.requests
        bar = Text("[")
        bar.append(("#" if self._paper.ascii_only else "━") * full, style=GOOD)
        return bar.append(f"{' ' * (_BAR - full)}] {together.done:,} of {together.requests:,}")

    def _gain(self, event: Shared) -> RenderableType:
        together = event.together
        gain = Text("")
        gain.append(f"{together.queries:,} queries for {together.done:,} requests", style=GOOD)
        away = together.outages
        each = f"each for itself they would have asked {event.apart:,} times, without a cache every time."
        if away:
            times = "once" if away == 1 else f"{away} times"
            gain.append(
                f"; {each} The server did not answer within 250 ms {times}: until it does, each loads for itself."
            )
        else:
            gain.append(f": one load a key for both processes together; {each}")
        legend = Text(
            "Both begin empty. A hit came from a copy in the process or from the server; the others waited for a "
            "query, their own or one under way in either process."
        )
        return Group(self._paper.beside(Text(), legend), Text(), self._paper.beside(Text(), gain))


def _flow(number: int, flow: Flow) -> Text:
    """Return one process's line below the steps."""
    words = [f"   process {number}: {flow.answered:,} reads", f"{flow.errors} errors", f"store {flow.trust}"]
    return Text(", ".join([*words, f"{flow.pending} owed"]), no_wrap=True, overflow="ellipsis")
