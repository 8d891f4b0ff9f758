"""``tenantry archive export``: what a tenant has, or one of its persons, as files for people and other programs."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tenantry.archive.export_forms import JSONL
from tenantry.archive.export_outcomes import Exported
from tenantry.archive.exporting import export as write_export
from tenantry.archive.exporting import keep_export
from tenantry.cli.applying import Key, parse_key, tenancy_of
from tenantry.cli.archiving_options import StoreName, archive_of
from tenantry.cli.fleeting_telling import counted
from tenantry.cli.showing import AsJSON, print_json, print_table, progress, say

_EXPORTING: Final = """
Examples:

tenantry archive export acme ./acme-export  (a directory)

tenantry archive export acme ./acme.zip --form csv

tenantry archive export acme ./anna.zip --subject anna@example.org --subject +49305550147 --keep
"""


def register(app: typer.Typer) -> None:
    """Adds this command to *app*."""
    app.command(epilog=_EXPORTING)(export)


def export(
    context: typer.Context,
    *,
    key: Key,
    place: Annotated[Path, typer.Argument(help="A new directory, or a new file whose name ends in .zip.")],
    form: Annotated[
        str, typer.Option(metavar="jsonl|csv", help="A file of JSON lines for each table, or of CSV.")
    ] = JSONL,
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", metavar="NAME", help="A person only: a value by which rows name it; repeatable."),
    ] = None,
    reveal: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE.COLUMN", help="A column to show although it holds secrets; repeatable."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep a copy of the zip file with the tenant's archives.")
    ] = False,
    store: StoreName = None,
    as_json: AsJSON = False,
) -> None:
    """Write what a tenant has, or with --subject what it has of one person, into files with a README."""
    tenancy = tenancy_of(context)
    with progress("Exporting"):
        done = write_export(tenancy, parse_key(key), place, form=form, subject=subject or None, reveal=reveal or ())
    kept = keep_export(done, archive_of(context, store).store) if keep else None
    _tell(done, kept, as_json=as_json)


def _tell(done: Exported, kept: str | None, *, as_json: bool) -> None:
    if as_json:
        tables = {table.table: table.rows for table in done.tables}
        facts = {"place": str(done.place), "kept": kept, "tenant": str(done.tenant.id), "taken_at": done.taken_at}
        print_json({**facts, "rows": tables})
        return
    print_table(["file", "rows"], [(table.file, table.rows) for table in done.tables])
    say(f"{done.place} has {counted(done.rows, 'row')} of {counted(len(done.tables), 'table')}.")
    if kept is not None:
        say(f"A copy is kept as {kept}.")
