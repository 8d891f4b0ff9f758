"""What commands print: tables for people, JSON for machines, notes on the other channel."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tenantry.events import Step, listen
from tenantry.types import Tenant

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Prints rows under headings; long words are folded, never cut."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row))
    Console().print(table)


def print_json(data: object) -> None:
    """Prints data as JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def say(sentence: str) -> None:
    """Prints a sentence for people on the error channel, so that what is piped stays clean."""
    Console(stderr=True, highlight=False).print(escape(sentence), soft_wrap=True)


def as_data(value: Any) -> dict[str, Any]:
    """Returns a dataclass as what JSON can hold."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def tenant_as_data(tenant: Tenant) -> dict[str, Any]:
    """Returns a tenant as what JSON can hold."""
    return {**as_data(tenant), "id": str(tenant.id), "settings": dict(tenant.settings)}


@contextlib.contextmanager
def progress(doing: str) -> Iterator[None]:
    """Shows what long work is at, on the error channel, while a terminal looks."""
    console = Console(stderr=True)
    with console.status(doing) as status:

        def show(step: Step) -> None:
            status.update(f"{doing}: {escape(_about(step))}")

        forget = listen(show)
        try:
            yield
        finally:
            forget()


def _about(step: Step) -> str:
    about = str(step.facts.get("what") or step.facts.get("table") or step.name)
    return f"{about}, {step.facts['done']} of {step.facts['total']}" if "total" in step.facts else about
