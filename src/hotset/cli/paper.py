"""How the demo writes, in 80 columns: alive on a terminal, plain lines elsewhere.

Figures are bold or plain, in the terminal's own colour. Green and red only stress what the words say already; both are
shades that stand out from black and from white alike (a contrast of 4 to 5), which the terminal's own green does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from hotset.cli.figures import Database, Replayed, Scene

WIDTH: Final = 80
NOTHING: Final = "-"
GOOD: Final = "bold color(28)"
BAD: Final = "bold color(160)"


def console(file: TextIO) -> Console:
    """Make a console that writes to `file`, at most 80 columns wide, with the colours that the terminal has."""
    made = Console(file=file, highlight=False, markup=False, emoji=False)
    return made if made.width <= WIDTH else Console(file=file, highlight=False, markup=False, emoji=False, width=WIDTH)


@final
class Paper:
    """A console with lines that stay and, on a terminal, a part below them that is drawn again and again."""

    __slots__ = ("_console", "_live")

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __repr__(self) -> str:
        return f"<Paper {self.width} columns>"

    @property
    def is_terminal(self) -> bool:
        """Whether what is drawn can be drawn again."""
        return self._console.is_terminal

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self._console.width

    @property
    def ascii_only(self) -> bool:
        """Whether the output's encoding has nothing else."""
        return self._console.options.ascii_only

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._live.stop()

    def draw(self, what: RenderableType) -> None:
        """Show this below the lines until something else is shown; only on a terminal."""
        if self.is_terminal:
            self._live.start()
            self._live.update(what, refresh=True)

    def print(self, *lines: RenderableType) -> None:
        """Write lines that stay."""
        self._live.stop()
        for line in lines:
            self._console.print(line)

    def beside(self, label: Text, text: Text) -> Text:
        """Return the text wrapped beside its label; no line ends in spaces, as those of a table would."""
        lines = text.wrap(self._console, max(20, self.width - len(label)))
        for line in lines:
            line.rstrip()
        return Text().join([label, Text("\n" + " " * len(label)).join(lines)])

    def about(self, title: str, facts: Mapping[str, str]) -> RenderableType:
        """Return a title, and facts below it, each beside its name."""
        lines = (self.beside(Text(f"{name:10}", style="bold"), Text(fact)) for name, fact in facts.items())
        return Group(Text(title, style="bold"), Text(), *lines)

    def source(self, database: Database, trace: Replayed) -> dict[str, str]:
        """Return the facts about the database and the trace."""
        return {
            "Database": f"SQLite {database.sqlite}, {_size(database.size_bytes)}, built in "
            f"{database.build_seconds:.1f} s: {database.users:,} users, {database.orders:,} orders, "
            f"{database.order_lines:,} order lines",
            "Query": "a user's profile: totals, favourite category, rank in the city; "
            f"{self.duration(database.query.p50_us)} when asked alone (p99 {self.duration(database.query.p99_us)})",
            "Trace": f"{trace.name}: {trace.requests:,} requests for {trace.users:,} users",
        }

    def claim(self, number: int, claim: str) -> None:
        """Write what the next scene is to show."""
        self.print(Text(), self.beside(Text(f"{number}. ", style="bold"), Text(claim, style="bold")))

    def verdict(self, scene: Scene) -> None:
        """Write what a scene has shown."""
        label = Text("   ok     ", style=GOOD) if scene.holds else Text("   FAILED ", style=BAD)
        self.print(self.beside(label, Text(scene.shown)))

    def end(self, problems: Sequence[str], well: str) -> None:
        """Write the last line."""
        failed = Text(f"FAILED: {'; '.join(problems)}", style=BAD)
        self.print(Text(), failed if problems else self.beside(Text(), Text(f"All of it held. {well}")))

    def duration(self, microseconds: float | None) -> str:
        """Return a duration with two digits or three, and its unit."""
        if microseconds is None:
            return NOTHING
        micro = "us" if self.ascii_only else "µs"
        value, unit = microseconds, micro
        if value >= 999.5:  # noqa: PLR2004  it would be shown as 1000
            value, unit = value / 1000, "ms"
        if value >= 999.5:  # noqa: PLR2004  as above
            value, unit = value / 1000, "s"
        return f"{value:.{1 if value < 9.95 else 0}f} {unit}"  # noqa: PLR2004  two digits say enough


def percent(share: float) -> str:
    """Return a share from 0 to 1 in percent."""
    return f"{100 * share:.1f} %"


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004  units
