"""The command itself: what it takes, and how it ends."""

from __future__ import annotations

import enum
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


def demo(
    *,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if any number is off.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", exists=True, file_okay=False, help="Read real help-desk logs from here."),
    ] = None,
    scale: Annotated[Scale, typer.Option(hidden=True)] = Scale.NORMAL,
) -> None:
    """Shows the whole thing on an embedded server: twelve tenants kept apart, and every way to break in, tried."""
    try:
        verdict = play(data, tickets=scale.tickets)
    except KeyboardInterrupt:
        typer.echo("\nStopped. Server and files are gone.", err=True)
        raise typer.Exit(130) from None
    if check and not verdict.held:
        raise typer.Exit(1)
