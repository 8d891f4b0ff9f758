"""The command itself: what it takes, and how it ends."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from tenantry.cli.demo.acts import play


class Scale(enum.StrEnum):
    """How much data is made up."""

    NORMAL = "normal"
    SMALL = "small"

    @property
    def tickets(self) -> int:
        """The least number of tickets of one tenant."""
        return 80 if self is Scale.NORMAL else 6

    @property
    def rows(self) -> int:
        """About how many rows each tenant of the other systems gets."""
        return 120 if self is Scale.NORMAL else 12


def demo(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Stop after the last number, and exit with 1 if any is off.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", exists=True, file_okay=False, help="Read real help-desk logs from here."),
    ] = None,
    port: Annotated[int, typer.Option(help="Where the five APIs are served, on loopback; 0 takes a free port.")] = 0,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Go on serving until Ctrl-C.", show_default="only in a terminal"),
    ] = None,
    scale: Annotated[Scale, typer.Option(hidden=True)] = Scale.NORMAL,
) -> None:
    """Shows the whole thing on an embedded server: tenants kept apart, every way to break in, five systems served."""
    stay = not check and (sys.stdout.isatty() if serve is None else serve)
    try:
        verdict = play(data, tickets=scale.tickets, rows=scale.rows, port=port, stay=stay)
    except KeyboardInterrupt:
        typer.echo("\nStopped. Server and files are gone.", err=True)
        raise typer.Exit(130) from None
    if check and not verdict.held:
        raise typer.Exit(1)
