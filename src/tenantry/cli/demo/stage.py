"""What the demo shows: a line for each act with its seconds, two tables, and the verdict."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tenantry.cli.demo.calling import Exercise
from tenantry.cli.demo.customers import Customer, Place
from tenantry.cli.demo.intrusion import Outcome
from tenantry.cli.demo.loading import Counts, expected_counts
from tenantry.cli.demo.systems import Filled

PLAIN_WIDTH: Final = 110
REFUSED: Final = "refused: "
NOT_TRIED: Final = (
    "Not tried: raw SQL that sets tenantry.tenant itself. Tenants of one PostgreSQL database are not safe\n"
    "from it, so bind your values, or give the tenant a database of its own (SECURITY.md)."
)


class Verdict(Protocol):
    """What was found."""

    @property
    def rows(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def faults(self) -> Sequence[str]: ...
    @property
    def held(self) -> bool: ...


@dataclass
class Act:
    """One act of the demo; *note* says more about it once it is over."""

    title: str
    note: str = ""


class Stage:
    """Where the demo is shown; without a terminal it is plain text of a fixed width."""

    def __init__(self, console: Console | None = None) -> None:
        own = console or Console()
        self._console = own if own.is_terminal else Console(width=PLAIN_WIDTH)
        self._began = time.monotonic()

    @contextlib.contextmanager
    def act(self, title: str) -> Iterator[Act]:
        """Shows an act when it is over, with the seconds it took."""
        began, act = time.monotonic(), Act(title)
        yield act
        seconds = time.monotonic() - began
        note = f"[dim]: {escape(act.note)}[/]" if act.note else ""
        self._console.print(f"[cyan]{seconds:5.1f} s[/]  {escape(act.title)}{note}", highlight=False)

    @contextlib.contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Shows a bar while the block runs; what it lends is told how much more is done."""
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)

    def show_tenants(self, customers: Sequence[Customer], counts: Mapping[str, Counts]) -> None:
        """Shows who lives where, and how many rows each session counted of those loaded."""
        table = _table("tenant", "server", "isolation", show_footer=True)
        wanted = [expected_counts(customer) for customer in customers]
        for name in ("agents", "tickets", "conversations"):
            total = sum(getattr(counts[customer.slug], name) for customer in customers)
            table.add_column(name, justify="right", footer=f"{total:,}")
        table.add_column("loaded", justify="right", footer=f"{sum(count.total for count in wanted):,}")
        table.add_column()
        for customer, expected in zip(customers, wanted, strict=True):
            found, place = counts[customer.slug], customer.place
            numbers = [f"{number:,}" for number in (found.agents, found.tickets, found.conversations, expected.total)]
            table.add_row(customer.slug, place.kind, place.label, *numbers, _mark(held=found == expected))
        self._console.print(Padding(table, (1, 0)))

    def show_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Shows what came back on each route."""
        table = _table("", "route", "tried in", "what came back", "")
        for number, (route, grouped) in enumerate(groupby(outcomes, key=lambda outcome: outcome.route), 1):
            found = [*grouped]
            held = all(outcome.held for outcome in found)
            words = _what_came_back(found)
            shown = escape(words) if held else f"[bold red]{escape(words)}[/]"
            table.add_row(f"{number}", escape(route.name), _where(route.places), shown, _mark(held=held))
        self._console.print(Padding(table, (1, 0)))
        self._console.print(f"[dim]{NOT_TRIED}[/]", "", sep="\n", highlight=False)

    def show_verdict(self, verdict: Verdict, *, routes: int) -> None:
        """Shows in one line whether the walls held, and after it each number that is off."""
        seconds = f"{time.monotonic() - self._began:.0f} s"
        if verdict.held:
            said = (
                f"{verdict.rows:,} rows counted where they were loaded; {verdict.attempts} attempts on {routes} routes"
            )
            more = f" and {verdict.requests} requests" if verdict.requests else ""
            self._say("[bold green]HELD[/]", f"{said}{more}: no foreign row seen, none changed. {seconds}")
            return
        self._say("[bold red]NOT HELD[/]", f"{len(verdict.faults)} numbers are off. {seconds}")
        for fault in verdict.faults:
            self._console.print(f"  [red]{escape(fault)}[/]", highlight=False)

    def show_calls(self, found: Sequence[Exercise]) -> None:
        """Shows how many requests each API was sent, and whether it answered each as it should."""
        table = _table("", "requests", "")
        for one in found:
            table.add_row(one.name, f"{one.calls:,}", _mark(held=not one.faults))
        self._console.print(Padding(table, (1, 0)))

    def show_callers(self, url: str, systems: Sequence[Filled]) -> None:
        """Shows where each API is, and with which token who may call it."""
        for filled in systems:
            where = f"{url}/{filled.served.name}"
            self._say(f"[bold]{filled.title}[/]", f"{where}/docs  ({filled.tenants} tenants, {filled.rows:,} rows)")
            for caller in filled.served.callers:
                self._say(f"  [cyan]{escape(caller.tenant)}[/]", f"{caller.user}, {caller.role}: {caller.token}")
        self._say("", "Send a token as `Authorization: Bearer <token>`. Ctrl-C ends it; nothing is left.")

    def _say(self, mark: str, words: str) -> None:
        self._console.print(f"{mark}  {escape(words)}", highlight=False, soft_wrap=True)


def _table(*columns: str, show_footer: bool = False) -> Table:
    table = Table(box=None, header_style="bold", footer_style="bold", show_footer=show_footer, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _mark(*, held: bool) -> str:
    return "[green]✓[/]" if held else "[bold red]✗[/]"


def _where(places: Sequence[Place]) -> str:
    if len(places) == len(Place):
        return "every place"
    kinds = {place.kind for place in places}
    whole = [place for place in Place if place.kind in kinds]
    return " and ".join(sorted(kinds)) if len(whole) == len(places) else ", ".join(place.title for place in places)


def _what_came_back(outcomes: Sequence[Outcome]) -> str:
    """Sums the places up: first what was allowed, then the refusals, each kind once."""
    allowed = Counter(outcome.words for outcome in outcomes if not outcome.words.startswith(REFUSED))
    refused = Counter(outcome.words.removeprefix(REFUSED) for outcome in outcomes if outcome.words.startswith(REFUSED))
    parts = [", ".join(allowed)] if allowed else []
    parts += [f"{REFUSED}{', '.join(refused)}"] if refused else []
    return "; ".join(parts)
