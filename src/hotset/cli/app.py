"""The commands and their options, in typer's terms; what they do is elsewhere."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path  # noqa: TC003  typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from hotset import ConfigError, __version__
from hotset.cli import trace as traces
from hotset.cli.demo import Settings, story
from hotset.cli.paper import console
from hotset.cli.screen import Screen
from hotset.cli.stop import Stop, Stopped
from hotset.config.environment import disabled
from hotset.errors import HotsetError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from rich.console import Console

    from hotset.cli.figures import Report
    from hotset.cli.fleet.figures import FleetReport

    class _Screen(AbstractContextManager["_Screen"], Protocol):
        def show(self, event: Any) -> None: ...

    _Tell = Callable[[Stop, bool], Report | FleetReport]

# Plain help: the coloured one has yellow names and dim defaults, hard to read on white.
app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=False)

# With these the whole demo takes about half a minute on two cores.
_REQUESTS = 10_000
_USERS = 100_000

# What typer raises for arguments that it can't use. It exports this class's child only, and its base is click's in
# one version of typer and a copy of that in another.
_Unusable: type[Exception] = typer.BadParameter.__mro__[2]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what can't be used is said in one line on stderr."""
    try:
        code = app(list(arguments), prog_name="hotset", standalone_mode=False)
    except _Unusable as error:
        unusable = error.format_message()  # type: ignore[attr-defined]
    except (traces.BadTrace, ConfigError) as error:
        unusable = str(error)
    else:
        return code if isinstance(code, int) else 0
    sys.stderr.write(f"hotset: {' '.join(unusable.split())}\n")
    return 2


@app.callback(invoke_without_command=True)
def _hotset(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Keep your hot set close and never serve what you have invalidated."""
    if version:
        sys.stdout.write(f"hotset {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")


@app.command()
def demo(
    trace: Annotated[
        Path | None,
        typer.Option(
            help="A trace to replay instead of the one that hotset carries: text or .gz; its first line names the "
            "columns (`key`, or `time,key,size`), then one request a line.",
            show_default=False,
        ),
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Replay so many requests of the trace.")] = _REQUESTS,
    users: Annotated[int, typer.Option(min=10, max=5_000_000, help="Users in the database.")] = _USERS,
    threads: Annotated[int, typer.Option(min=1, max=500, help="Threads that ask at the same time.")] = 8,
    tasks: Annotated[int, typer.Option(min=1, max=10_000, help="Async tasks that ask at the same time.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Another number makes another database.")] = 1,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Two processes share this server, as in redis://localhost:6379/0; `own` starts one for the demo. The "
            "threads are shared out to both, there are no tasks.",
            show_default=False,
            metavar="URL",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
) -> int:
    """See a real program served from the cache.

    A shop's database is built in a temporary directory; a trace of real requests asks it for users' profiles, first
    without a cache and then through hotset, by threads and by async tasks; three scenes follow. With --redis two
    processes ask, each with a process tier over one server, which goes away and comes back in the third scene. Nothing
    stays behind, no key either.
    """
    chosen = traces.carried(requests) if trace is None else traces.read(trace, requests)
    if disabled():
        raise ConfigError("HOTSET_DISABLE switches every cache off, and this demo shows one: unset it")
    settings = Settings(chosen, users, threads, tasks, seed)
    tell, removed = _alone(settings) if redis is None else _together(settings, redis)
    stop = Stop()
    try:
        with stop.listening():
            report = tell(stop, as_json)
    except Stopped as stopped:
        sys.stderr.write(f"hotset: stopped; {removed} again\n")
        return stopped.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ConfigError:
        raise
    except HotsetError as error:  # some are OSErrors too, and none of them is the database's
        sys.stderr.write(f"hotset: {error}\n")
        return 1
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"hotset: the demo's database failed: {error}\n")
        return 1
    return 1 if report.problems else 0


def _alone(settings: Settings) -> tuple[_Tell, str]:
    """Return what tells the story of one process, and what is removed when it is stopped."""
    return partial(_tell, Screen, partial(story, settings)), "the database is removed"


def _together(settings: Settings, redis: str) -> tuple[_Tell, str]:
    """Return the same for two processes over a server, which is seen to answer first."""
    from hotset.cli.fleet.screen import FleetScreen
    from hotset.cli.fleet.story import place, story

    where = place(redis)
    return partial(_tell, FleetScreen, partial(story, settings, where)), "keys, processes and the database are removed"


def _tell(
    screens: Callable[[Console], _Screen],
    story: Callable[[Callable[[], None]], Generator[Any, None, None]],
    stop: Stop,
    as_json: bool,
) -> Report | FleetReport:
    # For machines stdout has the figures alone; someone who watches a terminal still sees how it goes.
    shown = sys.stderr if as_json else sys.stdout
    report: Report | FleetReport | None = None
    with ExitStack() as stack:
        screen = stack.enter_context(screens(console(shown))) if not as_json or shown.isatty() else None
        for report in stack.enter_context(closing(story(stop.check))):
            if screen is not None:
                screen.show(report)
    if report is None:
        raise AssertionError("the story ends with its report")
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    return report
