"""The page that goes with an export, for whoever opens it without knowing where it came from."""

from __future__ import annotations

import datetime
from typing import Final

from tenantry.archive.export_forms import JSONL
from tenantry.archive.export_outcomes import Exported, TableExport

_WHOLE: Final = "Everything that was kept for {name} on {when}: {rows} rows of {tables} tables."
_PERSON: Final = (
    "What {name} kept on {when} of one person: {rows} rows of {tables} tables. They are the rows that name the person, "
    "those that go with them, and what was recorded of both."
)
_JSONL: Final = """\
Each `.jsonl` file is a table; each line of it is a row, a JSON object in UTF-8. Moments are in UTC. Decimal numbers are
texts, so that no digit is lost. Bytes are base64. What is not there is `null`."""
_CSV: Final = """\
Each `.csv` file is a table in UTF-8, with the names of the columns in its first line. Moments are in UTC. Bytes are
base64. A field without anything in it is a value that is not there; an empty text is `""`. A text that a spreadsheet
would take for a formula has an apostrophe before it that is not part of it."""
_LEFT_OUT: Final = "Left out because they hold secrets: {columns}."


def readme(done: Exported) -> str:
    """Returns the page, in Markdown."""
    said = (_PERSON if done.person else _WHOLE).format(
        name=done.tenant.name,
        when=f"{done.taken_at.astimezone(datetime.UTC):%Y-%m-%d at %H:%M:%S UTC}",
        rows=done.rows,
        tables=len(done.tables),
    )
    parts = ["# Export", said, _JSONL if done.form == JSONL else _CSV, *map(_table, done.tables)]
    left_out = [f"`{table.table}.{name}`" for table in done.tables for name in table.left_out]
    if left_out:
        parts.append(_LEFT_OUT.format(columns=", ".join(left_out)))
    parts.append("`contents.json` says the same for programs, with the SHA-256 of each file.")
    return "\n\n".join(parts) + "\n"


def _table(table: TableExport) -> str:
    columns = ", ".join(f"`{name}`" for name in table.columns)
    return f"## {table.file}\n\n{table.rows} rows of `{table.table}`: {columns}."
